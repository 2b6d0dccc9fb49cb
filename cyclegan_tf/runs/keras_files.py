"""Load `.keras` files, including untrusted ones."""

import math
import pathlib

import keras

from cyclegan_tf._shared.archives import check_claim, check_keras
from cyclegan_tf.models.networks.architecture import outline


def load_keras(path: pathlib.Path) -> keras.Model:
    """Load a `.keras` file, without Lambda layers and not compiled.

    Nothing is inflated, and no more memory is taken than a file of that size can fill.

    Raises:
        Exception: of any kind, if it is damaged or made to do harm; see `reading`.
    """
    config = check_keras(path) | {"compile_config": None}
    # Keras first builds what is described, whatever weights are in the file. Only
    # optimizers, which are left out, have no outline.
    described = outline(lambda: keras.saving.deserialize_keras_object(config))
    sizes = (math.prod(weight.shape) for weight in described.weights)
    # Of one byte at least: the precision is that of the file.
    check_claim(path, sum(sizes), "layers")
    return keras.saving.load_model(path, compile=False)
