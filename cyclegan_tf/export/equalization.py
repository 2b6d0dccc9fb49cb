"""Equalize channel scales before each instance norm, to quantize with less error.

An integer tensor has one scale for all of its channels. In a trained generator the
variances of the channels before an instance normalization differ a thousandfold, and
the small ones would vanish between two levels. An instance norm is invariant to the
scale of a channel, so the convolution before it can be rescaled.

Reference:
    Nagel et al., 2019, Data-Free Quantization Through Weight Equalization and Bias
    Correction, section 4.1: the same idea, for channels before a ReLU.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from cyclegan_tf.models.networks.blocks import NORM_EPSILON
from cyclegan_tf.models.networks.graph import consumers
from cyclegan_tf.translation.inference import Moments, Normalize

_CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.Conv2DTranspose,
    keras.layers.DepthwiseConv2D,
)


def equalize(model: keras.Model, images: Sequence[np.ndarray]) -> keras.Model:
    """Scale convolutions so that what instance normalization normalizes has variance 1.

    Args:
        model: what `inference_model` returned. It is not changed.
        images: float32 images (1, height, width, channels) in [-1, 1] to measure on.

    Returns:
        A copy that computes the same, but for rounding and for the weight of the
        norm's epsilon in channels that are nearly flat.
    """
    equalized = keras.models.clone_model(model)
    equalized.set_weights(model.get_weights())
    normalized = _normalized_outputs(equalized)
    if not normalized:
        return equalized
    variances = _mean_variances(
        keras.Model(equalized.input, [*normalized.values()]), images
    )
    for layer, variance in zip(normalized, variances):
        _scale_output(layer, 1 / np.sqrt(variance + NORM_EPSILON))
    return equalized


def _normalized_outputs(model: keras.Model) -> dict[keras.layers.Layer, Any]:
    """Map each convolution before an instance norm to the tensor that it normalizes."""
    users_of = consumers(model)
    normalized = {}
    for layer in model.layers:
        if not isinstance(layer, _CONVOLUTIONS):
            continue
        tensor = layer.output
        users = users_of[id(tensor)]
        while len(users) == 1 and isinstance(users[0], keras.layers.Cropping2D):
            tensor = users[0].output
            users = users_of[id(tensor)]
        if users and all(isinstance(user, Moments | Normalize) for user in users):
            normalized[layer] = tensor
    return normalized


def _mean_variances(
    probe: keras.Model, images: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """Measure each output's variance by channel, as a mean over the images."""
    sums: list[Any] = [0.0] * len(probe.outputs)
    for image in images:
        for i, output in enumerate(keras.tree.flatten(probe(image, training=False))):
            sums[i] = sums[i] + np.var(output, axis=(0, 1, 2))
    return [total / len(images) for total in sums]


def _scale_output(layer: keras.layers.Layer, scale: np.ndarray) -> None:
    kernel = np.asarray(layer.kernel)  # (height, width, ...)
    if isinstance(layer, keras.layers.DepthwiseConv2D):  # ..., channels, multiplier
        layer.kernel.assign(kernel * scale.reshape(kernel.shape[2:]))
    elif isinstance(layer, keras.layers.Conv2DTranspose):  # ..., output, input
        layer.kernel.assign(kernel * scale[:, None])
    else:  # ..., input, output
        layer.kernel.assign(kernel * scale)
    if layer.use_bias:
        layer.bias.assign(np.asarray(layer.bias) * scale)
