"""The losses, by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from cyclegan_tf.models import losses

# Two examples, two patches each.
REAL = np.array([[0.5, 2.0], [-1.0, 0.0]], "float32").reshape(2, 2, 1, 1)
FAKE = np.array([[0.0, -1.0], [1.0, 3.0]], "float32").reshape(2, 2, 1, 1)


def softplus(x):
    return np.log1p(np.exp(x))


@pytest.mark.parametrize(
    ("name", "generator", "discriminator"),
    [
        ("lsgan", [2.5, 2.0], [0.625 + 0.5, 2.5 + 5.0]),
        (
            "bce",
            [(softplus(0) + softplus(1)) / 2, (softplus(-1) + softplus(-3)) / 2],
            [
                (softplus(-0.5) + softplus(-2) + softplus(0) + softplus(-1)) / 2,
                (softplus(1) + softplus(0) + softplus(1) + softplus(3)) / 2,
            ],
        ),
        ("hinge", [0.5, -2.0], [0.25 + 0.5, 1.5 + 3.0]),
        ("wgan-gp", [0.5, -2.0], [-0.5 - 1.25, 2.0 + 0.5]),
    ],
)
def test_adversarial_losses(name, generator, discriminator):
    loss = losses.get_adversarial_loss(name)
    np.testing.assert_allclose(loss.generator(FAKE), generator, rtol=1e-6)
    np.testing.assert_allclose(loss.discriminator(REAL, FAKE), discriminator, rtol=1e-6)
    assert loss.gradient_penalty_weight == (10 if name == "wgan-gp" else 0)


def test_unknown_adversarial_loss():
    with pytest.raises(ValueError, match="must be one of lsgan, bce, hinge, wgan-gp"):
        losses.get_adversarial_loss("gan")


@pytest.mark.parametrize("loss", [losses.cycle_loss, losses.identity_loss])
def test_absolute_difference(loss):
    image = np.zeros((2, 1, 2, 1), "float32")
    other = np.array([[1.0, -0.5], [0.0, 0.25]], "float32").reshape(2, 1, 2, 1)
    np.testing.assert_allclose(loss(image, other), [0.75, 0.125])


def test_gradient_penalty_of_a_linear_critic():
    """The gradient of sum(w * x) is w everywhere, so the penalty is (|w| - 1)^2."""
    weights = tf.constant([1.0, 2.0, 2.0], shape=(1, 1, 1, 3))  # norm 3

    def critic(images, training):
        return keras.ops.sum(images * weights, axis=-1, keepdims=True)

    real, fake = np.ones((2, 1, 1, 3), "float32"), np.zeros((2, 1, 1, 3), "float32")
    mix = np.full((2, 1, 1, 1), 0.3, "float32")
    penalty = losses.gradient_penalty(critic, real, fake, mix)
    np.testing.assert_allclose(penalty, [4.0, 4.0], rtol=1e-6)


def test_gradient_penalty_is_taken_between_real_and_fake():
    """Under sum(x^2) / 2 the gradient is x itself: here the mixed image."""

    def critic(images, training):
        return keras.ops.sum(images**2, axis=-1, keepdims=True) / 2

    real = np.full((1, 1, 1, 1), 4.0, "float32")
    fake = np.full((1, 1, 1, 1), 2.0, "float32")
    mix = np.full((1, 1, 1, 1), 0.25, "float32")
    penalty = losses.gradient_penalty(critic, real, fake, mix)
    np.testing.assert_allclose(penalty, [(0.25 * 4 + 0.75 * 2 - 1) ** 2], rtol=1e-6)


def test_gradient_penalty_can_be_differentiated_at_zero():
    critic = keras.layers.Conv2D(1, 1, kernel_initializer="zeros")
    images = np.ones((1, 2, 2, 3), "float32")
    critic(images)
    with tf.GradientTape() as tape:
        penalty = losses.gradient_penalty(critic.__call__, images, images, 0.5)
    gradient = tape.gradient(penalty, critic.trainable_weights[0].value)
    assert np.isfinite(gradient).all()


def test_half_precision_is_averaged_in_float32():
    image = tf.zeros((1, 256, 256, 3), tf.float16)
    loss = losses.cycle_loss(image, image + 0.1)
    assert loss.dtype == tf.float32
    np.testing.assert_allclose(loss, [0.1], rtol=1e-3)
