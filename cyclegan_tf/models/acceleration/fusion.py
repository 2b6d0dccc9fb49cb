"""Faster operations for training, with the same weights and results.

Two stock layers are slow to train. The gradient of a group normalization passes over
its images more than a dozen times, and casts half precision to float32 and back;
TensorFlow's fused batch norm computes the same over a single image in a few passes.
The gradient of `Cropping2D` works element by element; a slice's is a padding.
"""

from typing import Any

import keras
import tensorflow as tf

from cyclegan_tf.models.networks.graph import is_instance_norm

_FUSED_DTYPES = ("float32", "bfloat16", "float16")


def fused(network: keras.Model) -> keras.Model:
    """Replace the slow layers of a network for training, with shared weights.

    Every instance norm becomes one operation that takes half precision directly, and
    every `Cropping2D` a slice.

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
        norm, channels = self.norm, self.norm.groups
        scale = norm.gamma.value if norm.scale else tf.ones([channels])
        offset = norm.beta.value if norm.center else tf.zeros([channels])
        # The function in `tf.nn` does not take bfloat16.
        return tf.raw_ops.FusedBatchNormV3(
            x=image,
            scale=tf.tile(scale, [batch]),
            offset=tf.tile(offset, [batch]),
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


def _call_fused(operation: Any, *args: Any, **kwargs: Any) -> Any:
    if isinstance(operation, keras.layers.Cropping2D):
        if operation.data_format == "channels_last":
            return Crop(operation.cropping)(*args)
    elif is_instance_norm(operation) and operation.compute_dtype in _FUSED_DTYPES:
        return InstanceNorm(operation)(*args)
    return operation(*args, **kwargs)
