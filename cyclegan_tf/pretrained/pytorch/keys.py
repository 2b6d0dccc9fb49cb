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
    kind = kind_of(network)
    if kind == "patchgan" and _blurs_down(network):
        num_layers = count_layers(network, "layer_{}_conv") - 1
        places = patchgan_places(num_layers, True)
        for i in range(num_layers):
            channels = network.get_layer(f"layer_{i}_conv").filters
            yield f"model.{places[f'blur_down_{i}']}.filt", _filter(_DOWN, channels)
    elif kind in ("resnet", "mobile_resnet"):
        places = _resnet_places_of(network)
        for i in range(2):
            if _blurs_down(network):
                channels = network.get_layer(f"down_{i}_conv").filters
                yield f"model.{places[f'blur_down_{i}']}.filt", _filter(_DOWN, channels)
            if _blurs_up(network):
                channels = network.get_layer(f"up_{i}_conv").kernel.shape[2]
                yield f"model.{places[f'blur_up_{i}']}.filt", _filter(_UP, channels)


def _filter(taps: tuple[int, ...], channels: int) -> np.ndarray:
    filt = np.outer(taps, taps).astype(np.float32) / 16
    return np.broadcast_to(filt, (channels, 1, *filt.shape))


def _prefixes(network: keras.Model) -> dict[str, str]:
    """Map the names of our layers to the key prefixes of the PyTorch code."""
    kind = kind_of(network)
    if kind in ("resnet", "mobile_resnet"):
        prefixes = _resnet_prefixes(network)
    elif kind == "unet":
        prefixes = _unet_prefixes(network)
    else:
        prefixes = _discriminator_prefixes(network)
    names = {layer.name for layer in network.layers}
    return {name: prefix for name, prefix in prefixes.items() if name in names}


def _resnet_prefixes(network: keras.Model) -> dict[str, str]:
    mobile = kind_of(network) == "mobile_resnet"
    places = _resnet_places_of(network)
    prefixes = {"head_conv": f"model.{places['head']}"}
    for stage in ("stem", "down_0", "down_1", "up_0", "up_1"):
        prefixes[f"{stage}_conv"] = f"model.{places[stage]}"
        prefixes[f"{stage}_norm"] = f"model.{places[stage] + 1}"
    # The mobile code always has a dropout in between, even at rate 0.
    second_conv = 6 if mobile or count_layers(network, "block_{}_dropout") else 5
    for i in range(_num_blocks(network)):
        for j, index in enumerate((1, second_conv)):
            block = f"model.{places[f'block_{i}']}.conv_block"
            prefixes |= {
                f"block_{i}_conv_{j}": f"{block}.{index}",
                f"block_{i}_depthwise_{j}": f"{block}.{index}.conv.0",
                f"block_{i}_depthwise_norm_{j}": f"{block}.{index}.conv.1",
                f"block_{i}_pointwise_{j}": f"{block}.{index}.conv.2",
                f"block_{i}_norm_{j}": f"{block}.{index + 1}",
            }
    return prefixes


def resnet_places(num_blocks: int, blurs_down: bool, blurs_up: bool) -> dict[str, int]:
    """Map the stages of a ResNet to the numbers of their first layers.

    Args:
        num_blocks: int. Number of residual blocks.
        blurs_down: whether blurs halve the sides, as in CUT, not the strides.
        blurs_up: whether blurs double them, not transposed convolutions.
    """
    return _places(
        {
            "padding": 1,
            "stem": 3,
            "down_0": 3,
            "blur_down_0": int(blurs_down),
            "down_1": 3,
            "blur_down_1": int(blurs_down),
            **{f"block_{i}": 1 for i in range(num_blocks)},
            "blur_up_0": int(blurs_up),
            "up_0": 3,
            "blur_up_1": int(blurs_up),
            "up_1": 3,
            "last_padding": 1,
            "head": 1,
        }
    )


def _resnet_places_of(network: keras.Model) -> dict[str, int]:
    return resnet_places(_num_blocks(network), _blurs_down(network), _blurs_up(network))


def _num_blocks(network: keras.Model) -> int:
    mobile = kind_of(network) == "mobile_resnet"
    return count_layers(network, f"block_{{}}_{'pointwise' if mobile else 'conv'}_0")


def _blurs_down(network: keras.Model) -> bool:
    first = "layer_0_conv" if kind_of(network) == "patchgan" else "down_0_conv"
    return network.get_layer(first).strides == (1, 1)


def _blurs_up(network: keras.Model) -> bool:
    return not isinstance(network.get_layer("up_0_conv"), keras.layers.Conv2DTranspose)


def _places(sizes: Mapping[str, int]) -> dict[str, int]:
    """Map stages to their first layers, given how many layers each has."""
    return dict(zip(sizes, itertools.accumulate(sizes.values(), initial=0)))


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


def _discriminator_prefixes(network: keras.Model) -> dict[str, str]:
    pixel = kind_of(network) == "pixel"
    root = "net" if pixel else "model"
    num_layers = count_layers(network, "layer_{}_conv") - 1
    places = patchgan_places(num_layers, not pixel and _blurs_down(network))
    prefixes = {"head_conv": f"{root}.{places['head']}"}
    for i in range(num_layers + 1):
        prefixes[f"layer_{i}_conv"] = f"{root}.{places[f'layer_{i}']}"
        prefixes[f"layer_{i}_norm"] = f"{root}.{places[f'layer_{i}'] + 1}"
    return prefixes


def patchgan_places(num_layers: int, blurs_down: bool) -> dict[str, int]:
    """Map the stages of a PatchGAN to the numbers of their first layers.

    Args:
        num_layers: as for `patchgan_discriminator`.
        blurs_down: as for `resnet_places`.
    """
    sizes = {}
    for i in range(num_layers + 1):
        sizes[f"layer_{i}"] = 3 if i > 0 else 2  # the first has no norm
        sizes[f"blur_down_{i}"] = int(blurs_down and i < num_layers)
    return _places({**sizes, "head": 1})
