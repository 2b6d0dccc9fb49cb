"""Equal channels: the same function, with numbers that integers can hold."""

import keras
import numpy as np
import pytest
import tiny

import cyclegan_tf
from cyclegan_tf.export.equalization import equalize
from cyclegan_tf.models.networks.graph import is_instance_norm
from cyclegan_tf.translation.inference import Moments, inference_model


def uneven(generator):
    """Give the channels of every convolution variances a thousandfold apart."""
    random = np.random.default_rng(0)
    for layer in generator.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Conv2DTranspose):
            weights = random.uniform(-1, 1, layer.kernel.shape)
            axis = 2 if isinstance(layer, keras.layers.Conv2DTranspose) else 3
            shape = [1, 1, 1, 1]
            shape[axis] = layer.kernel.shape[axis]
            layer.kernel.assign(weights * 10.0 ** random.uniform(-1, 0.5, shape))
    return generator


@pytest.mark.parametrize(
    "build",
    [
        lambda: cyclegan_tf.resnet_generator(4, 1),
        lambda: cyclegan_tf.unet_generator(4, 5),
        lambda: cyclegan_tf.resnet_generator(4, 1, upsampling="bilinear"),
    ],
)
def test_the_same_function_with_variances_of_one(build):
    model = inference_model(uneven(build()))
    images = list(tiny.images(4, 32)[:, None])
    before = model.get_weights()
    equalized = equalize(model, images)
    for image in tiny.images(3, 32, seed=1)[:, None]:
        np.testing.assert_allclose(equalized(image), model(image), atol=2e-3)
    for weight, old in zip(model.get_weights(), before):
        np.testing.assert_array_equal(weight, old)

    normalized = [
        operation.input
        for operation in equalized.operations
        if isinstance(operation, Moments)
    ]
    assert len(normalized) == sum(map(is_instance_norm, build().operations))
    probe = keras.Model(equalized.input, normalized)
    variances = np.mean(
        [
            np.concatenate([np.var(x, axis=(0, 1, 2)) for x in probe(image)])
            for image in images
        ],
        axis=0,
    )
    np.testing.assert_allclose(variances, 1.0, atol=0.05)


def test_without_instance_norm_nothing_changes():
    model = inference_model(cyclegan_tf.resnet_generator(4, 1, norm="batch"))
    images = list(tiny.images(1, 32)[:, None])
    for weight, old in zip(equalize(model, images).get_weights(), model.get_weights()):
        np.testing.assert_array_equal(weight, old)
