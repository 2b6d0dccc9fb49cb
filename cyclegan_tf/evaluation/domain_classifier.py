"""A small network that tells the two domains apart, for judging translations."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cyclegan_tf.images.pixels import Image, color_square, normalize

_SIDE = 64
_CROP = 56
_FILTERS = (32, 64, 128, 128)
_BATCH_SIZE = 16
_STEPS_PER_EPOCH = 100
_SOLVED_LOSS = 0.02


class DomainClassifier:
    """A classifier of domain Y against domain X, trained at once.

    It has four strided convolutions, global average pooling and one output, and learns
    cross-entropy by Adam on random crops and flips. It is independent of the
    discriminators of the training.

    Args:
        images_x: real training images of X: uint8 (height, width, 1 or 3).
        images_y: likewise of Y.
        steps: int. Most training steps, each with half a batch of each domain; training
            stops earlier at a small loss. Defaults to `1000`.
    """

    def __init__(
        self,
        images_x: Iterable[Image],
        images_y: Iterable[Image],
        steps: int = 1000,
    ):
        self._network = _build_network()
        self._network.compile(
            keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, steps)),
            keras.losses.BinaryCrossentropy(from_logits=True),
        )
        batches = _training_batches(_prepare(images_x), _prepare(images_y))
        steps_per_epoch = min(steps, _STEPS_PER_EPOCH)
        self._network.fit(
            batches,
            epochs=steps // steps_per_epoch,
            steps_per_epoch=steps_per_epoch,
            callbacks=[_StopWhenSolved()],
            verbose=0,
            shuffle=False,  # Keras would warn that it cannot shuffle a dataset
        )

    def logits(self, images: Iterable[Image]) -> np.ndarray:
        """Classify images.

        Args:
            images: uint8 arrays (height, width, 1 or 3), of any sizes.

        Returns:
            float32 (images,): positive for Y, negative for X.
        """
        return self._network.predict(_prepare(images), verbose=0)[:, 0]


class _StopWhenSolved(keras.callbacks.Callback):
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.model.stop_training = logs["loss"] < _SOLVED_LOSS


def _build_network() -> keras.Model:
    x = image = keras.Input((None, None, 3))
    # Explicit seeds leave the global one alone, so that evaluation during a training
    # does not change it.
    for i, filters in enumerate(_FILTERS):
        x = keras.layers.Conv2D(
            filters,
            4,
            strides=2,
            padding="same",
            activation="relu",
            kernel_initializer=keras.initializers.HeNormal(i),
        )(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    judge = keras.layers.Dense(
        1, kernel_initializer=keras.initializers.GlorotUniform(0)
    )
    return keras.Model(image, judge(x))


def _prepare(images: Iterable[Image]) -> np.ndarray:
    """Return float32 (images, 64, 64, 3) in [-1, 1]."""
    squares = np.stack([color_square(image, _SIDE) for image in images])
    return normalize(squares.astype(np.float32))


def _training_batches(images_x: np.ndarray, images_y: np.ndarray) -> tf.data.Dataset:
    """Return endless batches, half X (label 0) and half Y (label 1)."""

    def shuffled(images: np.ndarray, label: float, stream: int) -> tf.data.Dataset:
        dataset = tf.data.Dataset.from_tensor_slices(images)
        dataset = dataset.shuffle(len(images), seed=stream).repeat()
        return dataset.map(lambda image: (image, [label])).batch(_BATCH_SIZE // 2)

    def augment(i: tf.Tensor, batch_x: Any, batch_y: Any) -> Any:
        images, labels = (tf.concat(pair, axis=0) for pair in zip(batch_x, batch_y))
        crop_seed, flip_seed = tf.unstack(
            tf.random.experimental.stateless_split(tf.stack([np.int64(0), i]))
        )
        size = (_BATCH_SIZE, _CROP, _CROP, 3)
        images = tf.image.stateless_random_crop(images, size, crop_seed)
        return tf.image.stateless_random_flip_left_right(images, flip_seed), labels

    numbers = tf.data.Dataset.range(np.iinfo(np.int64).max)
    return (
        tf.data.Dataset.zip(
            numbers, shuffled(images_x, 0.0, 0), shuffled(images_y, 1.0, 1)
        )
        .map(augment, num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(tf.data.AUTOTUNE)
    )
