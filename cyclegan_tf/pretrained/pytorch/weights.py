"""Convert PyTorch state dicts to our networks and back, without touching files."""

import re
from collections.abc import Mapping

import keras
import numpy as np

from cyclegan_tf.models.networks.architecture import Architecture
from cyclegan_tf.models.networks.blocks import NORM_EPSILON
from cyclegan_tf.pretrained.pytorch.keys import unet_level, weights_by_key
from cyclegan_tf.pretrained.recognition import architecture_of

StateDict = Mapping[str, np.ndarray]

# PyTorch keeps these in a batch norm, and old versions also in an instance norm.
_RUNNING_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def find_architecture(state_dict: StateDict) -> Architecture:
    """Find the nearest architecture of a state dict by its keys and shapes.

    Raises:
        ValueError: if no network is similar; the message names the first key.
    """
    for mark, find in {
        "net.0.weight": _find_pixel,
        "model.model.0.weight": _find_unet,
        "model.1.weight": _find_resnet,
        "model.0.weight": _find_patchgan,
    }.items():
        if getattr(state_dict.get(mark), "ndim", None) == 4:
            return find(state_dict)
    raise ValueError(
        f"its first key {next(iter(state_dict), None)!r} is of no known network"
    )


def network_from_state_dict(
    state_dict: StateDict, name: str | None = None
) -> keras.Model:
    """Build the network that a state dict belongs to, with its weights.

    Args:
        state_dict: arrays by key. A prefix `module.` and the running statistics of
            old instance norms are dropped.
        name: str. Name of the model. Defaults to the kind's.

    Returns:
        A network of `cyclegan_tf.models.networks`.

    Raises:
        ValueError: if it fits no known network; the message names the first key or
            array that does not fit.
    """
    state_dict = {
        key.removeprefix("module."): array for key, array in state_dict.items()
    }
    architecture = find_architecture(state_dict)
    # Check before allocating: a file could claim any number of filters.
    _check_fit(architecture, state_dict)
    network = architecture.build(name)
    for key, variable, axes in weights_by_key(network):
        variable.assign(np.transpose(state_dict[key], axes))
    return network


def state_dict_of(network: keras.Model) -> dict[str, np.ndarray]:
    """Return the weights of a network with the PyTorch code's names and layout.

    Args:
        network: a network of `cyclegan_tf.models.networks`.

    Returns:
        Contiguous float32 arrays by key.

    Raises:
        ValueError: if the PyTorch code has no such network.
    """
    architecture = architecture_of(network)
    if architecture is None:
        raise ValueError("it is not a network of cyclegan_tf.models.networks")
    options = architecture.options
    for option, wanted in {
        "upsampling": "transpose",
        "padding": "symmetric",
        "norm_epsilon": NORM_EPSILON,
    }.items():
        if options.get(option, wanted) != wanted:
            raise ValueError(f"PyTorch code has no {option}={options[option]!r}")
    if options["norm"] == "instance_affine":
        raise ValueError("PyTorch code has no norm='instance_affine'")
    state_dict = {}
    for key, variable, axes in weights_by_key(network):
        array = keras.ops.convert_to_numpy(variable).transpose(np.argsort(axes))
        state_dict[key] = np.ascontiguousarray(array, np.float32)
        if key.endswith("running_var"):
            counter = key.replace("running_var", "num_batches_tracked")
            state_dict[counter] = np.zeros((), np.int64)
    return state_dict


def _check_fit(architecture: Architecture, state_dict: StateDict) -> None:
    """Compare keys and shapes with those of the network, without building it."""
    nearest = f"it is nearest to a {architecture}"
    try:
        expected = {
            key: tuple(variable.shape[axis] for axis in np.argsort(axes))
            for key, variable, axes in weights_by_key(architecture.outline())
        }
    except ValueError as e:
        raise ValueError(f"{nearest}, but {e}") from e
    for key in state_dict:
        if key not in expected and not key.endswith(_RUNNING_STATISTICS):
            raise ValueError(f"{nearest}, but has the unexpected key {key!r}")
    for key, shape in expected.items():
        if key not in state_dict:
            raise ValueError(f"{nearest}, but lacks the key {key!r}")
        if state_dict[key].shape != shape:
            raise ValueError(
                f"{nearest}, but {key!r} has the shape {state_dict[key].shape} instead "
                f"of {shape}"
            )


def _find_resnet(state_dict: StateDict) -> Architecture:
    pointwise = _matching(state_dict, r"model\.\d+\.conv_block\.1\.conv\.2\.weight")
    mobile = bool(pointwise)
    blocks = pointwise or _matching(state_dict, r"model\.\d+\.conv_block\.1\.weight")
    up = 10 + len(blocks)
    filters = (
        _shape(state_dict, "model.1.weight")[0],
        _shape(state_dict, "model.4.weight")[0],
        _shape(state_dict, "model.7.weight")[0],
        _shape(state_dict, f"model.{up}.weight")[1],
        _shape(state_dict, f"model.{up + 3}.weight")[1],
    )
    options = {
        "image_shape": (None, None, _shape(state_dict, "model.1.weight")[1]),
        "output_channels": _shape(state_dict, f"model.{up + 7}.weight")[0],
        "norm": _norm(state_dict, "model.1", "model.2"),
    }
    if mobile:
        widths = tuple(_shape(state_dict, key)[0] for key in blocks)
        return Architecture(
            "mobile_resnet", options | {"filters": filters, "block_filters": widths}
        )
    # A dropout between the convolutions shifts the second one's key.
    if _matching(state_dict, r"model\.\d+\.conv_block\.6\.weight") and not _matching(
        state_dict, r"model\.\d+\.conv_block\.5\.weight"
    ):
        options["dropout"] = 0.5
    return Architecture(
        "resnet",
        options | {"filters": filters[0], "num_residual_blocks": len(blocks)},
    )


def _find_unet(state_dict: StateDict) -> Architecture:
    num_levels = 1
    while f"{unet_level(num_levels)}1.weight" in state_dict:
        num_levels += 1
    level_1 = unet_level(1)
    return Architecture(
        "unet",
        {
            "filters": _shape(state_dict, "model.model.0.weight")[0],
            "num_levels": num_levels,
            "image_shape": (None, None, _shape(state_dict, "model.model.0.weight")[1]),
            "output_channels": _shape(state_dict, "model.model.3.weight")[1],
            "norm": _norm(state_dict, f"{level_1}1", f"{level_1}2"),
        },
    )


def _find_patchgan(state_dict: StateDict) -> Architecture:
    convolutions = [
        key
        for key in _matching(state_dict, r"model\.\d+\.weight")
        if state_dict[key].ndim == 4
    ]
    return Architecture(
        "patchgan",
        {
            "filters": _shape(state_dict, "model.0.weight")[0],
            "num_layers": len(convolutions) - 2,
            "image_shape": (None, None, _shape(state_dict, "model.0.weight")[1]),
            "norm": _norm(state_dict, "model.2", "model.3"),
        },
    )


def _find_pixel(state_dict: StateDict) -> Architecture:
    return Architecture(
        "pixel",
        {
            "filters": _shape(state_dict, "net.0.weight")[0],
            "image_shape": (None, None, _shape(state_dict, "net.0.weight")[1]),
            "norm": _norm(state_dict, "net.2", "net.3"),
        },
    )


def _norm(state_dict: StateDict, conv: str, norm: str) -> str:
    """Find the norm by the keys of a convolution and the norm after it."""
    if f"{norm}.weight" in state_dict:
        return "batch"
    return "instance" if f"{conv}.bias" in state_dict else "none"


def _matching(state_dict: StateDict, pattern: str) -> list[str]:
    return [key for key in state_dict if re.fullmatch(pattern, key)]


def _shape(state_dict: StateDict, key: str) -> tuple[int, ...]:
    """Return the shape of a kernel, or ones: `_check_fit` reports missing kernels."""
    array = state_dict.get(key)
    return (1, 1, 1, 1) if array is None or array.ndim != 4 else array.shape
