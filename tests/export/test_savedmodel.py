"""The SavedModel: its signatures, what it does with bad files, its warm-up."""

import exported
import numpy as np
import pytest
import tensorflow as tf
import tiny

import cyclegan_tf
from cyclegan_tf.export.savedmodel import (
    WARMUP,
    SavedModelRuntime,
    write_saved_model,
    write_warmup_requests,
)
from cyclegan_tf.images import read_image
from cyclegan_tf.translation.inference import inference_model
from cyclegan_tf.translation.translator import Translator


@pytest.fixture(scope="module")
def generator():
    return cyclegan_tf.resnet_generator(4, 1)


@pytest.fixture(scope="module")
def folder(generator, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "tiny_g/1"
    write_saved_model(folder, inference_model(generator))
    write_warmup_requests(folder, "tiny_g", (16, 24, 3))
    return folder


@pytest.fixture(scope="module")
def loaded(folder):
    return tf.saved_model.load(str(folder))


def test_the_signatures_and_their_names(loaded):
    found = {
        name: (signature.structured_input_signature[1], signature.structured_outputs)
        for name, signature in loaded.signatures.items()
    }
    assert set(found) == {"serving_default", "uint8", "image_bytes"}
    for name, dtype in (("serving_default", tf.float32), ("uint8", tf.uint8)):
        inputs, outputs = found[name]
        assert inputs["image"].dtype == outputs["translated"].dtype == dtype
        assert inputs["image"].shape.as_list() == [None, None, None, 3]
    inputs, outputs = found["image_bytes"]
    assert inputs["image_bytes"].dtype == outputs["translated_bytes"].dtype == tf.string
    assert inputs["image_bytes"].shape.as_list() == [None]


def test_serving_default_is_the_generator(folder, generator):
    images = tiny.images(3, 32)
    served = SavedModelRuntime(folder)
    np.testing.assert_allclose(served(images), generator(images), atol=1e-5)
    assert served.operations["Conv2D"] == 6 and "Const" not in served.operations


def test_every_weight_is_stored_once(folder, generator):
    (values,) = (folder / "variables").glob("variables.data-*")
    assert values.stat().st_size < 1.5 * 4 * generator.count_params()


# Not one pixel: of an image of one colour, instance normalization magnifies rounding.
SIZES = [(16, 24), (33, 70), (1, 2), (3, 9), (5, 40)]


@pytest.mark.parametrize("size", SIZES)
def test_uint8_is_what_translate_does_at_any_size(loaded, generator, size):
    image = exported.photo(*size, 3)
    served = loaded.signatures["uint8"](image=tf.constant(image[None]))["translated"]
    np.testing.assert_array_equal(served[0], Translator(generator)(image))


def test_files_of_different_sizes_in_one_batch(loaded, generator):
    translate = Translator(generator)
    images = [exported.photo(*size, 3) for size in SIZES]
    served = exported.translate_files(loaded, [exported.encode(i) for i in images])
    for image, translated in zip(images, served, strict=True):
        np.testing.assert_array_equal(translated, translate(image))


def test_jpeg_gray_and_alpha(loaded, generator):
    jpeg = exported.encode(exported.photo(20, 30, 3), "JPEG")
    gray = exported.encode(exported.photo(20, 30, 1))
    alpha = exported.encode(exported.photo(20, 30, 4))
    files = [jpeg, gray, alpha]
    for file, served in zip(files, exported.translate_files(loaded, files)):
        expected = Translator(generator)(read_image(file)).astype(int)
        # TensorFlow and Pillow may decode a JPEG to neighbouring levels.
        assert np.abs(served - expected).max() <= 1


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (b"no image", r"image_bytes\[1\] is not a JPEG or PNG image"),
        (exported.png_that_claims(50_000, 50_000), r"image_bytes\[1\] has more than"),
        (exported.encode(exported.photo(90, 90, 3))[:500], "Invalid PNG"),
    ],
    ids=["text", "bomb", "damaged"],
)
def test_a_bad_file_fails_its_request_only(loaded, file, message):
    good = exported.encode(exported.photo(8, 8, 3))
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        exported.translate_files(loaded, [good, file, good])
    assert len(exported.translate_files(loaded, [good, good])) == 2


@pytest.mark.parametrize("signature", ["serving_default", "uint8"])
def test_too_many_pixels_in_all_fail_their_request(loaded, signature):
    dtype = tf.uint8 if signature == "uint8" else tf.float32
    images = tf.zeros((2, 2904, 2904, 3), dtype)
    with pytest.raises(tf.errors.InvalidArgumentError, match="more than 16777216 pix"):
        loaded.signatures[signature](image=images)


def test_an_empty_batch(loaded):
    assert exported.translate_files(loaded, []) == []


def test_the_warmup_requests_run(folder, loaded):
    from tensorflow_serving.apis import prediction_log_pb2

    signatures = []
    for record in tf.data.TFRecordDataset(str(folder / WARMUP)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        assert request.model_spec.name == "tiny_g"
        signature = request.model_spec.signature_name
        inputs = {
            name: tf.constant(tf.make_ndarray(value), dtype=value.dtype)
            for name, value in request.inputs.items()
        }
        outputs = loaded.signatures[signature](**inputs)
        if signature != "image_bytes":
            assert outputs["translated"].shape == (1, 16, 24, 3)
        signatures.append(signature)
    assert signatures == ["serving_default", "uint8", "image_bytes"]


@pytest.mark.parametrize("name", ["unet", "gray"])
def test_other_generators(name, tmp_path):
    generator = {
        "unet": lambda: cyclegan_tf.unet_generator(2, 4),
        "gray": lambda: cyclegan_tf.resnet_generator(
            4,
            1,
            image_shape=(None, None, 1),
            output_channels=3,
            upsampling="bilinear",
        ),
    }[name]()
    write_saved_model(tmp_path / "1", inference_model(generator))
    image = exported.photo(33, 20, generator.input_shape[-1])
    loaded = tf.saved_model.load(str(tmp_path / "1"))
    (served,) = exported.translate_files(loaded, [exported.encode(image)])
    np.testing.assert_array_equal(served, Translator(generator)(image))


def test_another_vendors_runtime_agrees(folder, generator):
    """OpenVINO reads the SavedModel itself, without TensorFlow."""
    import openvino

    images = tiny.images(2, 32)
    # Left alone, it computes in half precision where the processor can.
    precision = {"INFERENCE_PRECISION_HINT": "f32"}
    model = openvino.Core().compile_model(str(folder), "CPU", precision)
    served = model({"image": images})["translated"]
    np.testing.assert_allclose(served, generator(images), atol=1e-3)
