"""Describe the networks in a run, file or folder."""

import pathlib

import keras

from cyclegan_tf._shared.errors import first_line
from cyclegan_tf.models.networks.architecture import GENERATORS
from cyclegan_tf.models.networks.graph import normalization_of, size_multiple
from cyclegan_tf.pretrained.keras3 import Pretrained
from cyclegan_tf.pretrained.read import find_networks
from cyclegan_tf.pretrained.recognition import architecture_of


def inspect_networks(path: pathlib.Path) -> dict[str, dict[str, str]]:
    """Describe the networks in a file or folder.

    Args:
        path: as for `find_networks`.

    Returns:
        For each network its facts, by heading.

    Raises:
        InputError: if there is no known network.
    """
    found = find_networks(path)
    return {name: _describe(pretrained) for name, pretrained in found.items()}


def _describe(pretrained: Pretrained) -> dict[str, str]:
    network, origin = pretrained.network, dict(pretrained.origin)
    architecture = architecture_of(network)
    norm = normalization_of(network)
    is_generator = architecture is None or architecture.kind in GENERATORS
    facts = {
        "origin": ", ".join(
            [origin.pop("format"), *(f"{key} {text}" for key, text in origin.items())]
        ),
        "network": (
            str(architecture)
            if architecture
            else f"none of cyclegan_tf.models.networks ({len(network.layers)} layers)"
        ),
        "norm": f"{norm['norm']}, epsilon {norm['norm_epsilon']:g}",
        "channels": f"{network.input_shape[-1]} in, {network.output_shape[-1]} out",
        "parameters": f"{network.count_params():,}",
        "values in": "float32 in [-1, 1]",
        "values out": (
            "float32 in [-1, 1]" if _ends_in_tanh(network) else "float32, unbounded"
        ),
    }
    if is_generator:
        facts["image sizes"] = _size_rule(network)
        if pretrained.training_size:
            facts["trained at"] = f"{pretrained.training_size} pixels"
    return facts


def _size_rule(network: keras.Model) -> str:
    try:
        multiple = size_multiple(network)
    except ValueError as e:
        return f"not kept: {first_line(e)}"
    return f"sides that are multiples of {multiple} keep their size"


def _ends_in_tanh(network: keras.Model) -> bool:
    last = network.operations[-1]
    activation = getattr(last, "activation", None)
    return "tanh" in (getattr(activation, "__name__", ""), type(last).__name__.lower())
