"""A faster instance norm, and a batch norm with PyTorch's running variance.

Both use the weights of stock Keras layers.
"""

import contextlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf


class InstanceNorm(keras.Layer):
    """An instance norm that is computed by the kernels of batch norm.

    The images of the batch become the channels of a single image. The statistics are
    computed in at least float32.

    Args:
        norm: the `keras.layers.GroupNormalization` whose weights are used.
        on_gpu: bool. Put the channels first, which is faster on a GPU. Defaults to
            `False`.
    """

    def __init__(self, norm: keras.layers.GroupNormalization, on_gpu: bool = False):
        super().__init__(dtype=norm.dtype_policy, autocast=False)
        self.norm = norm
        self.on_gpu = on_gpu

    def call(self, x: Any) -> Any:
        """Normalize (batch, height, width, channels)."""
        norm = self.norm
        if x.dtype == tf.float64:  # which the batch norm kernels do not support
            return norm(x)
        normalized = _normalize(x, norm.epsilon, channels_first=self.on_gpu)
        if norm.scale:
            normalized *= tf.cast(norm.gamma, normalized.dtype)
        if norm.center:
            normalized += tf.cast(norm.beta, normalized.dtype)
        return normalized

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


class BatchNorm(keras.Layer):
    """A batch norm whose running variance is unbiased, as in PyTorch.

    It computes in at least float32. On small maps, as inside a U-Net, Keras's biased
    variance is smaller: by one eighth for 2x2 pixels and a batch of two.

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


def _normalize(x: Any, epsilon: float, channels_first: bool) -> Any:
    """Return `(x - mean) / sqrt(variance + epsilon)` over height and width."""
    dynamic = tf.shape(x) if None in x.shape[1:] else ()
    height, width, channels = (x.shape[i] or dynamic[i] for i in (1, 2, 3))
    if channels_first:
        axis, to_image, to_batch = 1, (0, 3, 1, 2), (0, 2, 3, 1)
        image_shape: Any = (1, -1, height, width)
        batch_shape: Any = (-1, channels, height, width)
    else:  # keeps the channels of a pixel together
        axis, to_image, to_batch = 3, (1, 2, 0, 3), (2, 0, 1, 3)
        image_shape = (1, height, width, -1)
        batch_shape = (height, width, -1, channels)

    with _gradients_of_static_shapes():
        # A batch of one is that image, and traced sooner without moves.
        is_image = x.shape[0] == 1 and not channels_first
        image = x if is_image else tf.reshape(tf.transpose(x, to_image), image_shape)
        length = image.shape[axis : axis + 1]
        if not length.is_fully_defined():
            length = tf.shape(image)[axis : axis + 1]
        scale = tf.ones(length)
        # `tf.compat.v1.nn.fused_batch_norm` does not take bfloat16.
        normalized = tf.raw_ops.FusedBatchNormV3(
            x=image,
            scale=scale,
            offset=tf.zeros_like(scale),
            mean=(),
            variance=(),
            epsilon=epsilon,
            data_format="NCHW" if channels_first else "NHWC",
        ).y
        if is_image:
            return normalized
        batch = tf.transpose(tf.reshape(normalized, batch_shape), to_batch)
    batch.set_shape(x.shape)
    return batch


def _gradients_of_static_shapes() -> contextlib.AbstractContextManager[None]:
    """Let the gradients of reshapes and transposes use what is known of the shapes.

    TensorFlow's recompute the shapes, with four times as many operations, for which a
    GPU waits in a small step. They also keep the reshaped tensors until then, and
    `tf.custom_gradient` keeps its arguments.
    """
    graph = tf.compat.v1.get_default_graph()
    context: contextlib.AbstractContextManager[None] = graph.gradient_override_map(
        {"Reshape": "CycleGANReshape", "Transpose": "CycleGANTranspose"}
    )
    return context


@tf.RegisterGradient("CycleGANReshape")
def _reshape_gradient(reshape: tf.Operation, upstream: Any) -> tuple[Any, None]:
    x = reshape.inputs[0]
    if x.shape.rank is None or list(x.shape).count(None) > 1:
        return tf.reshape(upstream, tf.shape(x)), None
    return tf.reshape(upstream, [-1 if n is None else n for n in x.shape]), None


@tf.RegisterGradient("CycleGANTranspose")
def _transpose_gradient(transpose: tf.Operation, upstream: Any) -> tuple[Any, None]:
    permutation = tf.get_static_value(transpose.inputs[1])
    return tf.transpose(upstream, np.argsort(permutation)), None
