"""Fewer, larger calls: a network takes several small batches at once.

G translates both domains in a step with an identity loss, and a discriminator judges
real and fake images: four calls of generators instead of six, and as many of
discriminators. On two cores with AVX-512 a step of ResNet-9 then takes 0.88 to 0.91 of
the time at 64x64 with batch 1. It would take 0.95 to 0.98 with batch 4 or at 128x128,
but the first step 1.08 of the time, and up to 0.5 GB more; above that it would gain
nothing (in turns in one process, by a script that was not kept).

A GPU waits for launches in larger steps, too: one image at 256x256 takes 53 ms on an
H200 in bfloat16, eight take 145 ms. Single calls were not measured there.
"""

import math
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from cyclegan_tf.models.networks.graph import treats_images_alone

# Batches with more pixels are not joined.
MOST_PIXELS = 64 * 64
MOST_PIXELS_ON_GPU = 256 * 256


class Joined:
    """A network that takes several batches, in one call if that is faster.

    One call is exact if the network treats each image by itself. A network with batch
    normalization or dropout does not, and is called once for each batch.

    Args:
        network: the `keras.Model`.
        call: the function that computes it: takes images, `training`, and whether the
            network will also see batches of another length.
    """

    def __init__(self, network: keras.Model, call: Callable[..., Any]):
        self._call = call
        self._can_join = treats_images_alone(network)

    def __call__(self, *batches: Any, training: bool) -> Any:
        """Return the output of a single batch, or a list of outputs of each batch."""
        joins = self._can_join and _is_small(batches[0])

        def call(images: Any) -> Any:
            return self._call(images, training, any_length=joins)

        if len(batches) == 1:
            return call(batches[0])
        shapes = {tuple(batch.shape[1:]) for batch in batches}
        if not joins or len(shapes) > 1:
            return [call(batch) for batch in batches]
        sizes = [tf.shape(batch)[0] for batch in batches]
        outputs = call(tf.concat(batches, axis=0))
        parts = [tf.split(output, sizes) for output in tf.nest.flatten(outputs)]
        return [tf.nest.pack_sequence_as(outputs, part) for part in zip(*parts)]


def _is_small(images: Any) -> bool:
    """Whether launching operations takes a good part of the time.

    A batch whose length is unknown counts as one image.
    """
    length, *sides, _ = images.shape
    if None in sides:
        return False
    on_gpu = bool(tf.config.list_logical_devices("GPU"))
    most = MOST_PIXELS_ON_GPU if on_gpu else MOST_PIXELS
    return math.prod((length or 1, *sides)) <= most
