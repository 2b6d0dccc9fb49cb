"""Fewer, larger calls: a network takes several batches at once.

G translates both domains in a step with an identity loss, and a discriminator judges
real and fake images: four calls of generators instead of six, two of discriminators
instead of four.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from cyclegan_tf.models.networks.graph import treats_images_alone


class Joined:
    """A network that takes several batches, in one call if that changes nothing.

    One call is exact if the network treats each image by itself. A network with batch
    normalization or dropout does not, and is called once for each batch.

    Args:
        network: the `keras.Model`.
        call: the function that computes it: takes images and `training`.
    """

    def __init__(self, network: keras.Model, call: Callable[..., Any]):
        self._call = call
        self._can_join = treats_images_alone(network)

    def __call__(self, *batches: Any, training: bool) -> Any:
        """Return the output of a single batch, or a list of outputs of each batch."""
        if len(batches) == 1:
            return self._call(batches[0], training=training)
        shapes = {tuple(batch.shape[1:]) for batch in batches}
        if not self._can_join or len(shapes) > 1 or None in shapes.pop():
            return [self._call(batch, training=training) for batch in batches]
        sizes = [tf.shape(batch)[0] for batch in batches]
        outputs = self._call(tf.concat(batches, axis=0), training=training)
        parts = [tf.split(output, sizes) for output in tf.nest.flatten(outputs)]
        return [tf.nest.pack_sequence_as(outputs, part) for part in zip(*parts)]
