"""The building blocks of the networks: padding, convolutions, normalization.

They use stock Keras layers and ``keras.ops`` only, so a saved network loads with plain
Keras. Layers with weights have fixed names, so weights of other frameworks find them.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
from keras import layers, ops

import cyclegan_tf.models.backend  # noqa: F401 (refuses other settings of Keras)
from cyclegan_tf.models.choices import Norm, Padding, Upsampling, check_choice

NORM_EPSILON = 1e-5


@dataclasses.dataclass(frozen=True)
class Normalization:
    """The normalization of a whole network; a call adds one layer.

    Attributes:
        norm: `"instance"` has no learned scale and offset, as in the reference;
            `"instance_affine"` has both, as in TensorFlow Addons; `"batch"`; `"none"`.
        epsilon: float. Added to the variance. Defaults to `1e-5`.

    Raises:
        ValueError: if `norm` is unknown, or `epsilon` is not positive.
    """

    norm: Norm = "instance"
    epsilon: float = NORM_EPSILON

    def __post_init__(self) -> None:
        check_choice("norm", self.norm, Norm)
        if not self.epsilon > 0:
            raise ValueError(f"norm_epsilon must be positive. Received: {self.epsilon}")

    @property
    def conv_bias(self) -> bool:
        """Whether the convolution before the norm has a bias.

        This is the reference's rule. An instance norm cancels the bias, but the
        reference's weights contain it; a learned offset replaces it.
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
        affine = self.norm == "instance_affine"
        return instance_norm(self.epsilon, scale=affine, center=affine, name=name)(x)


def instance_norm(
    epsilon: float = NORM_EPSILON,
    *,
    scale: bool = False,
    center: bool = False,
    name: str | None = None,
) -> layers.GroupNormalization:
    """Return the stock layer that normalizes each channel of each image.

    `(x - mean) / sqrt(variance + epsilon)`, mean and biased variance over height and
    width, then optionally a learned scale and offset (`center`) for each channel. The
    layer computes in float32 under a mixed-precision policy.

    Reference:
        Ulyanov et al., 2016, Instance Normalization: The Missing Ingredient for
        Fast Stylization, equation 6.
    """
    return layers.GroupNormalization(
        groups=-1,
        epsilon=epsilon,
        scale=scale,
        center=center,
        gamma_initializer=_scale_initializer(),
        name=name,
    )


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
    """Return a convolution with the reference's initial weights."""
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
    """Convolve (batch, height, width, channels) after padding with zeros.

    `"symmetric"` pads one pixel on every side, as PyTorch does; Keras's `"same"` shifts
    strided convolutions with odd kernels by a pixel.
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


def blur_and_halve(x: Any) -> Any:
    """Halve the sides of an image, blurred first so that nothing aliases.

    The filter is `[1, 2, 1] / 4` along each side, on reflected borders; odd sides round
    up. Two means of two pixels make that filter without any weights.

    Reference:
        Zhang, 2019, Making Convolutional Networks Shift-Invariant Again, section 3.
    """
    x = layers.AveragePooling2D(2, strides=1)(reflect_pad(x, 1))
    return layers.AveragePooling2D(2, strides=2)(x)


def separable_conv(
    x: Any, filters: int, normalize: Normalization, name: str, index: int
) -> Any:
    """Convolve each channel separately, 3x3, then mix the channels, 1x1.

    Unlike `keras.layers.SeparableConv2D`, it normalizes in between, as the mobile
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
    """Double the sides by a transposed convolution, or by resizing and convolving."""
    if upsampling == "antialiased":
        # Bilinear doubling is the reference's [1, 3, 3, 1] filter, to the digit.
        x = layers.UpSampling2D(2, interpolation="bilinear")(x)
        return padded_conv(x, filters, 3, use_bias=use_bias, name=name)
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
    """Return the output activation, in full precision even under mixed precision."""
    return layers.Activation(activation, dtype=keras.config.floatx(), name=name)


def check_positive(**arguments: int) -> None:
    """Raise a `ValueError` if a number is below 1."""
    for argument, value in arguments.items():
        if value < 1:
            raise ValueError(f"{argument} must be at least 1. Received: {value}")


def _scale_initializer() -> keras.initializers.Initializer:
    """Return N(1, 0.02) for learned scales, as in the reference."""
    return keras.initializers.RandomNormal(1.0, 0.02)


def _initializer() -> keras.initializers.Initializer:
    """Return a new N(0, 0.02): layers that share an initializer get equal weights."""
    return keras.initializers.RandomNormal(0.0, 0.02)
