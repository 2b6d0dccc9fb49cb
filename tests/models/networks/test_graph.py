"""Facts about networks."""

import keras
import pytest

import cyclegan_tf
from cyclegan_tf.models.networks.graph import bytes_per_pixel


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (lambda: cyclegan_tf.resnet_generator(64, 1), 4 * 4 * 64),
        (lambda: cyclegan_tf.mobile_resnet_generator((2, 4, 8, 4, 2), (3,)), 4 * 4 * 3),
        # After the upsampling by 2, before the last convolution: 2 * 24 channels.
        (
            lambda: cyclegan_tf.unet_generator(24, 4, upsampling="bilinear"),
            4 * 4 * 2 * 24,
        ),
    ],
)
def test_bytes_per_pixel(network, expected, monkeypatch):
    network = network()
    # Copies of the weights would take seconds, and as much memory again.
    monkeypatch.delattr(keras.layers.Layer, "add_weight")
    # The padding adds a little.
    assert expected <= bytes_per_pixel(network) < 1.03 * expected
