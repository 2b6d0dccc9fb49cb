"""A joined call gives what single calls give, or is not made."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny

import cyclegan_tf
from cyclegan_tf.models.acceleration.joining import Joined
from cyclegan_tf.models.networks.graph import treats_images_alone


class Counted:
    """A network that counts its calls."""

    def __init__(self, network):
        self.network = network
        self.calls = 0

    def __call__(self, images, training, any_length):
        self.calls += 1
        return self.network(images, training=training)


@pytest.mark.parametrize(
    "network",
    [
        lambda: cyclegan_tf.resnet_generator(4, 1),
        lambda: cyclegan_tf.mobile_resnet_generator((2, 4, 8, 4, 2), (3,)),
        lambda: cyclegan_tf.unet_generator(4, 3, norm="instance_affine"),
        lambda: cyclegan_tf.resnet_generator(4, 1, upsampling="bilinear"),
        lambda: cyclegan_tf.patchgan_discriminator(4, 2),
        lambda: cyclegan_tf.pixel_discriminator(4, norm="none"),
        lambda: keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Dense(2)]),
    ],
)
def test_one_call_for_two_batches(network):
    network = network()
    counted = Counted(network)
    batches = tf.constant(tiny.images(2)), tf.constant(tiny.images(1, seed=1))
    first, second = Joined(network, counted)(*batches, training=True)
    assert counted.calls == 1
    np.testing.assert_allclose(first, network(batches[0]), atol=1e-5)
    np.testing.assert_allclose(second, network(batches[1]), atol=1e-5)


def deviation_over_the_batch():
    """As some discriminators have it, in stock operations."""
    image = keras.Input((None, None, 3))
    deviation = keras.ops.std(image, axis=0, keepdims=True)
    return keras.Model(image, image * deviation)


@pytest.mark.parametrize(
    "network",
    [
        lambda: cyclegan_tf.resnet_generator(4, 1, norm="batch"),
        lambda: cyclegan_tf.resnet_generator(4, 1, dropout=0.5),
        deviation_over_the_batch,
    ],
)
def test_networks_that_mix_images_are_called_for_each_batch(network):
    network = network()
    assert not treats_images_alone(network)
    counted = Counted(network)
    batches = tf.constant(tiny.images(2)), tf.constant(tiny.images(2, seed=1))
    assert len(Joined(network, counted)(*batches, training=True)) == 2
    assert counted.calls == 2


@pytest.mark.parametrize(
    ("side", "length", "calls", "calls_on_gpu"),
    [(64, 1, 1, 1), (64, 2, 2, 1), (128, 1, 2, 1), (256, 1, 2, 1), (256, 2, 2, 2)],
)
def test_large_batches_are_not_joined(side, length, calls, calls_on_gpu, monkeypatch):
    network = keras.Sequential([keras.Input((None, None, 3)), keras.layers.ReLU()])
    batch = tf.zeros((length, side, side, 3))

    def counted_calls():
        counted = Counted(network)
        Joined(network, counted)(batch, batch, training=True)
        return counted.calls

    assert counted_calls() == calls
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [kind])
    assert counted_calls() == calls_on_gpu


def test_images_of_two_sizes_are_not_joined():
    network = tiny.generator()
    counted = Counted(network)
    batches = tf.constant(tiny.images(1)), tf.constant(tiny.images(1, side=20))
    first, second = Joined(network, counted)(*batches, training=True)
    assert counted.calls == 2
    assert (first.shape[1], second.shape[1]) == (16, 20)


def test_a_step_has_few_calls_and_no_loops():
    """Four calls of generators, four of discriminators, and as many gradients."""
    model = tiny.cyclegan()
    model.compile()
    model.build_for((1, 16, 16, 3), (1, 16, 16, 3))
    step = tf.function(model.train_step, autograph=False)
    batch = tf.TensorSpec((1, 16, 16, 3))
    graph = step.get_concrete_function((batch, batch)).graph
    kinds = [operation.type for operation in graph.get_operations()]
    assert sum("PartitionedCall" in kind for kind in kinds) == 2 * (4 + 4)
    assert not any("While" in kind for kind in kinds)
