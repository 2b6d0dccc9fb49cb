"""Faster operations for training, with the same weights and results.

Three stock layers are slow to train. The gradient of a group normalization passes over
its images more than a dozen times, and casts half precision to float32 and back;
TensorFlow's fused batch norm computes the same over a single image in a few passes.
The gradient of `Cropping2D` works element by element; a slice's is a padding. And a
convolution to three channels takes as long as one to sixteen: on a processor with AVX2,
a ResNet-6 with its gradient takes 0.75 of the time with `NarrowConv`, at 64x64 (184 for
245 ms) and at 128x128 (683 for 908 ms); with AVX-512, a whole step takes 0.97.
"""

from typing import Any

import keras
import tensorflow as tf

from cyclegan_tf.models.networks.graph import is_instance_norm

_FUSED_DTYPES = ("float32", "bfloat16", "float16")


def fused(network: keras.Model) -> keras.Model:
    """Replace the slow layers of a network for training, with shared weights.

    Every instance norm becomes one operation that takes half precision directly, every
    `Cropping2D` a slice, and a convolution to a few channels two faster ones.

    Args:
        network: functional or sequential `keras.Model` with one input and one output.

    Returns:
        A functional `keras.Model` on the weights of `network`, equal up to rounding
        in its compute dtype. It is not for saving.
    """
    return keras.models.clone_model(
        keras.Model(network.inputs[0], network.outputs[0], name=network.name),
        clone_function=lambda operation: operation,
        call_function=_call_fused,
    )


class InstanceNorm(keras.Layer):
    """An instance norm as TensorFlow's batch norm over a single image.

    All channels of all images become channels of one image, each with its own mean and
    variance.

    Args:
        norm: the `keras.layers.GroupNormalization` whose weights are used.
    """

    def __init__(self, norm: keras.layers.GroupNormalization):
        super().__init__(dtype=norm.dtype_policy, autocast=False)
        self.norm = norm

    def call(self, x: Any) -> Any:
        """Normalize float32, float16 or bfloat16 (batch, height, width, channels)."""
        if x.shape[0] == 1:
            return self._normalize(x, 1)
        batch, height, width, channels = tf.unstack(tf.shape(x))
        x = tf.transpose(x, (1, 2, 0, 3))
        x = tf.reshape(x, (1, height, width, batch * channels))
        x = self._normalize(x, batch)
        x = tf.reshape(x, (height, width, batch, channels))
        return tf.transpose(x, (2, 0, 1, 3))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def _normalize(self, image: Any, batch: Any) -> Any:
        norm = self.norm
        channels = batch * norm.groups
        # The function of `tf.nn` does not take bfloat16.
        return tf.raw_ops.FusedBatchNormV3(
            x=image,
            scale=tf.tile(norm.gamma, [batch]) if norm.scale else tf.ones([channels]),
            offset=tf.tile(norm.beta, [batch]) if norm.center else tf.zeros([channels]),
            mean=[],
            variance=[],
            epsilon=norm.epsilon,
            is_training=True,
        ).y


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
        if operation.compute_dtype in _FUSED_DTYPES:
            return InstanceNorm(operation)(*args)
    elif type(operation) is keras.layers.Conv2D and NarrowConv.is_faster(operation):
        return NarrowConv(operation)(*args)
    return operation(*args, **kwargs)
