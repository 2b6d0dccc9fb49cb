"""LiteRT files: they run, hold what phones can run, and others are refused."""

import exported
import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny

import cyclegan_tf
from cyclegan_tf._shared.errors import RefusedFileError
from cyclegan_tf.export.litert import convert, refuse_unusable
from cyclegan_tf.export.litert_runtime import LiteRTModel
from cyclegan_tf.translation.inference import inference_model

# Largest difference that the number formats may make on these untrained networks.
TOLERANCES = {
    "float32": 1e-5,
    "float16": 1e-2,
    "dynamic_range": 0.5,
    "int16x8": 0.2,
    "int8": 1.0,
}


@pytest.fixture(scope="module")
def model():
    return inference_model(cyclegan_tf.resnet_generator(4, 1))


@pytest.fixture(scope="module")
def images():
    return list(tiny.images(4, 32)[:, None])


@pytest.fixture(scope="module")
def contents(model, images):
    return {v: convert(model, v, (32, 32), images) for v in TOLERANCES}


@pytest.mark.parametrize("variant", TOLERANCES)
def test_a_file_of_one_size(model, images, contents, variant):
    converted = LiteRTModel(contents[variant])
    assert converted.size == (32, 32) and converted.channels == 3
    difference = np.abs(converted(images[0]) - model(images[0])).max()
    assert difference < TOLERANCES[variant]
    # Instance normalization by reshaping, as GroupNormalization does it, is rank 5.
    assert max(converted.ranks) == 4
    assert converted.operations["RSQRT"] == 7


# In float32, test_export.py has files of any size.
@pytest.mark.parametrize("variant", sorted(TOLERANCES.keys() - {"float32"}))
def test_a_file_of_any_size(model, images, variant):
    converted = LiteRTModel(convert(model, variant, None, images))
    assert converted.size == (None, None)
    for image in (images[0], images[0][:, :16, :24], images[0]):
        difference = np.abs(converted(image) - model(image)).max()
        assert difference < TOLERANCES[variant]
    assert max(converted.ranks) == 4


def test_what_is_stored_in_which_numbers(contents):
    sizes = {variant: len(content) for variant, content in contents.items()}
    assert sizes["float16"] < 0.7 * sizes["float32"]
    assert sizes["int8"] < sizes["float16"]
    whole, accurate = (LiteRTModel(contents[v]) for v in ("int8", "int16x8"))
    assert whole._input["dtype"] == whole._output["dtype"] == np.int8
    assert not {"QUANTIZE", "DEQUANTIZE"} & set(whole.operations)
    assert accurate._input["dtype"] == np.float32


@pytest.mark.parametrize("name", ["unet", "nearest", "bilinear"])
def test_other_generators_in_the_hardest_variant(name, images):
    generator = {
        "unet": lambda: cyclegan_tf.unet_generator(4, 3),
        "nearest": lambda: cyclegan_tf.resnet_generator(
            4, 1, upsampling="nearest", norm="batch"
        ),
        "bilinear": lambda: cyclegan_tf.resnet_generator(4, 1, upsampling="bilinear"),
    }[name]()
    model = inference_model(generator)
    for variant in ("float32", "int16x8"):
        converted = LiteRTModel(convert(model, variant, (32, 32), images))
        difference = np.abs(converted(images[0]) - generator(images[0])).max()
        assert difference < TOLERANCES[variant]
        assert max(converted.ranks) == 4


def test_lost_variables_are_refused():
    """What the converter makes of a Keras 3 model in a lambda, without an error."""
    generator = exported.two_layer_generator()
    function = tf.function(
        lambda image: generator(image, training=False),
        input_signature=[tf.TensorSpec((1, 32, 32, 3), tf.float32)],
    ).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], generator)
    with pytest.raises(RefusedFileError, match="holds .*VAR_HANDLE"):
        refuse_unusable(converter.convert(), (32, 32))


def test_operations_of_tensorflow_are_refused():
    class Model(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((1, 3, 8, 8), tf.float32)])
        def __call__(self, image):
            return tf.linalg.inv(image)

    model = Model()
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [model.__call__.get_concrete_function()], model
    )
    converter.target_spec.supported_ops = [
        tf.lite.OpsSet.TFLITE_BUILTINS,
        tf.lite.OpsSet.SELECT_TF_OPS,
    ]
    with pytest.raises(RefusedFileError, match="holds FlexMatrixInverse"):
        refuse_unusable(converter.convert(), (8, 8))


def test_a_generator_that_puts_out_nan_is_refused():
    generator = exported.two_layer_generator()
    generator.set_weights([np.full_like(w, np.nan) for w in generator.get_weights()])
    with pytest.raises(RefusedFileError, match="not finite"):
        convert(inference_model(generator), "float32", (32, 32))


def test_what_cannot_be_converted_is_refused():
    image = keras.Input((None, None, 3), name="image")
    model = keras.Model(image, keras.ops.erfinv(image))
    with pytest.raises(RefusedFileError, match="cannot be converted to LiteRT"):
        convert(model, "float32", (8, 8))


def test_another_vendors_runtime_agrees(model, images, contents, tmp_path):
    """OpenVINO reads the LiteRT file itself."""
    import openvino

    path = tmp_path / "model.tflite"
    path.write_bytes(contents["float32"])
    precision = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(str(path), "CPU", precision)
    (translated,) = compiled([images[0]]).values()
    np.testing.assert_allclose(translated, model(images[0]), atol=1e-3)
