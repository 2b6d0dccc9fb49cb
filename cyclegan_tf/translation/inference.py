"""A copy of a generator for inference, in operations that every runtime supports.

`translator.py` and the export formats run it; training does not.
"""

from typing import Any

import keras
import tensorflow as tf

from cyclegan_tf._shared.errors import InputError, first_line
from cyclegan_tf.models.networks.graph import is_instance_norm


def inference_model(generator: keras.Model) -> keras.Model:
    """Copy a generator into a model that every runtime supports.

    It computes the generator's output in inference, with these differences:

    - all layers are float32, even after mixed-precision training;
    - heights and widths are free, even if they were fixed;
    - an instance norm is `Moments` followed by `Normalize`, on tensors of rank 4: the
      stock layer's rank-5 tensors make LiteRT 1.2 times slower. Tiling cuts between
      the two;
    - upsampling reads the size at run time: Keras's bilinear layer cannot be traced
      for free sizes, and its nearest one becomes rank-5 tensors.

    Args:
        generator: a Keras functional model from (batch, height, width, channels) to
            (batch, height, width, output_channels), such as those of
            `cyclegan_tf.models.networks`. It is not changed.

    Returns:
        A `keras.Model` from float32 `image` to float32 of the same height and width,
        both in [-1, 1].

    Raises:
        InputError: if a layer fits images of one size only.
    """
    channels = generator.input_shape[-1]
    try:
        model = keras.models.clone_model(
            generator,
            input_tensors=keras.Input((None, None, channels), name="image"),
            clone_function=_plain_operation,
            call_function=_plain_call,
            recursive=True,
        )
    except ValueError as e:
        raise InputError(
            f"The generator {generator.name} cannot take images of any size "
            f"({first_line(e)}); use one whose layers do not depend on the size."
        ) from e
    model.set_weights(generator.get_weights())
    return model


class Moments(keras.layers.Layer):
    """The mean and the biased variance of each channel, (batch, 1, 1, channels)."""

    def call(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        mean = tf.reduce_mean(x, (1, 2), keepdims=True)
        centered = x - mean
        # Not tf.square: converters fuse the square of a difference into an operation
        # without an int16 kernel in LiteRT.
        return mean, tf.reduce_mean(centered * centered, (1, 2), keepdims=True)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return ((input_shape[0], 1, 1, input_shape[-1]),) * 2


class Normalize(keras.layers.Layer):
    """The second half of an instance norm, called with `x`, its mean and its variance.

    Args:
        epsilon: float. Added to the variance.
        scale: bool. Multiply by a weight for each channel.
        center: bool. Add a weight for each channel.
    """

    def __init__(self, epsilon: float, scale: bool, center: bool, **options: Any):
        super().__init__(**options)
        self.epsilon = epsilon
        self.scale = scale
        self.center = center

    def get_config(self) -> dict[str, Any]:
        options = {"epsilon": self.epsilon, "scale": self.scale, "center": self.center}
        return super().get_config() | options

    def build(self, x_shape: Any, mean_shape: Any, variance_shape: Any) -> None:
        channels = x_shape[-1:]
        self.gamma = self.add_weight(channels, "ones") if self.scale else None
        self.beta = self.add_weight(channels, "zeros") if self.center else None

    def call(self, x: tf.Tensor, mean: tf.Tensor, variance: tf.Tensor) -> tf.Tensor:
        x = (x - mean) * tf.math.rsqrt(variance + self.epsilon)
        if self.scale:
            x *= self.gamma
        return x + self.beta if self.center else x

    def compute_output_shape(self, x_shape: Any, *_: Any) -> Any:
        return x_shape


class Resize(keras.layers.Layer):
    """`UpSampling2D` for images whose size is known only at run time."""

    def __init__(self, factors: tuple[int, int], interpolation: str, **options: Any):
        super().__init__(**options)
        self.factors = factors
        self.interpolation = interpolation

    def get_config(self) -> dict[str, Any]:
        options = {"factors": self.factors, "interpolation": self.interpolation}
        return super().get_config() | options

    def call(self, x: tf.Tensor) -> tf.Tensor:
        _, height, width, _ = keras.ops.shape(x)
        size = (height * self.factors[0], width * self.factors[1])
        return tf.image.resize(x, size, self.interpolation)

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, *sides, channels = input_shape
        resized = (side and side * by for side, by in zip(sides, self.factors))
        return (batch, *resized, channels)


def _plain_operation(operation: Any) -> Any:
    """Copy a layer or one of the `keras.ops`, which have no dtype policy."""
    if isinstance(operation, keras.layers.UpSampling2D):
        return Resize(operation.size, operation.interpolation, name=operation.name)
    if is_instance_norm(operation):
        return Normalize(
            operation.epsilon, operation.scale, operation.center, name=operation.name
        )
    config = operation.get_config()
    if isinstance(operation, keras.layers.Layer):
        config["dtype"] = "float32"
    return type(operation).from_config(config)


def _plain_call(operation: Any, *args: Any, **kwargs: Any) -> Any:
    if isinstance(operation, Normalize):
        (x,) = args
        return operation(x, *Moments(name=f"{operation.name}_moments")(x))
    return operation(*args, **kwargs)
