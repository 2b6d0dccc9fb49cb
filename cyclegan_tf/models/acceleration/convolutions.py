"""Convolutions, and the crops after them, with fewer and faster operations."""

from typing import Any

import keras
import tensorflow as tf
from keras import layers, ops

from cyclegan_tf.models.networks.graph import (
    calls_each_once,
    consumers,
    is_instance_norm,
    operations,
)

_CONVOLUTIONS = (layers.Conv2D, layers.Conv2DTranspose, layers.DepthwiseConv2D)


class CancelledBias(keras.Layer):
    """A convolution without its bias, which an instance norm takes away again.

    The gradient of such a bias is zero. Computed, it would be rounding, which Adam
    turns into steps as large as any. `UnusedBiases` provides the zeros.

    Args:
        convolution: the layer whose kernel is used.
    """

    def __init__(self, convolution: Any):
        super().__init__(dtype=convolution.dtype_policy)
        self.convolution = convolution

    def call(self, x: Any) -> Any:
        """Convolve (batch, height, width, channels)."""
        layer = self.convolution
        window = {
            "strides": layer.strides,
            "padding": layer.padding,
            "dilation_rate": layer.dilation_rate,
        }
        if isinstance(layer, layers.Conv2DTranspose):
            window["output_padding"] = layer.output_padding
            return ops.conv_transpose(x, layer.kernel, **window)
        if isinstance(layer, layers.DepthwiseConv2D):
            return ops.depthwise_conv(x, layer.kernel, **window)
        return ops.conv(x, layer.kernel, **window)

    def compute_output_spec(self, x: Any) -> keras.KerasTensor:
        """Return the convolution's spec."""
        return self.convolution.compute_output_spec(x)


def with_cancelled_bias(network: keras.Model) -> list[Any]:
    """Return the convolutions that only instance norms follow, after crops or not."""
    if not calls_each_once(network):
        return []
    takers = consumers(network)

    def is_normalized(operation: Any) -> bool:
        following = takers.get(id(operation.output), ())
        is_output = any(operation.output is output for output in network.outputs)
        return (
            bool(following) and not is_output and all(map(takes_bias_away, following))
        )

    def takes_bias_away(operation: Any) -> bool:
        is_crop = isinstance(operation, layers.Cropping2D)
        return is_instance_norm(operation) or (is_crop and is_normalized(operation))

    return [
        operation
        for operation in operations(network)
        if type(operation) in _CONVOLUTIONS
        and operation.use_bias
        and operation.activation is keras.activations.linear
        and operation.data_format == "channels_last"
        and is_normalized(operation)
    ]


class UnusedBiases(keras.Operation):
    """Pass on the outputs of a network, and give biases a gradient of zeros.

    Args:
        biases: variables that the network does not use.
    """

    def __init__(self, biases: list[keras.Variable]):
        super().__init__()
        self.biases = biases

    def call(self, outputs: list[Any]) -> list[Any]:
        count = len(outputs)

        @tf.custom_gradient
        def pass_on(*tensors: Any) -> tuple[Any, Any]:
            zeros = map(tf.zeros_like, tensors[count:])
            return tensors[:count], lambda *upstream: (*upstream, *zeros)

        passed: list[Any] = pass_on(*outputs, *map(tf.convert_to_tensor, self.biases))
        return passed

    def compute_output_spec(self, outputs: list[Any]) -> list[Any]:
        """Return the specs of the outputs."""
        return [keras.KerasTensor(each.shape, each.dtype) for each in outputs]


class Crop(keras.Operation):
    """`keras.layers.Cropping2D` as a plain slice.

    Args:
        cropping: ((top, bottom), (left, right)) pixels to remove.
    """

    def __init__(self, cropping: tuple[tuple[int, int], tuple[int, int]]):
        super().__init__()
        self.cropping = cropping

    def call(self, x: Any) -> Any:
        """Crop (batch, height, width, channels)."""
        (top, bottom), (left, right) = self.cropping
        size = tf.shape(x) - [0, top + bottom, left + right, 0]
        cropped = tf.slice(x, [0, top, left, 0], size)
        cropped.set_shape(self._shape(x))  # which a size computed above hides
        return cropped

    def compute_output_spec(self, x: Any) -> keras.KerasTensor:
        """Return the cropped shape; unknown sides stay unknown."""
        return keras.KerasTensor(self._shape(x), x.dtype)

    def _shape(self, x: Any) -> tuple[int | None, ...]:
        batch, *sides, channels = x.shape
        sides = [
            None if side is None else side - sum(pixels)
            for side, pixels in zip(sides, self.cropping, strict=True)
        ]
        return (batch, *sides, channels)


class NarrowConv(keras.Layer):
    """A convolution to a few channels, such as an image's, as two convolutions.

    Processors compute eight or sixteen channels at once, needed or not. So the rows of
    the kernel become channels: a 7x7 kernel to 3 channels becomes one of 1x7 to 21. A
    second convolution, with a constant kernel, adds up the 21, each row shifted by one
    pixel.

    Args:
        convolution: `keras.layers.Conv2D` without strides and padding; its weights are
            used.
    """

    def __init__(self, convolution: keras.layers.Conv2D):
        super().__init__(dtype=convolution.dtype_policy)
        self.convolution = convolution

    def call(self, x: Any) -> Any:
        """Convolve (batch, height, width, channels)."""
        kernel = tf.convert_to_tensor(self.convolution.kernel)
        rows, columns, channels, filters = kernel.shape
        kernel = tf.transpose(kernel, (1, 2, 0, 3))
        kernel = tf.reshape(kernel, (1, columns, channels, rows * filters))
        x = tf.nn.conv2d(x, kernel, 1, "VALID")
        # Row i of the kernel passes on the channels that were computed for row i.
        addition = tf.eye(rows * filters, dtype=x.dtype)
        addition = tf.reshape(addition, (rows * filters, 1, rows, filters))
        addition = tf.transpose(addition, (2, 1, 0, 3))
        x = tf.nn.conv2d(x, addition, 1, "VALID")
        if self.convolution.use_bias:
            x += tf.convert_to_tensor(self.convolution.bias)
        return self.convolution.activation(x)

    def compute_output_spec(self, x: Any) -> keras.KerasTensor:
        """Return the convolution's spec."""
        return self.convolution.compute_output_spec(x)

    @staticmethod
    def is_faster(convolution: keras.layers.Conv2D) -> bool:
        """Whether two convolutions take half of the work of one, or less."""
        rows, columns, channels, filters = convolution.kernel.shape
        as_one = rows * columns * channels * _computed(filters)
        as_two = columns * channels * _computed(rows * filters)
        as_two += rows * rows * filters * _computed(filters)
        return (
            convolution.strides == (1, 1)
            and convolution.dilation_rate == (1, 1)
            and convolution.padding == "valid"
            and convolution.groups == 1
            and convolution.data_format == "channels_last"
            and 2 * as_two <= as_one
        )


def _computed(channels: int) -> int:
    """Return how many channels a processor computes where these are needed."""
    return -(-channels // 16) * 16
