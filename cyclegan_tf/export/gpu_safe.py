"""A generator that phones' GPUs run: reflection by slices, moments in half precision.

Many GPU runtimes know no MIRROR_PAD, and all compute in float16 unless they are told
otherwise. Its largest number is 65,504, which an instance norm exceeds in two ways: a
mean adds up 65,536 pixels at 256x256, and the trained mobile generator has values of
1,700 before a norm, whose squares are 2.9 million. Newer runtimes add in float32, but
store the squares in float16, too. An infinite variance makes the channel disappear; an
infinite mean makes NaN of the image.

The cure is exact but for rounding: divide each channel by its largest magnitude, which
bounds values, squares and variance by 1 or 4, and average small windows, then the
windows. Windows of 16x16 and 16x16 add up 256 numbers each.
"""

import math
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from cyclegan_tf.translation.inference import Moments

# Added to magnitudes: float16 holds its reciprocal, so a channel of zeros is no 0 / 0.
_SMALL = 1e-4


def gpu_safe(model: keras.Model) -> keras.Model:
    """Copy a model into one that computes the same in half precision on any GPU.

    Args:
        model: a model returned by `inference_model`. It is not changed.

    Returns:
        A copy that holds neither mirrored padding nor sums of a whole image. It is for
        images whose size is known when it is called or traced.
    """
    safe = keras.models.clone_model(model, clone_function=_safe_operation)
    safe.set_weights(model.get_weights())
    return safe


class ScaledMoments(Moments):
    """The mean and variance of each channel, by numbers that float16 holds.

    The variance itself must be below 65,504; that of the trained mobile generator is
    at most 1,100 before any norm.
    """

    def call(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        largest = _pool_twice(tf.nn.max_pool2d, tf.abs(x)) + _SMALL
        x *= 1 / largest
        mean = _pool_twice(tf.nn.avg_pool2d, x)
        centered = x - mean
        variance = _pool_twice(tf.nn.avg_pool2d, centered * centered)
        return largest * mean, largest * (largest * variance)


class ReflectPad(keras.layers.Layer):
    """Pad by reflection, with slices of one row or column each.

    Args:
        pad_width: ((before, after), ...) pixels for each of the four axes.
    """

    def __init__(self, pad_width: Any, **options: Any):
        super().__init__(**options)
        self.pad_width = pad_width

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"pad_width": self.pad_width}

    def call(self, x: tf.Tensor, constant_values: None = None) -> tf.Tensor:
        for axis, (before, after) in enumerate(self.pad_width):
            end = x.shape[axis] - 2
            first = [_slice(x, axis, i) for i in range(before, 0, -1)]
            last = [_slice(x, axis, i) for i in range(end, end - after, -1)]
            if first or last:
                x = tf.concat([*first, x, *last], axis)
        return x

    def compute_output_shape(self, input_shape: Any) -> Any:
        return tuple(
            side if side is None else side + sum(pixels)
            for side, pixels in zip(input_shape, self.pad_width)
        )


def _safe_operation(operation: Any) -> Any:
    config = operation.get_config()
    if isinstance(operation, Moments):
        return ScaledMoments.from_config(config)
    # `keras.ops` in a functional model are of private classes.
    if type(operation).__name__ == "Pad" and operation.mode == "reflect":
        return ReflectPad(operation.pad_width, name=operation.name)
    return type(operation).from_config(config)


def _slice(x: tf.Tensor, axis: int, place: int) -> tf.Tensor:
    begin, size = [0] * 4, [-1] * 4
    begin[axis], size[axis] = place, 1
    return tf.slice(x, begin, size)


def _pool_twice(pool: Callable[..., tf.Tensor], x: tf.Tensor) -> tf.Tensor:
    """Pool (batch, height, width, channels) to (batch, 1, 1, channels) in two stages.

    The stages are equal in size where the sides are square numbers. Pools, not two
    means: OpenGL runtimes refuse the mean of one axis.
    """
    windows = [_middle_divisor(side) for side in x.shape[1:3]]
    x = pool(x, windows, windows, "VALID")
    return pool(x, x.shape[1:3], x.shape[1:3], "VALID")


def _middle_divisor(side: int) -> int:
    """Return the largest divisor up to the square root, 16 for 256."""
    return next(d for d in range(math.isqrt(side), 0, -1) if side % d == 0)
