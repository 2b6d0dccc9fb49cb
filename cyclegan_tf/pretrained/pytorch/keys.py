"""The PyTorch keys of the weights of our networks.

They follow the code of the authors of CycleGAN and CUT and, for the mobile generator,
GAN Compression: a key is a path of numbers through nested `nn.Sequential`.
"""

import itertools
import re
from collections.abc import Iterator, Mapping

import keras
import numpy as np

from cyclegan_tf.models.networks.architecture import count_layers, kind_of
from cyclegan_tf.models.networks.graph import consumers, is_instance_norm

# Permutations from PyTorch's layout to Keras's: of (out, in, h, w) for convolutions and
# (in, out, h, w) for transposed ones, and of (channels, 1, h, w) for depthwise ones.
_KERNEL_AXES = (2, 3, 1, 0)
_DEPTHWISE_AXES = (2, 3, 0, 1)

# The taps of CUT's blurs, along each side.
_DOWN = (1, 2, 1)
_UP = (1, 3, 3, 1)

# `DataParallel` and `torch.compile` put these in front, in any order.
_WRAPPERS = ("module", "_orig_mod")


def authors_key(key: str) -> str:
    """Return a key as the authors' code has it.

    The names of PyTorch's wrappers are dropped, and a residual block becomes
    `conv_block`, whatever others call it: `module.model.10.block.1.weight` becomes
    `model.10.conv_block.1.weight`.
    """
    plain = ".".join(part for part in key.split(".") if part not in _WRAPPERS)
    return re.sub(r"^(model\.\d+)\.[A-Za-z]\w*(?=\.\d)", r"\1.conv_block", plain)


def weights_by_key(
    network: keras.Model,
) -> Iterator[tuple[str, keras.Variable, tuple[int, ...]]]:
    """Yield each weight of a network with its PyTorch key.

    Args:
        network: a network of `cyclegan_tf.models.networks`.

    Yields:
        The key, the Keras variable, and the permutation of axes from PyTorch's array to
        Keras's.
    """
    for layer_name, prefix in _prefixes(network).items():
        layer = network.get_layer(layer_name)
        if not layer.weights:  # an instance norm without scale and offset
            continue
        if isinstance(layer, keras.layers.BatchNormalization):
            yield f"{prefix}.weight", layer.gamma, (0,)
            yield f"{prefix}.bias", layer.beta, (0,)
            yield f"{prefix}.running_mean", layer.moving_mean, (0,)
            yield f"{prefix}.running_var", layer.moving_variance, (0,)
            continue
        if is_instance_norm(layer):
            yield f"{prefix}.weight", layer.gamma, (0,)
            yield f"{prefix}.bias", layer.beta, (0,)
            continue
        depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
        axes = _DEPTHWISE_AXES if depthwise else _KERNEL_AXES
        yield f"{prefix}.weight", layer.kernel, axes
        if layer.use_bias:
            yield f"{prefix}.bias", layer.bias, (0,)


def biases_by_key(network: keras.Model) -> Iterator[tuple[str, int, bool]]:
    """Yield what the bias of each convolution is, or would be if it had one.

    Yields:
        The key, the number of values, and whether an instance norm follows, which
        cancels it.
    """
    takers = consumers(network)
    for layer_name, prefix in _prefixes(network).items():
        layer = network.get_layer(layer_name)
        if not hasattr(layer, "kernel"):
            continue
        after = takers[id(layer.output)]
        while [type(operation) for operation in after] == [keras.layers.Cropping2D]:
            after = takers[id(after[0].output)]
        cancelled = bool(after) and all(map(is_instance_norm, after))
        yield f"{prefix}.bias", layer.output.shape[-1], cancelled


def filters_by_key(network: keras.Model) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the constant filters that CUT's code stores for its blurs.

    Ours need none: they are means of pixels and bilinear doubling.

    Yields:
        The key and a float32 array (channels, 1, taps, taps), equal for all channels.
    """
    for stage, place in _places_of(network).items():
        if stage.startswith("blur_"):
            conv = network.get_layer(f"{stage.removeprefix('blur_')}_conv")
            is_up = stage.startswith("blur_up")
            taps, channels = (_UP, -2) if is_up else (_DOWN, -1)
            filt = np.outer(taps, taps).astype(np.float32) / 16
            shape = (conv.kernel.shape[channels], 1, *filt.shape)
            yield f"model.{place}.filt", np.broadcast_to(filt, shape)


def _prefixes(network: keras.Model) -> dict[str, str]:
    """Map the names of our layers to the key prefixes of the PyTorch code."""
    kind = kind_of(network)
    if kind in ("resnet", "mobile_resnet"):
        prefixes = _resnet_prefixes(network)
    elif kind == "unet":
        prefixes = _unet_prefixes(network)
    else:
        root = "net" if kind == "pixel" else "model"
        prefixes = _discriminator_prefixes(root, network)
    names = {layer.name for layer in network.layers}
    return {name: prefix for name, prefix in prefixes.items() if name in names}


def _resnet_prefixes(network: keras.Model) -> dict[str, str]:
    mobile = kind_of(network) == "mobile_resnet"
    # The mobile code always has a dropout in between, even at rate 0.
    second_conv = 6 if mobile or count_layers(network, "block_{}_dropout") else 5
    prefixes = {}
    for stage, place in _places_of(network).items():
        prefixes[f"{stage}_conv"] = f"model.{place}"
        prefixes[f"{stage}_norm"] = f"model.{place + 1}"
        for j, index in enumerate((1, second_conv)):
            block = f"model.{place}.conv_block"
            prefixes |= {
                f"{stage}_conv_{j}": f"{block}.{index}",
                f"{stage}_depthwise_{j}": f"{block}.{index}.conv.0",
                f"{stage}_depthwise_norm_{j}": f"{block}.{index}.conv.1",
                f"{stage}_pointwise_{j}": f"{block}.{index}.conv.2",
                f"{stage}_norm_{j}": f"{block}.{index + 1}",
            }
    return prefixes


def _unet_prefixes(network: keras.Model) -> dict[str, str]:
    innermost = count_layers(network, "down_{}_conv") - 1
    prefixes = {"down_0_conv": "model.model.0", "up_0_conv": "model.model.3"}
    for level in range(1, innermost + 1):
        inside = unet_level(level)
        up = 3 if level == innermost else 5
        prefixes[f"down_{level}_conv"] = f"{inside}1"
        prefixes[f"down_{level}_norm"] = f"{inside}2"
        prefixes[f"up_{level}_conv"] = f"{inside}{up}"
        prefixes[f"up_{level}_norm"] = f"{inside}{up + 1}"
    return prefixes


def unet_level(level: int) -> str:
    """Return the prefix of a level from 1; each is nested in the one outside it."""
    return "model.model.1.model." + "3.model." * (level - 1)


def _discriminator_prefixes(root: str, network: keras.Model) -> dict[str, str]:
    prefixes = {}
    for stage, place in _places_of(network).items():
        prefixes[f"{stage}_conv"] = f"{root}.{place}"
        prefixes[f"{stage}_norm"] = f"{root}.{place + 1}"
    return prefixes


def resnet_places(num_blocks: int, blurs_down: bool, blurs_up: bool) -> dict[str, int]:
    """Number the layers of a ResNet as its `nn.Sequential` does.

    Args:
        num_blocks: int. Number of residual blocks.
        blurs_down: whether a blur halves the sides, as in CUT, not a stride.
        blurs_up: whether a blur doubles them, not a transposed convolution.

    Returns:
        The number of the first layer of each stage.
    """
    blur_down, blur_up = int(blurs_down), int(blurs_up)
    blocks = {f"block_{i}": 1 for i in range(num_blocks)}
    return _places(
        {"padding": 1, "stem": 3}  # a convolution, a norm and an activation
        | {"down_0": 3, "blur_down_0": blur_down, "down_1": 3, "blur_down_1": blur_down}
        | blocks
        | {"blur_up_0": blur_up, "up_0": 3, "blur_up_1": blur_up, "up_1": 3}
        | {"last_padding": 1, "head": 1}
    )


def patchgan_places(num_layers: int, blurs_down: bool) -> dict[str, int]:
    """Number the layers of a discriminator as its `nn.Sequential` does.

    Args:
        num_layers: as for `patchgan_discriminator`; 1 for a pixel discriminator.
        blurs_down: as for `resnet_places`.

    Returns:
        The number of the first layer of each stage.
    """
    sizes = {}
    for i in range(num_layers + 1):
        sizes[f"layer_{i}"] = 3 if i > 0 else 2  # the first has no norm
        sizes[f"blur_layer_{i}"] = int(blurs_down and i < num_layers)
    return _places(sizes | {"head": 1})


def _places(sizes: Mapping[str, int]) -> dict[str, int]:
    places = itertools.accumulate(sizes.values(), initial=0)
    return {stage: place for stage, place in zip(sizes, places) if sizes[stage]}


def _places_of(network: keras.Model) -> dict[str, int]:
    kind = kind_of(network)
    if kind == "unet":
        return {}  # its layers are nested, not in a row
    if kind in ("patchgan", "pixel"):
        num_layers = count_layers(network, "layer_{}_conv") - 1
        return patchgan_places(
            num_layers, kind == "patchgan" and not _strided(network, "layer_0_conv")
        )
    first_conv = (
        "block_{}_pointwise_0" if kind == "mobile_resnet" else "block_{}_conv_0"
    )
    up = network.get_layer("up_0_conv")
    return resnet_places(
        count_layers(network, first_conv),
        blurs_down=not _strided(network, "down_0_conv"),
        blurs_up=not isinstance(up, keras.layers.Conv2DTranspose),
    )


def _strided(network: keras.Model, name: str) -> bool:
    return network.get_layer(name).strides == (2, 2)
