"""Weights from elsewhere: state dicts of the authors' PyTorch networks."""

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

# What PyTorch keeps in a batch norm, and old versions of it in an instance norm.
_RUNNING_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def load_pytorch_state_dict(
    network: keras.Model, state_dict: Mapping[str, Any]
) -> None:
    """Set the weights of a network from a PyTorch reference checkpoint.

    The network must have been built with the options of the checkpoint: blocks or
    levels, filters, channels, norm and dropout.

    Args:
        network: a network of `cyclegan_tf.networks` with transposed convolutions.
        state_dict: the checkpoint's arrays by key (`"model.1.weight"`, ...), as
            NumPy arrays or anything that `numpy.asarray` takes.

    Raises:
        ValueError: if a key is missing or left over, or an array has another shape
            than the layer; the first one is named.
    """
    arrays = {
        key: np.asarray(value)
        for key, value in state_dict.items()
        if not key.endswith("num_batches_tracked")
    }
    assigned = set()
    for key, variable, array_to_keras in _pytorch_weights(network):
        if key not in arrays:
            raise ValueError(
                f"The state dict lacks {key!r}, needed for {variable.path}."
            )
        value = arrays[key].transpose(array_to_keras)
        if value.shape != tuple(variable.shape):
            raise ValueError(
                f"{key!r} has the shape {arrays[key].shape}, which does not fit "
                f"{variable.path} of shape {tuple(variable.shape)}."
            )
        variable.assign(value)
        assigned.add(key)
    for key in arrays:
        if key not in assigned and not key.endswith(_RUNNING_STATISTICS):
            raise ValueError(f"The state dict has {key!r}, which {network.name} lacks.")


def _pytorch_weights(
    network: keras.Model,
) -> Iterator[tuple[str, keras.Variable, tuple[int, ...]]]:
    """Yield each weight's PyTorch key, its variable, and the axes to transpose."""
    for layer_name, prefix in _pytorch_prefixes(network).items():
        layer = network.get_layer(layer_name)
        if isinstance(layer, keras.layers.BatchNormalization):
            yield f"{prefix}.weight", layer.gamma, (0,)
            yield f"{prefix}.bias", layer.beta, (0,)
            yield f"{prefix}.running_mean", layer.moving_mean, (0,)
            yield f"{prefix}.running_var", layer.moving_variance, (0,)
        else:
            # (out, in, h, w), or (in, out, h, w) for a transposed convolution:
            # the same permutation gives Keras's layout of either.
            yield f"{prefix}.weight", layer.kernel, (2, 3, 1, 0)
            if layer.use_bias:
                yield f"{prefix}.bias", layer.bias, (0,)


def _pytorch_prefixes(network: keras.Model) -> dict[str, str]:
    """Map the names of our layers to the key prefixes of the reference's."""
    names = {layer.name for layer in network.layers}
    if "stem_conv" in names:
        prefixes = _resnet_prefixes(names)
    elif "down_0_conv" in names:
        prefixes = _unet_prefixes(names)
    elif network.get_layer("layer_0_conv").kernel_size == (1, 1):
        prefixes = _discriminator_prefixes("net", names)
    else:
        prefixes = _discriminator_prefixes("model", names)
    return {name: prefix for name, prefix in prefixes.items() if name in names}


def _resnet_prefixes(names: set[str]) -> dict[str, str]:
    num_blocks = _count(names, "block_{}_conv_0")
    second_conv = 6 if "block_0_dropout" in names else 5
    prefixes = {
        "stem_conv": "model.1",
        "stem_norm": "model.2",
        "down_0_conv": "model.4",
        "down_0_norm": "model.5",
        "down_1_conv": "model.7",
        "down_1_norm": "model.8",
    }
    for i in range(num_blocks):
        block = f"model.{10 + i}.conv_block"
        prefixes[f"block_{i}_conv_0"] = f"{block}.1"
        prefixes[f"block_{i}_norm_0"] = f"{block}.2"
        prefixes[f"block_{i}_conv_1"] = f"{block}.{second_conv}"
        prefixes[f"block_{i}_norm_1"] = f"{block}.{second_conv + 1}"
    up = 10 + num_blocks
    return prefixes | {
        "up_0_conv": f"model.{up}",
        "up_0_norm": f"model.{up + 1}",
        "up_1_conv": f"model.{up + 3}",
        "up_1_norm": f"model.{up + 4}",
        "head_conv": f"model.{up + 7}",
    }


def _unet_prefixes(names: set[str]) -> dict[str, str]:
    """The reference nests each level in the one outside it."""
    innermost = _count(names, "down_{}_conv") - 1
    prefixes = {"down_0_conv": "model.model.0", "up_0_conv": "model.model.3"}
    for level in range(1, innermost + 1):
        inside = "model.model.1.model." + "3.model." * (level - 1)
        up = 3 if level == innermost else 5
        prefixes[f"down_{level}_conv"] = f"{inside}1"
        prefixes[f"down_{level}_norm"] = f"{inside}2"
        prefixes[f"up_{level}_conv"] = f"{inside}{up}"
        prefixes[f"up_{level}_norm"] = f"{inside}{up + 1}"
    return prefixes


def _discriminator_prefixes(root: str, names: set[str]) -> dict[str, str]:
    num_layers = _count(names, "layer_{}_conv")
    prefixes = {"layer_0_conv": f"{root}.0"}
    for i in range(1, num_layers):
        prefixes[f"layer_{i}_conv"] = f"{root}.{3 * i - 1}"
        prefixes[f"layer_{i}_norm"] = f"{root}.{3 * i}"
    return prefixes | {"head_conv": f"{root}.{3 * num_layers - 1}"}


def _count(names: set[str], pattern: str) -> int:
    return sum(pattern.format(i) in names for i in range(len(names)))
