"""Convert PyTorch state dicts to our networks and back, without touching files."""

import re
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from cyclegan_tf.models.networks.architecture import Architecture
from cyclegan_tf.models.networks.blocks import NORM_EPSILON
from cyclegan_tf.pretrained.options import StateDictNorm
from cyclegan_tf.pretrained.pytorch.keys import (
    authors_key,
    biases_by_key,
    filters_by_key,
    patchgan_places,
    resnet_places,
    unet_level,
    weights_by_key,
)
from cyclegan_tf.pretrained.recognition import architecture_of

StateDict = Mapping[str, np.ndarray]

# PyTorch keeps these in a batch norm, and old versions also in an instance norm.
_RUNNING_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def find_architecture(
    state_dict: StateDict, norm: StateDictNorm | None = None
) -> Architecture:
    """Find the nearest architecture of a state dict by its keys and shapes.

    Args:
        state_dict: arrays by key of the authors' code.
        norm: as for `network_from_state_dict`.

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
            architecture = find(state_dict)
            return _with_norm(architecture, norm) if norm else architecture
    raise ValueError(
        f"its first key {next(iter(state_dict), None)!r} is of no known network"
    )


def network_from_state_dict(
    state_dict: StateDict, name: str | None = None, norm: StateDictNorm | None = None
) -> keras.Model:
    """Build the network that a state dict belongs to, with its weights.

    Args:
        state_dict: arrays by key, with the names of `authors_key`. The running
            statistics of old instance norms are dropped, and so are biases before
            an instance norm with a learned offset, which cancels them.
        name: str. Name of the model. Defaults to the kind's.
        norm: `"instance"`, `"batch"` or `"none"`, where the keys do not tell. By
            default a norm with running statistics and learned scales is a batch norm,
            and without any keys of its own an instance norm if the convolutions
            before it have biases, as in the authors' code, none otherwise.

    Returns:
        A network of `cyclegan_tf.models.networks`.

    Raises:
        ValueError: if it fits no known network; the message names the first key or
            array that does not fit.
    """
    state_dict = _with_authors_keys(state_dict)
    architecture = find_architecture(state_dict, norm)
    # Check before allocating: a file could claim any number of filters.
    state_dict = _fitted(architecture, state_dict)
    network = architecture.build(name)
    for key, variable, axes in weights_by_key(network):
        variable.assign(np.transpose(state_dict[key], axes))
    return network


def state_dict_of(network: keras.Model) -> dict[str, np.ndarray]:
    """Return the weights of a network with the PyTorch code's names and layout.

    Args:
        network: a network of `cyclegan_tf.models.networks`.

    Returns:
        Contiguous float32 arrays by key. PyTorch's code has biases before every
        instance norm; where ours has none, because the norm has a learned offset, they
        are zeros.

    Raises:
        ValueError: if the PyTorch code has no such network.
    """
    architecture = architecture_of(network)
    if architecture is None:
        raise ValueError("it is not a network of cyclegan_tf.models.networks")
    options = architecture.options
    for option, known in {
        "upsampling": (
            ("transpose",)
            if architecture.kind == "unet"
            else ("transpose", "antialiased")
        ),
        "padding": ("symmetric",),
        "norm_epsilon": (NORM_EPSILON,),
    }.items():
        if options.get(option, known[0]) not in known:
            raise ValueError(f"PyTorch code has no {option}={options[option]!r}")
    state_dict = {}
    for key, variable, axes in weights_by_key(network):
        array = keras.ops.convert_to_numpy(variable).transpose(np.argsort(axes))
        state_dict[key] = np.ascontiguousarray(array, np.float32)
        if key.endswith("running_var"):
            counter = key.replace("running_var", "num_batches_tracked")
            state_dict[counter] = np.zeros((), np.int64)
    for key, filt in filters_by_key(network):
        state_dict[key] = np.ascontiguousarray(filt)
    if options["norm"] == "instance_affine":
        for key, size, _ in biases_by_key(network):
            state_dict.setdefault(key, np.zeros(size, np.float32))
    return state_dict


def _with_authors_keys(state_dict: StateDict) -> StateDict:
    renamed = {authors_key(key): array for key, array in state_dict.items()}
    if len(renamed) < len(state_dict):
        raise ValueError("two of its keys differ in prefixes or block names only")
    return renamed


def _fitted(architecture: Architecture, state_dict: StateDict) -> StateDict:
    """Return a state dict with the biases that the network has, and check that it fits.

    It compares keys and shapes without building the network.
    """
    nearest = f"it is nearest to a {architecture}"
    try:
        outline = architecture.outline()
    except ValueError as e:
        raise ValueError(f"{nearest}, but {e}") from e
    state_dict = _with_our_biases(outline, architecture.options["norm"], state_dict)
    filters = dict(filters_by_key(outline))
    expected = {
        key: tuple(variable.shape[axis] for axis in np.argsort(axes))
        for key, variable, axes in weights_by_key(outline)
    } | {key: filt.shape for key, filt in filters.items()}
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
    for key, filt in filters.items():
        if not np.array_equal(state_dict[key], filt):
            raise ValueError(f"{nearest}, but {key!r} is another filter than CUT's")
    return state_dict


def _with_our_biases(
    outline: keras.Model, norm: str, state_dict: StateDict
) -> StateDict:
    """Add or drop biases that change nothing, where our rule differs from the file's.

    An instance norm cancels the bias before it, so programs differ in having it.
    """
    biases = list(biases_by_key(outline))
    has_biases = any(key in state_dict for key, _, cancelled in biases if cancelled)
    if norm == "instance" and not has_biases:
        zeros = {key: np.zeros(size, np.float32) for key, size, _ in biases}
        return {**zeros, **state_dict}
    if norm == "instance_affine":
        ours = {key for key, _, _ in weights_by_key(outline)}
        idle = {
            key
            for key, _, cancelled in biases
            if key not in ours and (cancelled or not np.any(state_dict.get(key, 0)))
        }
        return {key: array for key, array in state_dict.items() if key not in idle}
    return state_dict


def _find_resnet(state_dict: StateDict) -> Architecture:
    pointwise = _matching(state_dict, r"model\.\d+\.conv_block\.1\.conv\.2\.weight")
    mobile = bool(pointwise)
    blocks = pointwise or _matching(state_dict, r"model\.\d+\.conv_block\.1\.weight")
    blurs_down = "model.7.filt" in state_dict
    after_blocks = resnet_places(len(blocks), blurs_down, False)["up_0"]
    blurs_up = f"model.{after_blocks}.filt" in state_dict
    places = resnet_places(len(blocks), blurs_down, blurs_up)
    out = 0 if blurs_up else 1  # a transposed convolution has its inputs first
    filters = (
        _shape(state_dict, "model.1.weight")[0],
        _shape(state_dict, "model.4.weight")[0],
        _shape(state_dict, f"model.{places['down_1']}.weight")[0],
        _shape(state_dict, f"model.{places['up_0']}.weight")[out],
        _shape(state_dict, f"model.{places['up_1']}.weight")[out],
    )
    options = {
        "image_shape": (None, None, _shape(state_dict, "model.1.weight")[1]),
        "output_channels": _shape(state_dict, f"model.{places['head']}.weight")[0],
        "norm": _norm(state_dict, "model.1", "model.2"),
        "downsampling": "antialiased" if blurs_down else "strided",
        "upsampling": "antialiased" if blurs_up else "transpose",
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
    up = 3 if num_levels == 2 else 5  # the innermost level normalizes only upwards
    return Architecture(
        "unet",
        {
            "filters": _shape(state_dict, "model.model.0.weight")[0],
            "num_levels": num_levels,
            "image_shape": (None, None, _shape(state_dict, "model.model.0.weight")[1]),
            "output_channels": _shape(state_dict, "model.model.3.weight")[1],
            "norm": _norm(state_dict, f"{level_1}{up}", f"{level_1}{up + 1}"),
        },
    )


def _find_patchgan(state_dict: StateDict) -> Architecture:
    convolutions = [
        key
        for key in _matching(state_dict, r"model\.\d+\.weight")
        if state_dict[key].ndim == 4
    ]
    blurs_down = "model.2.filt" in state_dict
    conv = patchgan_places(1, blurs_down)["layer_1"]
    return Architecture(
        "patchgan",
        {
            "filters": _shape(state_dict, "model.0.weight")[0],
            "num_layers": len(convolutions) - 2,
            "image_shape": (None, None, _shape(state_dict, "model.0.weight")[1]),
            "norm": _norm(state_dict, f"model.{conv}", f"model.{conv + 1}"),
            "downsampling": "antialiased" if blurs_down else "strided",
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
        tracked = f"{norm}.running_mean" in state_dict
        return "batch" if tracked else "instance_affine"
    return "instance" if f"{conv}.bias" in state_dict else "none"


def _with_norm(architecture: Architecture, norm: StateDictNorm) -> Architecture:
    options: dict[str, Any] = dict(architecture.options)
    learned = options["norm"] in ("batch", "instance_affine")
    options["norm"] = "instance_affine" if norm == "instance" and learned else norm
    return Architecture(architecture.kind, options)


def _matching(state_dict: StateDict, pattern: str) -> list[str]:
    return [key for key in state_dict if re.fullmatch(pattern, key)]


def _shape(state_dict: StateDict, key: str) -> tuple[int, ...]:
    """Return the shape of a kernel, or ones: `_fitted` reports missing kernels."""
    array = state_dict.get(key)
    return (1, 1, 1, 1) if array is None or array.ndim != 4 else array.shape
