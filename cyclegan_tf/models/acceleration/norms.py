"""A faster instance norm, and a batch norm with PyTorch's running variance.

Both use the weights of stock Keras layers.
"""

from typing import Any

import keras
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
    """Return `(x - mean) / sqrt(variance + epsilon)` over height and width.

    The gradient is written out because TensorFlow's recomputes the shapes, with four
    times as many operations. In a small step, a GPU spends its time waiting for
    operations to be launched.
    """
    dynamic = tf.shape(x)
    height, width, channels = (x.shape[i] or dynamic[i] for i in (1, 2, 3))
    if channels_first:
        to_image, to_batch = (0, 3, 1, 2), (0, 2, 3, 1)
        image_shape: Any = (1, -1, height, width)
        batch_shape: Any = (-1, channels, height, width)
    else:  # keeps the channels of a pixel together; for a batch of one, nothing moves
        to_image, to_batch = (1, 2, 0, 3), (2, 0, 1, 3)
        image_shape = (1, height, width, -1)
        batch_shape = (height, width, -1, channels)

    def as_one_image(images: Any) -> Any:
        return tf.reshape(tf.transpose(images, to_image), image_shape)

    def as_batch(image: Any) -> Any:
        batch = tf.transpose(tf.reshape(image, batch_shape), to_batch)
        return tf.ensure_shape(batch, x.shape)

    @tf.custom_gradient
    def normalize(x: Any) -> tuple[Any, Any]:
        image = as_one_image(x)
        scale = tf.ones((tf.shape(image)[1 if channels_first else 3],))
        options = {
            "epsilon": epsilon,
            "data_format": "NCHW" if channels_first else "NHWC",
        }
        # `tf.compat.v1.nn.fused_batch_norm` does not take bfloat16.
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
