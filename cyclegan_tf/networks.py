"""The generators and discriminators of CycleGAN, as Keras functional models.

Layer for layer the networks of the authors' PyTorch code, so that their weights
fit. They are made of stock Keras layers and ``keras.ops`` only: a saved network
loads with plain Keras, without this package.

Notation in the comments (Zhu et al., 2017, section 7.2): ``c7s1-k`` is a 7x7
convolution with k filters, ``dk`` a stride-2 downsampling, ``Rk`` a residual
block, ``uk`` a stride-2 upsampling, ``Ck`` a 4x4 discriminator layer.

References:
    Zhu et al., 2017, Unpaired Image-to-Image Translation using
    Cycle-Consistent Adversarial Networks, sections 4 and 7.2.
    Johnson et al., 2016 (ResNet generator); Isola et al., 2017 (U-Net, PatchGAN);
    Ulyanov et al., 2016 (instance normalization).
"""

from collections.abc import Callable
from typing import Any, Literal

import keras
from keras import layers, ops

Norm = Literal["instance", "batch", "none"]
Upsampling = Literal["transpose", "nearest", "bilinear"]
ImageShape = tuple[int | None, int | None, int]

NORM_EPSILON = 1e-5


def resnet_generator(
    filters: int = 64,
    num_residual_blocks: int = 9,
    *,
    image_shape: ImageShape = (None, None, 3),
    output_channels: int | None = None,
    norm: Norm = "instance",
    dropout: float = 0.0,
    upsampling: Upsampling = "transpose",
    name: str = "resnet_generator",
) -> keras.Model:
    """Build the ResNet generator: two strided convolutions, residual blocks, two up.

    Sides should be multiples of 4; the output of any other size is rounded up to
    the next multiple.

    Args:
        filters: int. Filters of the first convolution; the residual blocks have
            four times as many. Defaults to `64`.
        num_residual_blocks: int. The paper uses 9 for 256x256 images and larger,
            6 for 128x128. Defaults to `9`.
        image_shape: (height, width, channels) of the input; height and width may
            be `None`. Defaults to `(None, None, 3)`.
        output_channels: int. Defaults to the channels of the input.
        norm: `"instance"` (no learned scale or offset, epsilon 1e-5), `"batch"`
            or `"none"`. Defaults to `"instance"`.
        dropout: float. Rate of the dropout inside each residual block (the
            reference offers 0.5). Defaults to `0.0`, none.
        upsampling: `"transpose"` is the reference's transposed convolution;
            `"nearest"` and `"bilinear"` resize, then convolve, which avoids
            checkerboard patterns. Defaults to `"transpose"`.
        name: str. Name of the model.

    Returns:
        A `keras.Model` from float (batch, height, width, channels) in [-1, 1] to
        float (batch, height, width, output_channels) in [-1, 1].

    Raises:
        ValueError: if an argument is out of its range.

    Reference:
        Zhu et al., 2017, sections 4 and 7.2.
    """
    _check_choice("norm", norm, ("instance", "batch", "none"))
    _check_choice("upsampling", upsampling, ("transpose", "nearest", "bilinear"))
    _check_positive(filters=filters)
    if num_residual_blocks < 0:
        raise ValueError(
            "num_residual_blocks must not be negative. "
            f"Received: num_residual_blocks={num_residual_blocks}"
        )
    use_bias = norm == "instance"

    def normalize_relu(x: Any, name: str) -> Any:
        return ops.relu(_normalize(x, norm, name))

    image = keras.Input(image_shape, name="image")
    x = _reflect_pad(image, 3)
    x = _conv(filters, 7, use_bias=use_bias, name="stem_conv")(x)
    x = normalize_relu(x, "stem_norm")  # c7s1-64

    for i, width in enumerate((2 * filters, 4 * filters)):
        x = layers.ZeroPadding2D(1)(x)
        x = _conv(width, 3, strides=2, use_bias=use_bias, name=f"down_{i}_conv")(x)
        x = normalize_relu(x, f"down_{i}_norm")  # d128, d256

    for i in range(num_residual_blocks):
        x = _residual_block(x, 4 * filters, norm, dropout, f"block_{i}")  # R256

    for i, width in enumerate((2 * filters, filters)):
        x = _upsample(x, width, upsampling, use_bias, f"up_{i}_conv")
        x = normalize_relu(x, f"up_{i}_norm")  # u128, u64

    x = _reflect_pad(x, 3)
    x = _conv(output_channels or image_shape[-1], 7, name="head_conv")(x)  # c7s1-3
    return keras.Model(image, _float_output("tanh", "translated")(x), name=name)


def unet_generator(
    filters: int = 64,
    num_levels: int = 8,
    *,
    image_shape: ImageShape = (None, None, 3),
    output_channels: int | None = None,
    norm: Norm = "instance",
    dropout: float = 0.0,
    upsampling: Upsampling = "transpose",
    name: str = "unet_generator",
) -> keras.Model:
    """Build the U-Net generator: strided convolutions down, and up again with skips.

    Sides must be multiples of `2 ** num_levels`. The innermost map is not
    normalized: at one pixel a side, instance normalization would erase it.

    Args:
        filters: int. Filters of the outermost level; they double per level up to
            eight times as many. Defaults to `64`.
        num_levels: int. Number of halvings: 8 brings 256x256 to one pixel, 7 is
            the reference's network for 128x128. Defaults to `8`.
        image_shape: (height, width, channels) of the input; height and width may
            be `None`. Defaults to `(None, None, 3)`.
        output_channels: int. Defaults to the channels of the input.
        norm: `"instance"`, `"batch"` or `"none"`. Defaults to `"instance"`.
        dropout: float. Rate of the dropout on the way up, in the levels between
            the innermost and the four outermost (the reference offers 0.5).
            Defaults to `0.0`, none.
        upsampling: as for `resnet_generator`. Defaults to `"transpose"`.
        name: str. Name of the model.

    Returns:
        A `keras.Model` from float (batch, height, width, channels) in [-1, 1] to
        float (batch, height, width, output_channels) in [-1, 1].

    Raises:
        ValueError: if an argument is out of its range.

    Reference:
        Isola et al., 2017, Image-to-Image Translation with Conditional
        Adversarial Networks, section 6.1.1.
    """
    _check_choice("norm", norm, ("instance", "batch", "none"))
    _check_choice("upsampling", upsampling, ("transpose", "nearest", "bilinear"))
    _check_positive(filters=filters)
    if num_levels < 2:
        raise ValueError(f"num_levels must be at least 2. Received: {num_levels}")
    use_bias = norm == "instance"
    innermost = num_levels - 1

    image = keras.Input(image_shape, name="image")
    x = image
    skips = []
    for level in range(num_levels):
        if level > 0:
            skips.append(x)
            x = ops.leaky_relu(x, 0.2)
        width = filters * min(2**level, 8)
        # For the even sides of a U-Net "same" pads one pixel all around, as the
        # reference does.
        x = _conv(
            width,
            4,
            strides=2,
            padding="same",
            use_bias=use_bias,
            name=f"down_{level}_conv",
        )(x)
        if 0 < level < innermost:
            x = _normalize(x, norm, f"down_{level}_norm")

    for level in range(innermost, 0, -1):
        width = filters * min(2 ** (level - 1), 8)
        x = _upsample(
            ops.relu(x), width, upsampling, use_bias, f"up_{level}_conv", kernel_size=4
        )
        x = _normalize(x, norm, f"up_{level}_norm")
        if dropout and 4 <= level < innermost:
            x = layers.Dropout(dropout, name=f"up_{level}_dropout")(x)
        x = layers.Concatenate()([skips.pop(), x])

    x = _upsample(
        ops.relu(x),
        output_channels or image_shape[-1],
        upsampling,
        True,
        "up_0_conv",
        kernel_size=4,
    )
    return keras.Model(image, _float_output("tanh", "translated")(x), name=name)


def patchgan_discriminator(
    filters: int = 64,
    num_layers: int = 3,
    *,
    image_shape: ImageShape = (None, None, 3),
    norm: Norm = "instance",
    name: str = "patchgan_discriminator",
) -> keras.Model:
    """Build the PatchGAN: each output judges one overlapping patch of the image.

    Args:
        filters: int. Filters of the first layer; they double per layer up to
            eight times as many. Defaults to `64`.
        num_layers: int, 1 to 5. The receptive field is 16, 34, 70, 142 or 286
            pixels a side. Defaults to `3`, the paper's 70x70.
        image_shape: (height, width, channels) of the input; height and width may
            be `None`. Defaults to `(None, None, 3)`.
        norm: `"instance"`, `"batch"` or `"none"`. Defaults to `"instance"`.
        name: str. Name of the model.

    Returns:
        A `keras.Model` from float (batch, height, width, channels) in [-1, 1] to
        float (batch, rows, columns, 1) of unbounded logits: 30x30 for a 256x256
        image and three layers.

    Raises:
        ValueError: if an argument is out of its range.

    Reference:
        Zhu et al., 2017, section 7.2; Isola et al., 2017, section 6.1.2.
    """
    _check_choice("norm", norm, ("instance", "batch", "none"))
    _check_positive(filters=filters)
    if not 1 <= num_layers <= 5:
        raise ValueError(f"num_layers must be from 1 to 5. Received: {num_layers}")
    use_bias = norm == "instance"

    image = keras.Input(image_shape, name="image")
    x = layers.ZeroPadding2D(1)(image)
    x = _conv(filters, 4, strides=2, name="layer_0_conv")(x)
    x = ops.leaky_relu(x, 0.2)  # C64
    for i in range(1, num_layers + 1):
        x = layers.ZeroPadding2D(1)(x)
        x = _conv(
            filters * min(2**i, 8),
            4,
            strides=2 if i < num_layers else 1,
            use_bias=use_bias,
            name=f"layer_{i}_conv",
        )(x)
        x = ops.leaky_relu(_normalize(x, norm, f"layer_{i}_norm"), 0.2)  # C128 ...
    x = layers.ZeroPadding2D(1)(x)
    x = _conv(1, 4, name="head_conv")(x)
    return keras.Model(image, _float_output("linear", "logits")(x), name=name)


def pixel_discriminator(
    filters: int = 64,
    *,
    image_shape: ImageShape = (None, None, 3),
    norm: Norm = "instance",
    name: str = "pixel_discriminator",
) -> keras.Model:
    """Build the 1x1 PatchGAN, which judges every pixel by its colour alone.

    Args:
        filters: int. Filters of the first layer. Defaults to `64`.
        image_shape: (height, width, channels) of the input; height and width may
            be `None`. Defaults to `(None, None, 3)`.
        norm: `"instance"`, `"batch"` or `"none"`. Defaults to `"instance"`.
        name: str. Name of the model.

    Returns:
        A `keras.Model` from float (batch, height, width, channels) in [-1, 1] to
        float (batch, height, width, 1) of unbounded logits.

    Raises:
        ValueError: if an argument is out of its range.

    Reference:
        Isola et al., 2017, section 6.1.2 (the 1x1 "PixelGAN").
    """
    _check_choice("norm", norm, ("instance", "batch", "none"))
    _check_positive(filters=filters)
    use_bias = norm == "instance"

    image = keras.Input(image_shape, name="image")
    x = _conv(filters, 1, name="layer_0_conv")(image)
    x = ops.leaky_relu(x, 0.2)
    x = _conv(2 * filters, 1, use_bias=use_bias, name="layer_1_conv")(x)
    x = ops.leaky_relu(_normalize(x, norm, "layer_1_norm"), 0.2)
    x = _conv(1, 1, use_bias=use_bias, name="head_conv")(x)
    return keras.Model(image, _float_output("linear", "logits")(x), name=name)


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


def _residual_block(x: Any, filters: int, norm: Norm, dropout: float, name: str) -> Any:
    """Add two convolutions to their input; no activation after the sum."""
    use_bias = norm == "instance"
    residual = _reflect_pad(x, 1)
    residual = _conv(filters, 3, use_bias=use_bias, name=f"{name}_conv_0")(residual)
    residual = ops.relu(_normalize(residual, norm, f"{name}_norm_0"))
    if dropout:
        residual = layers.Dropout(dropout, name=f"{name}_dropout")(residual)
    residual = _reflect_pad(residual, 1)
    residual = _conv(filters, 3, use_bias=use_bias, name=f"{name}_conv_1")(residual)
    return x + _normalize(residual, norm, f"{name}_norm_1")


def _upsample(
    x: Any,
    filters: int,
    upsampling: Upsampling,
    use_bias: bool,
    name: str,
    kernel_size: int = 3,
) -> Any:
    """Double the sides: a transposed convolution, or a resize and a convolution."""
    if upsampling == "transpose":
        transpose = layers.Conv2DTranspose(
            filters,
            kernel_size,
            strides=2,
            padding="valid",
            use_bias=use_bias,
            kernel_initializer=_initializer(),
            name=name,
        )
        # The reference pads by one and, for the 3x3 kernel, adds one output row
        # and column at the end. Keras's "same" is shifted by a pixel there.
        cropping = (1, 0) if kernel_size == 3 else (1, 1)
        return layers.Cropping2D((cropping, cropping))(transpose(x))
    x = layers.UpSampling2D(2, interpolation=upsampling)(x)
    return _conv(filters, 3, use_bias=use_bias, name=name)(_reflect_pad(x, 1))


def _conv(
    filters: int,
    kernel_size: int,
    *,
    strides: int = 1,
    padding: str = "valid",
    use_bias: bool = True,
    name: str,
) -> Callable[[Any], Any]:
    return layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding=padding,
        use_bias=use_bias,
        kernel_initializer=_initializer(),
        name=name,
    )


def _initializer() -> keras.initializers.Initializer:
    """A fresh N(0, 0.02): layers that share an initializer get equal weights."""
    return keras.initializers.RandomNormal(0.0, 0.02)


def _normalize(x: Any, norm: Norm, name: str) -> Any:
    if norm == "instance":
        return instance_norm(x)
    if norm == "batch":
        # PyTorch's momentum 0.1 is Keras's 0.9.
        return layers.BatchNormalization(
            momentum=0.9,
            epsilon=NORM_EPSILON,
            gamma_initializer=keras.initializers.RandomNormal(1.0, 0.02),
            name=name,
        )(x)
    return x


def _reflect_pad(x: Any, pixels: int) -> Any:
    return ops.pad(x, ((0, 0), (pixels,) * 2, (pixels,) * 2, (0, 0)), mode="reflect")


def _float_output(activation: str, name: str) -> Callable[[Any], Any]:
    """The last activation, in full precision also under a mixed-precision policy."""
    return layers.Activation(activation, dtype=keras.config.floatx(), name=name)


def _check_choice(argument: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(
            f"{argument} must be one of {', '.join(choices)}. Received: {value!r}"
        )


def _check_positive(**arguments: int) -> None:
    for argument, value in arguments.items():
        if value < 1:
            raise ValueError(f"{argument} must be at least 1. Received: {value}")
