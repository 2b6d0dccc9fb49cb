"""Norms with a gradient of few operations, on the weights of stock layers.

TensorFlow's own gradient of a group normalization passes over its images more than a
dozen times.
"""

from typing import Any

import keras
import tensorflow as tf


class InstanceNorm(keras.Layer):
    """An instance norm whose gradient is written out.

    It computes in at least float32.

    Args:
        norm: the `keras.layers.GroupNormalization` whose weights are used.
        on_gpu: use the GPU's kernel for batch normalization.
    """

    def __init__(self, norm: keras.layers.GroupNormalization, on_gpu: bool = False):
        super().__init__(dtype=norm.dtype_policy, autocast=False)
        self.norm = norm
        self.on_gpu = on_gpu

    def call(self, x: Any) -> Any:
        """Normalize (batch, height, width, channels)."""
        norm = self.norm
        gamma = norm.gamma if norm.scale else None
        beta = norm.beta if norm.center else None
        if self.on_gpu and x.dtype != tf.float64:
            return _normalize_on_gpu(x, norm.epsilon, gamma, beta)
        normalized = _normalize(x, norm.epsilon)
        if gamma is not None:
            normalized *= tf.cast(gamma, normalized.dtype)
        if beta is not None:
            normalized += tf.cast(beta, normalized.dtype)
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
    dtype = tf.float64 if x.dtype == tf.float64 else tf.float32

    def mean(values: Any) -> Any:
        return tf.reduce_mean(values, axis=(1, 2), keepdims=True)

    @tf.custom_gradient
    def normalize(x: Any) -> tuple[Any, Any]:
        values = tf.cast(x, dtype)
        center = mean(values)
        inverse = tf.math.rsqrt(mean(tf.square(values - center)) + epsilon)

        def gradient(upstream: Any) -> Any:
            # Computed again from x, which takes half of the memory in half precision.
            normalized = (tf.cast(x, dtype) - center) * inverse
            along = normalized * mean(normalized * upstream)
            return tf.cast(inverse * (upstream - mean(upstream) - along), x.dtype)

        return (values - center) * inverse, gradient

    return normalize(x)


def _normalize_on_gpu(x: Any, epsilon: float, gamma: Any, beta: Any) -> Any:
    """Normalize, scale and shift by one batch norm.

    The images of the batch become the channels of a single image. Without that,
    TensorFlow computes each sum over height and width in one thread, and leaves most of
    a GPU idle.
    """
    batch, height, width, channels = tf.unstack(tf.shape(x))
    image = tf.transpose(x, (0, 3, 1, 2))
    image = tf.reshape(image, (1, batch * channels, height, width))
    normalized = tf.raw_ops.FusedBatchNormV3(
        x=image,
        scale=tf.tile(tf.ones((x.shape[-1],)) if gamma is None else gamma, [batch]),
        offset=tf.tile(tf.zeros((x.shape[-1],)) if beta is None else beta, [batch]),
        mean=tf.zeros((0,)),
        variance=tf.zeros((0,)),
        epsilon=epsilon,
        data_format="NCHW",
    ).y
    normalized = tf.reshape(normalized, (batch, channels, height, width))
    return tf.ensure_shape(tf.transpose(normalized, (0, 2, 3, 1)), x.shape)
