"""The generators of CycleGAN, as Keras functional models.

They match the authors' PyTorch code (for the mobile generator, GAN Compression's)
layer by layer, so its weights fit. They use stock Keras layers and ``keras.ops``
only: a saved network loads with plain Keras, without this package.

Notation in the comments (Zhu et al., 2017, section 7.2): ``c7s1-k`` is a 7x7
convolution with k filters, ``dk`` a stride-2 downsampling, ``Rk`` a residual
block, ``uk`` a stride-2 upsampling.

References:
    Zhu et al., 2017, Unpaired Image-to-Image Translation using
    Cycle-Consistent Adversarial Networks, sections 4 and 7.2.
    Johnson et al., 2016 (ResNet); Isola et al., 2017 (U-Net); Li et al., 2020
    (mobile ResNet).
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import layers, ops

from cyclegan_tf.models.choices import (
    Downsampling,
    Norm,
    Padding,
    Upsampling,
    check_choice,
)
from cyclegan_tf.models.networks.blocks import (
    NORM_EPSILON,
    Normalization,
    blur_and_halve,
    check_positive,
    conv,
    float_output,
    padded_conv,
    reflect_pad,
    separable_conv,
    upsample,
)

ImageShape = tuple[int | None, int | None, int]


def resnet_generator(
    filters: int = 64,
    num_residual_blocks: int = 9,
    *,
    image_shape: ImageShape = (None, None, 3),
    output_channels: int | None = None,
    norm: Norm = "instance",
    norm_epsilon: float = NORM_EPSILON,
    padding: Padding = "symmetric",
    dropout: float = 0.0,
    downsampling: Downsampling = "strided",
    upsampling: Upsampling = "transpose",
    name: str = "resnet_generator",
) -> keras.Model:
    """Build the ResNet generator: two downsamplings, residual blocks, two upsamplings.

    Image sides should be multiples of 4; other sides grow to the next multiple.

    Args:
        filters: int. Filters of the first convolution; the residual blocks have
            four times as many. Defaults to `64`.
        num_residual_blocks: int. The paper uses 9 for 256x256 and larger images,
            6 for 128x128. Defaults to `9`.
        image_shape: (height, width, channels) of the input; height and width may
            be `None`. Defaults to `(None, None, 3)`.
        output_channels: int. Defaults to the channels of the input.
        norm: `"instance"` (no learned scale or offset), `"instance_affine"` (with
            both, as in TensorFlow Addons), `"batch"` or `"none"`. Defaults to
            `"instance"`.
        norm_epsilon: float. Added to the variance; Addons has 1e-3. Defaults to
            `1e-5`.
        padding: of strided convolutions. `"symmetric"` pads one pixel on every
            side, as the reference does; `"same"` is Keras's. Defaults to
            `"symmetric"`.
        dropout: float. Dropout rate inside each residual block (the reference
            offers 0.5). Defaults to `0.0`, none.
        downsampling: `"strided"` is a convolution of stride 2; `"antialiased"`, as in
            CUT, convolves, blurs and then takes every second pixel. Defaults to
            `"strided"`.
        upsampling: `"transpose"` is the reference's transposed convolution;
            `"nearest"` and `"bilinear"` resize, then convolve, which avoids
            checkerboard patterns; `"antialiased"`, as in CUT, is `"bilinear"` with
            zeros around the convolution's input. Defaults to `"transpose"`.
        name: str. Name of the model.

    Returns:
        A `keras.Model` from float (batch, height, width, channels) in [-1, 1] to
        float (batch, height, width, output_channels) in [-1, 1].

    Raises:
        ValueError: if an argument is out of its range.

    Reference:
        Zhu et al., 2017, sections 4 and 7.2.
    """
    check_positive(filters=filters)
    if num_residual_blocks < 0:
        raise ValueError(
            "num_residual_blocks must not be negative. "
            f"Received: num_residual_blocks={num_residual_blocks}"
        )
    return _resnet(
        [filters, 2 * filters, 4 * filters, 2 * filters, filters],
        [4 * filters] * num_residual_blocks,
        _full_conv,
        image_shape,
        output_channels,
        Normalization(norm, norm_epsilon),
        padding,
        dropout,
        downsampling,
        upsampling,
        name,
    )


def mobile_resnet_generator(
    filters: Sequence[int] = (16, 32, 128, 32, 16),
    block_filters: Sequence[int] = (64, 64, 64, 128, 128, 128, 128, 128, 128),
    *,
    image_shape: ImageShape = (None, None, 3),
    output_channels: int | None = None,
    norm: Norm = "instance",
    norm_epsilon: float = NORM_EPSILON,
    padding: Padding = "symmetric",
    dropout: float = 0.0,
    downsampling: Downsampling = "strided",
    upsampling: Upsampling = "transpose",
    name: str = "mobile_resnet_generator",
) -> keras.Model:
    """Build the ResNet generator with separable convolutions in its residual blocks.

    The defaults are GAN Compression's horse-to-zebra network: 356,867 parameters
    instead of the 11.4 million of `resnet_generator`.

    Args:
        filters: five ints. Filters of the first convolution, the two downsamplings
            and the two upsamplings.
        block_filters: ints. For each residual block, the filters between its two
            convolutions.
        image_shape: as for `resnet_generator`.
        output_channels: int. Defaults to the channels of the input.
        norm: as for `resnet_generator`; also inside separable convolutions.
        norm_epsilon: as for `resnet_generator`.
        padding: as for `resnet_generator`.
        dropout: as for `resnet_generator`.
        downsampling: as for `resnet_generator`.
        upsampling: as for `resnet_generator`.
        name: str. Name of the model.

    Returns:
        A `keras.Model` from float (batch, height, width, channels) in [-1, 1] to
        float (batch, height, width, output_channels) in [-1, 1].

    Raises:
        ValueError: if an argument is out of its range.

    Reference:
        Li et al., 2020, GAN Compression: Efficient Architectures for Interactive
        Conditional GANs, section 3 and supplementary material.
    """
    if len(filters) != 5:
        raise ValueError(f"filters must be five numbers. Received: {filters}")
    for number in (*filters, *block_filters):
        check_positive(filters=number)
    return _resnet(
        filters,
        block_filters,
        separable_conv,
        image_shape,
        output_channels,
        Normalization(norm, norm_epsilon),
        padding,
        dropout,
        downsampling,
        upsampling,
        name,
    )


def unet_generator(
    filters: int = 64,
    num_levels: int = 8,
    *,
    image_shape: ImageShape = (None, None, 3),
    output_channels: int | None = None,
    norm: Norm = "instance",
    norm_epsilon: float = NORM_EPSILON,
    dropout: float = 0.0,
    upsampling: Upsampling = "transpose",
    name: str = "unet_generator",
) -> keras.Model:
    """Build the U-Net generator: downsampling, and upsampling with skip connections.

    Image sides must be multiples of `2 ** num_levels`. The innermost map is not
    normalized: instance normalization would erase a map of one pixel.

    Args:
        filters: int. Filters of the outermost level; they double per level, up to
            8 times as many. Defaults to `64`.
        num_levels: int. Number of downsamplings: 8 reduce 256x256 to one pixel, 7
            are the reference's network for 128x128. Defaults to `8`.
        image_shape: as for `resnet_generator`.
        output_channels: int. Defaults to the channels of the input.
        norm: as for `resnet_generator`.
        norm_epsilon: as for `resnet_generator`.
        dropout: float. Dropout rate in the upsampling levels between the innermost
            and the four outermost (the reference offers 0.5). Defaults to `0.0`,
            none.
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
    normalize = Normalization(norm, norm_epsilon)
    check_choice("upsampling", upsampling, Upsampling)
    check_positive(filters=filters)
    if num_levels < 2:
        raise ValueError(f"num_levels must be at least 2. Received: {num_levels}")
    use_bias = normalize.conv_bias
    innermost = num_levels - 1

    image = keras.Input(image_shape, name="image")
    x = image
    skips = []
    for level in range(num_levels):
        if level > 0:
            skips.append(x)
            x = ops.leaky_relu(x, 0.2)
        width = filters * min(2**level, 8)
        # With even sides, "same" pads one pixel on every side, as the reference does.
        x = conv(
            width,
            4,
            strides=2,
            padding="same",
            use_bias=use_bias,
            name=f"down_{level}_conv",
        )(x)
        if 0 < level < innermost:
            x = normalize(x, f"down_{level}_norm")

    for level in range(innermost, 0, -1):
        width = filters * min(2 ** (level - 1), 8)
        x = upsample(
            ops.relu(x),
            width,
            upsampling,
            kernel_size=4,
            use_bias=use_bias,
            name=f"up_{level}_conv",
        )
        x = normalize(x, f"up_{level}_norm")
        if dropout and 4 <= level < innermost:
            x = layers.Dropout(dropout, name=f"up_{level}_dropout")(x)
        x = layers.Concatenate()([skips.pop(), x])

    x = upsample(
        ops.relu(x),
        output_channels or image_shape[-1],
        upsampling,
        kernel_size=4,
        use_bias=True,
        name="up_0_conv",
    )
    return keras.Model(image, float_output("tanh", "translated")(x), name=name)


def _resnet(
    filters: Sequence[int],
    block_filters: Sequence[int],
    convolve: Callable[[Any, int, Normalization, str, int], Any],
    image_shape: ImageShape,
    output_channels: int | None,
    normalize: Normalization,
    padding: Padding,
    dropout: float,
    downsampling: Downsampling,
    upsampling: Upsampling,
    name: str,
) -> keras.Model:
    """Build a ResNet generator whose residual blocks use `convolve`."""
    check_choice("padding", padding, Padding)
    check_choice("downsampling", downsampling, Downsampling)
    check_choice("upsampling", upsampling, Upsampling)
    antialiased = downsampling == "antialiased"
    stem, *down, up_0, up_1 = filters
    use_bias = normalize.conv_bias

    image = keras.Input(image_shape, name="image")
    x = conv(stem, 7, use_bias=use_bias, name="stem_conv")(reflect_pad(image, 3))
    x = ops.relu(normalize(x, "stem_norm"))  # c7s1-64

    for i, width in enumerate(down):
        x = padded_conv(
            x,
            width,
            3,
            strides=1 if antialiased else 2,
            padding=padding,
            use_bias=use_bias,
            name=f"down_{i}_conv",
        )
        x = ops.relu(normalize(x, f"down_{i}_norm"))  # d128, d256
        if antialiased:
            x = blur_and_halve(x)

    for i, width in enumerate(block_filters):
        x = _residual_block(
            x, width, convolve, normalize, dropout, f"block_{i}"
        )  # R256

    for i, width in enumerate((up_0, up_1)):
        x = upsample(
            x,
            width,
            upsampling,
            padding=padding,
            use_bias=use_bias,
            name=f"up_{i}_conv",
        )
        x = ops.relu(normalize(x, f"up_{i}_norm"))  # u128, u64

    x = reflect_pad(x, 3)
    x = conv(output_channels or image_shape[-1], 7, name="head_conv")(x)  # c7s1-3
    return keras.Model(image, float_output("tanh", "translated")(x), name=name)


def _residual_block(
    x: Any,
    filters: int,
    convolve: Callable[[Any, int, Normalization, str, int], Any],
    normalize: Normalization,
    dropout: float,
    name: str,
) -> Any:
    """Add two convolutions to their input, without activation after the sum."""
    residual = convolve(reflect_pad(x, 1), filters, normalize, name, 0)
    residual = ops.relu(normalize(residual, f"{name}_norm_0"))
    if dropout:
        residual = layers.Dropout(dropout, name=f"{name}_dropout")(residual)
    residual = convolve(reflect_pad(residual, 1), x.shape[-1], normalize, name, 1)
    return layers.Add(name=name)([x, normalize(residual, f"{name}_norm_1")])


def _full_conv(
    x: Any, filters: int, normalize: Normalization, name: str, index: int
) -> Any:
    """Convolve 3x3 inside a residual block."""
    return conv(filters, 3, use_bias=normalize.conv_bias, name=f"{name}_conv_{index}")(
        x
    )
