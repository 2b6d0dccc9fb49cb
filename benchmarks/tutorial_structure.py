"""The plain structure of a CycleGAN step, as TensorFlow's tutorial teaches it.

One function that calls every network in its body, one persistent tape, four gradients
and four optimizers. Networks and losses are ours, so that only the structure differs;
like the tutorial it has no image pool.
"""

from collections.abc import Callable

import keras
import tensorflow as tf
from measuring import random_images

from cyclegan_tf.config.options import DatasetConfig, OptimizationConfig, TrainConfig
from cyclegan_tf.training.building import build_model


def training(size: int, precision: str) -> Callable[[], dict[str, float]]:
    """Prepare the training step of the default networks.

    Args:
        size: pixels a side.
        precision: `"float32"` or `"mixed_bfloat16"`.

    Returns:
        The step; it returns the losses.
    """
    keras.utils.set_random_seed(0)
    options = OptimizationConfig(precision=precision)
    model = build_model(TrainConfig(DatasetConfig("demo"), optimization=options))
    train_step = make_train_step(
        model.generator_g,
        model.generator_f,
        model.discriminator_x,
        model.discriminator_y,
    )
    images = [tf.constant(batch) for batch in random_images(size)]

    def step() -> dict[str, float]:
        return {name: float(value) for name, value in train_step(*images).items()}

    return step


def make_train_step(
    generator_g: keras.Model,
    generator_f: keras.Model,
    discriminator_x: keras.Model,
    discriminator_y: keras.Model,
    *,
    cycle_weight: float = 10.0,
    identity_weight: float = 5.0,
) -> Callable[[tf.Tensor, tf.Tensor], dict[str, tf.Tensor]]:
    """Make the function of `(real_x, real_y)` that updates all four networks."""
    networks = (generator_g, generator_f, discriminator_x, discriminator_y)
    optimizers = []
    for network in networks:
        optimizers.append(keras.optimizers.Adam(2e-4, beta_1=0.5, epsilon=1e-8))
        optimizers[-1].build(network.trainable_variables)

    @tf.function
    def train_step(real_x: tf.Tensor, real_y: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.GradientTape(persistent=True) as tape:
            fake_y = generator_g(real_x, training=True)
            cycled_x = generator_f(fake_y, training=True)
            fake_x = generator_f(real_y, training=True)
            cycled_y = generator_g(fake_x, training=True)
            same_x = generator_f(real_x, training=True)
            same_y = generator_g(real_y, training=True)

            judged_real_x = discriminator_x(real_x, training=True)
            judged_real_y = discriminator_y(real_y, training=True)
            judged_fake_x = discriminator_x(fake_x, training=True)
            judged_fake_y = discriminator_y(fake_y, training=True)

            losses = {
                "generator_g_loss": distance_to(1.0, judged_fake_y),
                "generator_f_loss": distance_to(1.0, judged_fake_x),
                "cycle_x_loss": difference(real_x, cycled_x),
                "cycle_y_loss": difference(real_y, cycled_y),
                "identity_x_loss": difference(real_x, same_x),
                "identity_y_loss": difference(real_y, same_y),
                "discriminator_x_loss": 0.5
                * (distance_to(1.0, judged_real_x) + distance_to(0.0, judged_fake_x)),
                "discriminator_y_loss": 0.5
                * (distance_to(1.0, judged_real_y) + distance_to(0.0, judged_fake_y)),
            }
            cycle = cycle_weight * (losses["cycle_x_loss"] + losses["cycle_y_loss"])
            objectives = [
                losses["generator_g_loss"]
                + cycle
                + identity_weight * losses["identity_y_loss"],
                losses["generator_f_loss"]
                + cycle
                + identity_weight * losses["identity_x_loss"],
                losses["discriminator_x_loss"],
                losses["discriminator_y_loss"],
            ]
        gradients = [
            tape.gradient(objective, network.trainable_variables)
            for objective, network in zip(objectives, networks)
        ]
        for optimizer, gradient, network in zip(optimizers, gradients, networks):
            optimizer.apply_gradients(zip(gradient, network.trainable_variables))
        return losses

    return train_step


def distance_to(target: float, logits: tf.Tensor) -> tf.Tensor:
    """Return the least-squares loss of the adversarial game."""
    return tf.reduce_mean(tf.square(logits - target))


def difference(real: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
    """Return the mean absolute difference."""
    return tf.reduce_mean(tf.abs(real - image))
