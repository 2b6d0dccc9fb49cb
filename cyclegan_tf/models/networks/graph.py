"""Facts about a network that its graph of layers tells."""

import math

import keras


def size_multiple(generator: keras.Model) -> int:
    """Return what the sides of an image must be multiples of to keep their size.

    Args:
        generator: a generator of `cyclegan_tf.models.networks`, or any Keras model
            whose strided convolutions follow one another.

    Returns:
        The product of the strides: 4 for the ResNet, `2 ** num_levels` for the
        U-Net.
    """
    return math.prod(
        layer.strides[0]
        for layer in generator.layers
        if type(layer) is keras.layers.Conv2D
    )
