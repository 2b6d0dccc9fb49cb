"""Networks for training: the same layers and results from fewer, faster operations.

Networks are made of stock Keras operations, so that a saved one loads everywhere. Three
of these are slow to train. The gradient of an instance norm passes over its images more
than a dozen times, and half precision is cast to and fro besides; TensorFlow's batch
norm, which over a single image computes the same, takes a few passes. The gradient of
`Cropping2D` goes through its images element by element; that of a slice is a padding.
And a convolution to three channels takes as long as one to sixteen.
"""

from typing import Any

import keras
import tensorflow as tf

_FUSED_DTYPES = ("float32", "bfloat16", "float16")


def fused(network: keras.Model) -> keras.Model:
    """Replace what is slow in a network for training; its weights stay where they are.

    Every `blocks.instance_norm` becomes one operation, which takes half precision as it
    is, every `Cropping2D` a slice, and a convolution to a few channels two faster ones.

    Args:
        network: functional or sequential `keras.Model` with one input and one output.

    Returns:
        A functional `keras.Model` with the layers of `network`, equal to it up to the
        rounding of its compute dtype. It is not for saving.
    """
    return keras.models.clone_model(
        keras.Model(network.inputs[0], network.outputs[0], name=network.name),
        clone_function=lambda operation: operation,
        call_function=_Fusing(),
    )


class InstanceNorm(keras.Operation):
    """`blocks.instance_norm` by TensorFlow's batch norm over a single image.

    A channel of an image becomes a channel of the whole batch, as its mean and its
    variance are its own.

    Args:
        epsilon: float. Added to the variance.
    """

    def __init__(self, epsilon: float):
        super().__init__()
        self.epsilon = epsilon

    def call(self, x: Any) -> Any:
        """Normalize float32, float16 or bfloat16 (batch, height, width, channels)."""
        if x.shape[0] == 1:
            return self._normalize(x, x.shape[-1])
        batch, height, width, channels = tf.unstack(tf.shape(x))
        x = tf.transpose(x, (1, 2, 0, 3))
        x = tf.reshape(x, (1, height, width, batch * channels))
        x = self._normalize(x, batch * channels)
        x = tf.reshape(x, (height, width, batch, channels))
        return tf.transpose(x, (2, 0, 1, 3))

    def compute_output_spec(self, x: Any) -> keras.KerasTensor:
        """As it came."""
        return keras.KerasTensor(x.shape, x.dtype)

    def _normalize(self, image: Any, channels: Any) -> Any:
        # The function of `tf.nn` does not take bfloat16.
        return tf.raw_ops.FusedBatchNormV3(
            x=image,
            scale=tf.ones([channels]),
            offset=tf.zeros([channels]),
            mean=[],
            variance=[],
            epsilon=self.epsilon,
            is_training=True,
        ).y


class Crop(keras.Operation):
    """`keras.layers.Cropping2D` as a plain slice.

    Args:
        cropping: ((top, bottom), (left, right)) pixels to take away.
    """

    def __init__(self, cropping: tuple[tuple[int, int], tuple[int, int]]):
        super().__init__()
        self.cropping = cropping

    def call(self, x: Any) -> Any:
        """Crop (batch, height, width, channels)."""
        (top, bottom), (left, right) = self.cropping
        size = tf.shape(x) - [0, top + bottom, left + right, 0]
        return tf.slice(x, [0, top, left, 0], size)

    def compute_output_spec(self, x: Any) -> keras.KerasTensor:
        """Smaller by the cropping, where the size is known."""
        batch, *sides, channels = x.shape
        sides = [
            None if side is None else side - sum(pixels)
            for side, pixels in zip(sides, self.cropping, strict=True)
        ]
        return keras.KerasTensor((batch, *sides, channels), x.dtype)


class NarrowConv(keras.Layer):
    """A convolution to a few channels, such as those of an image, as two.

    A processor computes sixteen channels at once, needed or not. So the rows of the
    kernel become channels of their own: of a 7x7 kernel to 3 channels, one of 1x7 to
    21. A second convolution, of a constant kernel, adds them up, each a row further
    down.

    Args:
        convolution: `keras.layers.Conv2D` without strides and padding, whose weights
            are used.
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
        # Row i takes to each filter what is in the channel of both.
        addition = tf.eye(rows * filters, dtype=x.dtype)
        addition = tf.reshape(addition, (rows * filters, 1, rows, filters))
        addition = tf.transpose(addition, (2, 1, 0, 3))
        x = tf.nn.conv2d(x, addition, 1, "VALID")
        if self.convolution.use_bias:
            x += tf.convert_to_tensor(self.convolution.bias)
        return self.convolution.activation(x)

    def compute_output_spec(self, x: Any) -> keras.KerasTensor:
        """That of the convolution."""
        return self.convolution.compute_output_spec(x)

    @staticmethod
    def is_faster(convolution: keras.layers.Conv2D) -> bool:
        """Whether it does the work of a convolution in half of the time or less."""
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


class _Fusing:
    """Calls the operations of a network one after the other, fusing as it goes.

    What a fused operation replaces is called all the same; as nothing uses its output,
    it is not part of the new network.
    """

    def __init__(self) -> None:
        # What an operation was called with, by its kind and its output's identity.
        self._arguments: dict[tuple[str, int], tuple[Any, ...]] = {}

    def __call__(self, operation: Any, *args: Any, **kwargs: Any) -> Any:
        kind = _kind(operation)
        if kind == "Cropping2D" and operation.data_format == "channels_last":
            return Crop(operation.cropping)(*args)
        if kind == "Conv2D" and NarrowConv.is_faster(operation):
            return NarrowConv(operation)(*args)
        if kind == "Cast" and (norm := self._instance_norm(operation.dtype, *args)):
            images, epsilon = norm
            return InstanceNorm(epsilon)(images)
        output = operation(*args, **kwargs)
        self._arguments[kind, id(output)] = args
        return output

    def _instance_norm(self, dtype: str, result: Any) -> tuple[Any, float] | None:
        """Recognize `blocks.instance_norm` by its operations, from the last cast up.

        Args:
            dtype: that of the cast.
            result: what is cast.

        Returns:
            The images and epsilon; `None` if this is another operation.
        """
        made_by = self._arguments
        try:
            centred, scale = made_by["Multiply", id(result)]
            (positive,) = made_by["Rsqrt", id(scale)]
            variance, epsilon = made_by["Add", id(positive)]
            (squares,) = made_by["Mean over [1, 2]", id(variance)]
            (squared,) = made_by["Square", id(squares)]
            images, mean = made_by["Subtract", id(centred)]
            (averaged,) = made_by["Mean over [1, 2]", id(mean)]
        except KeyError:
            return None
        if squared is not centred or averaged is not images or images.ndim != 4:
            return None
        (images,) = made_by.get(("Cast", id(images)), (images,))
        if images.dtype != dtype or dtype not in _FUSED_DTYPES:
            return None
        return images, epsilon


def _kind(operation: Any) -> str:
    # `keras.ops` are recorded as objects of private classes.
    name = type(operation).__name__
    if name == "Mean" and operation.keepdims:
        return f"Mean over {keras.tree.flatten(operation.axis)}"
    return name


def _computed(channels: int) -> int:
    """How many channels a processor computes where these are needed."""
    return -(-channels // 16) * 16
