"""The discriminators of CycleGAN, as Keras functional models.

In the comments ``Ck`` is a 4x4 layer with k filters (Zhu et al., 2017, section 7.2).
"""

import keras
from keras import ops

from cyclegan_tf.models.choices import Downsampling, Norm, Padding, check_choice
from cyclegan_tf.models.networks.blocks import (
    NORM_EPSILON,
    Normalization,
    blur_and_halve,
    check_positive,
    conv,
    float_output,
    padded_conv,
)
from cyclegan_tf.models.networks.generators import ImageShape


def patchgan_discriminator(
    filters: int = 64,
    num_layers: int = 3,
    *,
    image_shape: ImageShape = (None, None, 3),
    norm: Norm = "instance",
    norm_epsilon: float = NORM_EPSILON,
    padding: Padding = "symmetric",
    downsampling: Downsampling = "strided",
    name: str = "patchgan_discriminator",
) -> keras.Model:
    """Build the PatchGAN: each output judges one overlapping patch of the image.

    Args:
        filters: int. Filters of the first layer; they double per layer, up to
            8 times as many. Defaults to `64`.
        num_layers: int, 1 to 5. The receptive field is 16, 34, 70, 142 or 286
            pixels a side. Defaults to `3`, the paper's 70x70.
        image_shape: as for `resnet_generator`.
        norm: as for `resnet_generator`.
        norm_epsilon: as for `resnet_generator`.
        padding: `"symmetric"` pads one pixel on every side, as the reference does;
            `"same"` is Keras's, with a map of 32x32 for a 256x256 image. Defaults
            to `"symmetric"`.
        downsampling: as for `resnet_generator`.
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
    normalize = Normalization(norm, norm_epsilon)
    check_choice("padding", padding, Padding)
    check_positive(filters=filters)
    if not 1 <= num_layers <= 5:
        raise ValueError(f"num_layers must be from 1 to 5. Received: {num_layers}")

    check_choice("downsampling", downsampling, Downsampling)
    antialiased = downsampling == "antialiased"

    image = keras.Input(image_shape, name="image")
    x = image
    for i in range(num_layers + 1):
        halves = i < num_layers
        x = padded_conv(
            x,
            filters * min(2**i, 8),
            4,
            strides=2 if halves and not antialiased else 1,
            padding=padding,
            use_bias=normalize.conv_bias or i == 0,
            name=f"layer_{i}_conv",
        )
        if i > 0:
            x = normalize(x, f"layer_{i}_norm")
        x = ops.leaky_relu(x, 0.2)  # C64, C128 ...
        if halves and antialiased:
            x = blur_and_halve(x)
    x = padded_conv(x, 1, 4, padding=padding, name="head_conv")
    return keras.Model(image, float_output("linear", "logits")(x), name=name)


def pixel_discriminator(
    filters: int = 64,
    *,
    image_shape: ImageShape = (None, None, 3),
    norm: Norm = "instance",
    norm_epsilon: float = NORM_EPSILON,
    name: str = "pixel_discriminator",
) -> keras.Model:
    """Build the 1x1 PatchGAN, which judges every pixel by its color alone.

    Args:
        filters: int. Filters of the first layer. Defaults to `64`.
        image_shape: as for `resnet_generator`.
        norm: as for `resnet_generator`.
        norm_epsilon: as for `resnet_generator`.
        name: str. Name of the model.

    Returns:
        A `keras.Model` from float (batch, height, width, channels) in [-1, 1] to
        float (batch, height, width, 1) of unbounded logits.

    Raises:
        ValueError: if an argument is out of its range.

    Reference:
        Isola et al., 2017, section 6.1.2 (the 1x1 "PixelGAN").
    """
    normalize = Normalization(norm, norm_epsilon)
    check_positive(filters=filters)
    use_bias = normalize.conv_bias

    image = keras.Input(image_shape, name="image")
    x = conv(filters, 1, name="layer_0_conv")(image)
    x = ops.leaky_relu(x, 0.2)
    x = conv(2 * filters, 1, use_bias=use_bias, name="layer_1_conv")(x)
    x = ops.leaky_relu(normalize(x, "layer_1_norm"), 0.2)
    x = conv(1, 1, use_bias=use_bias, name="head_conv")(x)
    return keras.Model(image, float_output("linear", "logits")(x), name=name)
