"""What the networks are built of: padding, convolutions, normalization.

Stock Keras layers and ``keras.ops`` only, so that a saved network loads with plain
Keras. Layers that learn get their names from the network, which the weights of other
frameworks are found by.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import keras
from keras import layers, ops

Norm = Literal["instance", "instance_affine", "batch", "none"]
Padding = Literal["symmetric", "same"]
Upsampling = Literal["transpose", "nearest", "bilinear"]

NORM_EPSILON = 1e-5


@dataclasses.dataclass(frozen=True)
class Normalization:
    """The normalization of a whole network, applied by calling it.

    Attributes:
        norm: `"instance"` has no learned scale and offset, as in the reference;
            `"instance_affine"` has, as in TensorFlow Addons; `"batch"`; `"none"`.
        epsilon: float. Added to the variance.

    Raises:
        ValueError: if there is no such norm, or epsilon is not positive.
    """

    norm: Norm = "instance"
    epsilon: float = NORM_EPSILON

    def __post_init__(self) -> None:
        check_choice(
            "norm", self.norm, ("instance", "instance_affine", "batch", "none")
        )
        if not self.epsilon > 0:
            raise ValueError(f"norm_epsilon must be positive. Received: {self.epsilon}")

    @property
    def conv_bias(self) -> bool:
        """Whether the convolution before it has a bias.

        The reference's rule. With an instance norm the bias has no effect, but it is
        part of the reference's weights; a learned offset makes it superfluous.
        """
        return self.norm == "instance"

    def __call__(self, x: Any, name: str) -> Any:
        if self.norm == "none":
            return x
        if self.norm == "batch":
            # PyTorch's momentum 0.1 is Keras's 0.9.
            return layers.BatchNormalization(
                momentum=0.9,
                epsilon=self.epsilon,
                gamma_initializer=_scale_initializer(),
                name=name,
            )(x)
        x = instance_norm(x, self.epsilon)
        if self.norm == "instance":
            return x
        # A 1x1 depthwise convolution is a scale and an offset for each channel. The
        # stock layer with both, GroupNormalization, reshapes to rank 5, which LiteRT
        # is slow at.
        return layers.DepthwiseConv2D(
            1, depthwise_initializer=_scale_initializer(), name=name
        )(x)


def instance_norm(x: Any, epsilon: float = NORM_EPSILON) -> Any:
    """Normalize each channel of each image to mean 0 and variance 1.

    `(x - mean) / sqrt(variance + epsilon)`, mean and biased variance over height
    and width. Half-precision input is normalized in float32 and cast back.

    Args:
        x: float tensor (batch, height, width, channels).
        epsilon: float. Added to the variance. Defaults to `1e-5`.

    Returns:
        A tensor of the shape and dtype of `x`.

    Reference:
        Ulyanov et al., 2016, Instance Normalization: The Missing Ingredient for
        Fast Stylization, equation 6.
    """
    dtype = keras.backend.standardize_dtype(x.dtype)
    if dtype in ("float16", "bfloat16"):
        x = ops.cast(x, "float32")
    centred = x - ops.mean(x, axis=(1, 2), keepdims=True)
    variance = ops.mean(ops.square(centred), axis=(1, 2), keepdims=True)
    return ops.cast(centred * ops.rsqrt(variance + epsilon), dtype)


def reflect_pad(x: Any, pixels: int) -> Any:
    """Pad height and width by reflection."""
    return ops.pad(x, ((0, 0), (pixels,) * 2, (pixels,) * 2, (0, 0)), mode="reflect")


def conv(
    filters: int,
    kernel_size: int,
    *,
    strides: int = 1,
    padding: str = "valid",
    use_bias: bool = True,
    name: str,
) -> Callable[[Any], Any]:
    """A convolution with the start weights of the reference."""
    return layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding=padding,
        use_bias=use_bias,
        kernel_initializer=_initializer(),
        name=name,
    )


def padded_conv(
    x: Any,
    filters: int,
    kernel_size: int,
    *,
    strides: int = 1,
    padding: Padding = "symmetric",
    use_bias: bool = True,
    name: str,
) -> Any:
    """Convolve after padding with zeros.

    Args:
        x: float tensor (batch, height, width, channels).
        filters: int. Output channels.
        kernel_size: int.
        strides: int. Defaults to `1`.
        padding: `"symmetric"` pads one pixel on every side, as PyTorch does;
            `"same"` is Keras's, which shifts strided convolutions of odd kernels by
            a pixel. Defaults to `"symmetric"`.
        use_bias: bool. Defaults to `True`.
        name: str. Name of the layer.

    Returns:
        float tensor (batch, rows, columns, filters).
    """
    if padding == "symmetric":
        x = layers.ZeroPadding2D(1)(x)
    return conv(
        filters,
        kernel_size,
        strides=strides,
        padding="valid" if padding == "symmetric" else "same",
        use_bias=use_bias,
        name=name,
    )(x)


def separable_conv(
    x: Any, filters: int, normalize: Normalization, name: str, index: int
) -> Any:
    """Convolve each channel by itself, 3x3, then mix the channels, 1x1.

    Unlike `keras.layers.SeparableConv2D` it normalizes in between, as the mobile
    networks of GAN Compression do.
    """
    x = layers.DepthwiseConv2D(
        3,
        use_bias=normalize.conv_bias,
        depthwise_initializer=_initializer(),
        name=f"{name}_depthwise_{index}",
    )(x)
    x = normalize(x, f"{name}_depthwise_norm_{index}")
    return conv(
        filters, 1, use_bias=normalize.conv_bias, name=f"{name}_pointwise_{index}"
    )(x)


def upsample(
    x: Any,
    filters: int,
    upsampling: Upsampling,
    *,
    kernel_size: int = 3,
    padding: Padding = "symmetric",
    use_bias: bool,
    name: str,
) -> Any:
    """Double the sides: a transposed convolution, or a resize and a convolution."""
    if upsampling != "transpose":
        x = layers.UpSampling2D(2, interpolation=upsampling)(x)
        return conv(filters, 3, use_bias=use_bias, name=name)(reflect_pad(x, 1))
    x = layers.Conv2DTranspose(
        filters,
        kernel_size,
        strides=2,
        padding="valid" if padding == "symmetric" else "same",
        use_bias=use_bias,
        kernel_initializer=_initializer(),
        name=name,
    )(x)
    if padding == "same":
        return x
    # The reference pads by one and, for the 3x3 kernel, adds one output row and
    # column at the end. Keras's "same" is shifted by a pixel there.
    cropping = (1, 0) if kernel_size == 3 else (1, 1)
    return layers.Cropping2D((cropping, cropping))(x)


def float_output(activation: str, name: str) -> Callable[[Any], Any]:
    """The last activation, in full precision also under a mixed-precision policy."""
    return layers.Activation(activation, dtype=keras.config.floatx(), name=name)


def check_choice(argument: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise a `ValueError` if a value is not one of the choices."""
    if value not in choices:
        raise ValueError(
            f"{argument} must be one of {', '.join(choices)}. Received: {value!r}"
        )


def check_positive(**arguments: int) -> None:
    """Raise a `ValueError` if a number is below 1."""
    for argument, value in arguments.items():
        if value < 1:
            raise ValueError(f"{argument} must be at least 1. Received: {value}")


def _scale_initializer() -> keras.initializers.Initializer:
    """A learned scale starts as N(1, 0.02), as in the reference."""
    return keras.initializers.RandomNormal(1.0, 0.02)


def _initializer() -> keras.initializers.Initializer:
    """A fresh N(0, 0.02): layers that share an initializer get equal weights."""
    return keras.initializers.RandomNormal(0.0, 0.02)
