"""Faster operations for training, with the same weights and results.

Three stock layers are slow to train. The gradient of a group normalization passes over
its images more than a dozen times; written out, it has fewer operations. Together with
`Joined`, a step takes 0.86 and 0.89 of the time at 64x64 that it took with TensorFlow's
batch norm over single images and single calls, and 1.04 and 0.98 at 128x128 (ResNet-6
and 9, batch 1, float32, AVX2, two rounds in turns by a script that was not kept). The
gradient of `Cropping2D` works element by element; a slice's is a padding. And a
convolution to three channels takes as long as one to sixteen: on a processor with AVX2,
a ResNet-6 with its gradient takes 0.75 of the time with `NarrowConv`, at 64x64 (184 for
245 ms) and at 128x128 (683 for 908 ms); with AVX-512, a whole step takes 0.97.
"""

from typing import Any

import keras
import tensorflow as tf

from cyclegan_tf.models.networks.graph import is_instance_norm, outputs_of


def fused(network: keras.Model) -> keras.Model:
    """Replace the slow layers of a network for training, with shared weights.

    Every instance norm gets a gradient of fewer operations, every `Cropping2D` becomes
    a slice, and a convolution to a few channels two faster ones. A batch norm keeps
    running statistics as the authors' code does.

    Args:
        network: functional or sequential `keras.Model` with one input.

    Returns:
        A functional `keras.Model` on the weights of `network`, whose outputs are equal
        up to rounding in its compute dtype. It is not for saving.
    """
    return keras.models.clone_model(
        keras.Model(network.inputs[0], outputs_of(network), name=network.name),
        clone_function=lambda operation: operation,
        call_function=_call_fused,
    )


class InstanceNorm(keras.Layer):
    """An instance norm whose gradient is written out.

    It computes in at least float32.

    Args:
        norm: the `keras.layers.GroupNormalization` whose weights are used.
    """

    def __init__(self, norm: keras.layers.GroupNormalization):
        super().__init__(dtype=norm.dtype_policy, autocast=False)
        self.norm = norm

    def call(self, x: Any) -> Any:
        """Normalize (batch, height, width, channels)."""
        norm = self.norm
        dtype = tf.float64 if x.dtype == tf.float64 else tf.float32
        normalized = _normalize(tf.cast(x, dtype), norm.epsilon)
        if norm.scale:
            normalized *= tf.cast(norm.gamma, dtype)
        if norm.center:
            normalized += tf.cast(norm.beta, dtype)
        return tf.cast(normalized, x.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


class BatchNorm(keras.Layer):
    """A batch norm whose running variance is that of PyTorch: without bias.

    It computes in at least float32. Of a small map, as inside a U-Net, Keras's biased
    variance is less: by an eighth of 2x2 pixels in a batch of two.

    Args:
        norm: the `keras.layers.BatchNormalization` whose weights are used.
    """

    def __init__(self, norm: keras.layers.BatchNormalization):
        super().__init__(dtype=norm.dtype_policy, autocast=False)
        self.norm = norm

    def call(self, x: Any, training: bool = False) -> Any:
        """Normalize (batch, height, width, channels)."""
        norm = self.norm
        if not training or not norm.trainable:
            return norm(x, training=False)
        dtype = tf.float64 if x.dtype == tf.float64 else tf.float32
        values = tf.cast(x, dtype)
        mean, variance = tf.nn.moments(values, (0, 1, 2))
        count = tf.cast(tf.reduce_prod(tf.shape(x)[:3]), dtype)
        unbiased = variance * count / tf.maximum(count - 1, 1)
        for running, new in (
            (norm.moving_mean, mean),
            (norm.moving_variance, unbiased),
        ):
            running.assign(norm.momentum * running + (1 - norm.momentum) * new)
        gamma = tf.cast(norm.gamma, dtype) if norm.scale else None
        beta = tf.cast(norm.beta, dtype) if norm.center else None
        normalized = tf.nn.batch_normalization(
            values, mean, variance, beta, gamma, norm.epsilon
        )
        return tf.cast(normalized, x.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


def _normalize(x: Any, epsilon: float) -> Any:
    """Return `(x - mean) / sqrt(variance + epsilon)` over height and width."""

    def mean(values: Any) -> Any:
        return tf.reduce_mean(values, axis=(1, 2), keepdims=True)

    @tf.custom_gradient
    def normalize(x: Any) -> tuple[Any, Any]:
        centered = x - mean(x)
        inverse = tf.math.rsqrt(mean(tf.square(centered)) + epsilon)
        normalized = centered * inverse

        def gradient(upstream: Any) -> Any:
            along = normalized * mean(normalized * upstream)
            return inverse * (upstream - mean(upstream) - along)

        return normalized, gradient

    return normalize(x)


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


def _call_fused(operation: Any, *args: Any, **kwargs: Any) -> Any:
    if isinstance(operation, keras.layers.Cropping2D):
        if operation.data_format == "channels_last":
            return Crop(operation.cropping)(*args)
    elif is_instance_norm(operation):
        return InstanceNorm(operation)(*args)
    elif type(operation) is keras.layers.BatchNormalization:
        if not operation.synchronized:
            return BatchNorm(operation)(*args)
    elif type(operation) is keras.layers.Conv2D and NarrowConv.is_faster(operation):
        return NarrowConv(operation)(*args)
    return operation(*args, **kwargs)
