"""The PyTorch keys of the weights of our networks.

They follow the CycleGAN authors' code and, for the mobile generator, GAN Compression: a
key is a path of numbers through nested `nn.Sequential`.
"""

import re
from collections.abc import Iterator

import keras

from cyclegan_tf.models.networks.architecture import count_layers, kind_of
from cyclegan_tf.models.networks.graph import consumers, is_instance_norm

# Permutations from PyTorch's layout to Keras's: of (out, in, h, w) for convolutions and
# (in, out, h, w) for transposed ones, and of (channels, 1, h, w) for depthwise ones.
_KERNEL_AXES = (2, 3, 1, 0)
_DEPTHWISE_AXES = (2, 3, 0, 1)

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
    first_conv = "block_{}_pointwise_0" if mobile else "block_{}_conv_0"
    num_blocks = count_layers(network, first_conv)
    prefixes = {
        "stem_conv": "model.1",
        "stem_norm": "model.2",
        "down_0_conv": "model.4",
        "down_0_norm": "model.5",
        "down_1_conv": "model.7",
        "down_1_norm": "model.8",
    }
    # The mobile code always has a dropout in between, even at rate 0.
    second_conv = 6 if mobile or count_layers(network, "block_{}_dropout") else 5
    for i in range(num_blocks):
        for j, index in enumerate((1, second_conv)):
            block = f"model.{10 + i}.conv_block"
            prefixes |= {
                f"block_{i}_conv_{j}": f"{block}.{index}",
                f"block_{i}_depthwise_{j}": f"{block}.{index}.conv.0",
                f"block_{i}_depthwise_norm_{j}": f"{block}.{index}.conv.1",
                f"block_{i}_pointwise_{j}": f"{block}.{index}.conv.2",
                f"block_{i}_norm_{j}": f"{block}.{index + 1}",
            }
    up = 10 + num_blocks
    return prefixes | {
        "up_0_conv": f"model.{up}",
        "up_0_norm": f"model.{up + 1}",
        "up_1_conv": f"model.{up + 3}",
        "up_1_norm": f"model.{up + 4}",
        "head_conv": f"model.{up + 7}",
    }


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
    num_layers = count_layers(network, "layer_{}_conv")
    prefixes = {"layer_0_conv": f"{root}.0"}
    for i in range(1, num_layers):
        prefixes[f"layer_{i}_conv"] = f"{root}.{3 * i - 1}"
        prefixes[f"layer_{i}_norm"] = f"{root}.{3 * i}"
    return prefixes | {"head_conv": f"{root}.{3 * num_layers - 1}"}
