"""Less memory, the same gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny

import cyclegan_tf
from cyclegan_tf.models.acceleration.fusion import fused
from cyclegan_tf.models.acceleration.rematerialization import Rematerialized
from cyclegan_tf.models.acceleration.tracing import traced


def gradients(call, weights, images):
    @tf.function(autograph=False)
    def step(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            loss = tf.reduce_mean(tf.square(call(images, training=True)))
        return loss, tape.gradient(loss, [images, *weights])

    return step(images)


@pytest.mark.parametrize(
    "network",
    [
        lambda: cyclegan_tf.resnet_generator(4, 2, norm="instance_affine"),
        lambda: cyclegan_tf.resnet_generator(48, 1),  # with a `NarrowConv`
        lambda: cyclegan_tf.mobile_resnet_generator([4, 4, 8, 4, 4], [4, 4]),
        lambda: cyclegan_tf.unet_generator(4, num_levels=4, dropout=0.0),
        lambda: cyclegan_tf.patchgan_discriminator(4, 2),
    ],
    ids=["resnet", "wide_resnet", "mobile_resnet", "unet", "patchgan"],
)
def test_gradients_are_the_same(network):
    # Where a ReLU's input is zero but for rounding, gradients may differ by all of it.
    keras.utils.set_random_seed(0)
    network = network()
    images = tf.constant(tiny.images(2, side=32))
    weights = [weight.value for weight in network.trainable_weights]
    loss, expected = gradients(network, weights, images)
    remat_loss, found = gradients(Rematerialized(network), weights, images)
    assert float(remat_loss) == pytest.approx(float(loss), rel=1e-6)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_residual_block_is_one_segment():
    generator = cyclegan_tf.resnet_generator(4, 3)
    convolutions = [
        sum("conv" in layer.name for layer in segment.layers)
        for segment, _ in Rematerialized(generator)._segments
    ]
    # The stem, two down, the blocks, two up, the last one, its activation.
    assert convolutions == [1, 1, 1, 2, 2, 2, 1, 1, 1, 0]


def test_less_is_kept_for_the_backward_pass():
    generator = cyclegan_tf.resnet_generator(8, 6)

    def kept(network):
        """Bytes of the activations that the forward pass hands on."""
        call = traced(network)

        @tf.function(autograph=False)
        def step(images):
            with tf.GradientTape() as tape:
                tape.watch(images)
                translated = call(images, training=True)
            return tape.gradient(translated, images)

        graph = step.get_concrete_function(tf.zeros((2, 64, 64, 3))).graph
        forward, _ = (
            operation
            for operation in graph.get_operations()
            if "PartitionedCall" in operation.type
        )
        return sum(
            tensor.shape.num_elements() * tensor.dtype.size
            for tensor in forward.outputs
            if tensor.dtype.is_floating
            and tensor.shape.rank == 4
            and tensor.shape[0] == 2
        )

    # What passes between segments is listed twice: as what one put out, and as what
    # the next one took in.
    assert kept(Rematerialized(generator)) / 2 < 0.5 * kept(fused(generator))


@pytest.mark.parametrize("options", [{"norm": "batch"}, {"dropout": 0.5}])
def test_what_changes_with_every_call_cannot_be_repeated(options):
    generator = cyclegan_tf.resnet_generator(4, 1, **options)
    with pytest.raises(ValueError, match="cannot be rematerialized, as"):
        Rematerialized(generator)


def test_evaluation_is_the_network_itself():
    generator = cyclegan_tf.resnet_generator(4, 1)
    images = tiny.images(2)
    np.testing.assert_allclose(
        Rematerialized(generator)(images), generator(images), atol=1e-6
    )
