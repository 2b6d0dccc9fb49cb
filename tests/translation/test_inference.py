"""A generator rebuilt for other runtimes computes the same."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny

import cyclegan_tf
from cyclegan_tf.translation.inference import inference_model

GENERATORS = {
    "resnet": lambda: cyclegan_tf.resnet_generator(4, 2, dropout=0.5),
    "unet": lambda: cyclegan_tf.unet_generator(4, 5, dropout=0.5),
    "nearest": lambda: cyclegan_tf.resnet_generator(4, 1, upsampling="nearest"),
    "bilinear": lambda: cyclegan_tf.unet_generator(4, 5, upsampling="bilinear"),
    "batch_norm": lambda: cyclegan_tf.resnet_generator(4, 1, norm="batch"),
    "no_norm": lambda: cyclegan_tf.resnet_generator(4, 1, norm="none"),
    "one_size": lambda: cyclegan_tf.resnet_generator(4, 1, image_shape=(32, 32, 3)),
    "gray_to_colour": lambda: cyclegan_tf.resnet_generator(
        4, 1, image_shape=(None, None, 1), output_channels=3
    ),
}


@pytest.mark.parametrize("name", GENERATORS)
def test_the_same_function_saved_or_not(name, tmp_path):
    generator = GENERATORS[name]()
    images = tiny.images(2, 32)[..., : generator.input_shape[-1]]
    expected = generator(images, training=False)
    generator.save(tmp_path / "generator.keras")
    loaded = keras.saving.load_model(tmp_path / "generator.keras")
    for source in (generator, loaded):
        model = inference_model(source)
        # The stock norm multiplies out what this one does not: rounding differs.
        np.testing.assert_allclose(model(images, training=False), expected, atol=5e-6)
        assert model.input_shape == (None, None, None, images.shape[-1])


@pytest.mark.parametrize("name", GENERATORS)
def test_it_can_be_traced_for_any_size(name):
    model = inference_model(GENERATORS[name]())
    traced = tf.function(
        lambda images: model(images, training=False),
        input_signature=[tf.TensorSpec(model.input_shape, tf.float32)],
    )
    for height, width in ((32, 64), (96, 32)):
        images = np.zeros((1, height, width, model.input_shape[-1]), np.float32)
        assert traced(images).shape[1:3] == (height, width)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_becomes_float32(policy):
    keras.config.set_dtype_policy(policy)
    try:
        generator = cyclegan_tf.resnet_generator(4, 1)
    finally:
        keras.config.set_dtype_policy("float32")
    in_float32 = cyclegan_tf.resnet_generator(4, 1)
    in_float32.set_weights(generator.get_weights())
    images = tiny.images(1, 32)
    model = inference_model(generator)
    np.testing.assert_allclose(model(images), in_float32(images), atol=5e-6)
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}


def test_squares_are_products():
    model = inference_model(GENERATORS["unet"]())
    traced = tf.function(lambda images: model(images, training=False))
    graph = traced.get_concrete_function(tf.zeros((1, 32, 32, 3))).graph
    kinds = {operation.type for operation in graph.get_operations()}
    assert "Mul" in kinds and not {"Square", "SquaredDifference"} & kinds


def test_the_generator_is_not_changed():
    generator = GENERATORS["resnet"]()
    before = generator.get_config()
    model = inference_model(generator)
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    assert generator.get_config() == before
    assert np.abs(generator.get_weights()[0]).max() > 0


@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
def test_copies_keep_their_resizes(upsampling):
    model = inference_model(cyclegan_tf.resnet_generator(4, 1, upsampling=upsampling))
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    images = tiny.images(1, 32)
    np.testing.assert_array_equal(copy(images), model(images))
