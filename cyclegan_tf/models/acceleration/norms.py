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
        on_gpu = self.on_gpu and x.dtype != tf.float64
        normalize = _normalize_on_gpu if on_gpu else _normalize
        normalized = normalize(x, norm.epsilon)
        if norm.scale:
            normalized *= tf.cast(norm.gamma, normalized.dtype)
        if norm.center:
            normalized += tf.cast(norm.beta, normalized.dtype)
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


def _normalize_on_gpu(x: Any, epsilon: float) -> Any:
    """Normalize by one batch norm.

    The images of the batch become the channels of a single image. Without that,
    TensorFlow computes each sum over height and width in one thread, and leaves most of
    a GPU idle. Its own gradient of the shapes has four times as many operations, and
    the processor that starts them is what a small step waits for.
    """
    dynamic = tf.shape(x)
    height, width, channels = (x.shape[i] or dynamic[i] for i in (1, 2, 3))

    def as_one_image(images: Any) -> Any:
        images = tf.transpose(images, (0, 3, 1, 2))
        return tf.reshape(images, (1, -1, height, width))

    def as_batch(image: Any) -> Any:
        image = tf.reshape(image, (-1, channels, height, width))
        return tf.ensure_shape(tf.transpose(image, (0, 2, 3, 1)), x.shape)

    @tf.custom_gradient
    def normalize(x: Any) -> tuple[Any, Any]:
        image = as_one_image(x)
        scale = tf.ones((tf.shape(image)[1],))
        options = {"epsilon": epsilon, "data_format": "NCHW"}
        normed = tf.raw_ops.FusedBatchNormV3(
            x=image,
            scale=scale,
            offset=tf.zeros_like(scale),
            mean=(),
            variance=(),
            **options,
        )

        def gradient(upstream: Any) -> Any:
            return as_batch(
                tf.raw_ops.FusedBatchNormGradV3(
                    y_backprop=as_one_image(upstream),
                    x=image,
                    scale=scale,
                    reserve_space_1=normed.reserve_space_1,
                    reserve_space_2=normed.reserve_space_2,
                    reserve_space_3=normed.reserve_space_3,
                    **options,
                ).x_backprop
            )

        return as_batch(normed.y), gradient

    return normalize(x)
