"""From the options of the networks to their architectures, and back."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.config.options import NetworkConfig, TrainConfig
from cyclegan_tf.models.networks.architecture import (
    GENERATORS,
    Architecture,
    architecture_of,
)

# What the options of an architecture are called in the configuration, where every
# option of a generator or discriminator needs a name of its own.
_FIELDS: Mapping[str, Mapping[str, str]] = {
    "resnet": {"filters": "filters", "num_residual_blocks": "num_residual_blocks"},
    "mobile_resnet": {
        "filters": "mobile_filters",
        "block_filters": "mobile_block_filters",
    },
    "unet": {"filters": "filters", "num_levels": "num_levels"},
    "patchgan": {"filters": "discriminator_filters", "num_layers": "num_layers"},
    "pixel": {"filters": "discriminator_filters"},
}
_FIELDS_OF_ALL = ("norm", "norm_epsilon")
_FIELDS_OF_GENERATORS = ("dropout", "upsampling")
_PADDED = ("resnet", "mobile_resnet", "patchgan")


def generator_architecture(
    options: NetworkConfig, input_channels: int, output_channels: int
) -> Architecture:
    """Return the architecture of a generator."""
    channels = {
        "image_shape": (None, None, input_channels),
        "output_channels": output_channels,
    }
    return Architecture(
        options.generator, channels | _options(options, options.generator)
    )


def discriminator_architecture(options: NetworkConfig, channels: int) -> Architecture:
    """Return the architecture of a discriminator."""
    return Architecture(
        options.discriminator,
        {"image_shape": (None, None, channels)}
        | _options(options, options.discriminator),
    )


def adopt_networks(
    config: TrainConfig, networks: Mapping[str, keras.Model]
) -> TrainConfig:
    """Change a configuration so that it describes networks to start from.

    Args:
        config: all options.
        networks: some of the four networks, by the names of
            `cyclegan_tf.models.cyclegan.NETWORKS`.

    Returns:
        The configuration that builds networks like these.

    Raises:
        InputError: if one is none of `cyclegan_tf.models.networks`, or they do not
            belong together.
    """
    adopted: dict[str, tuple[str, Any]] = {}  # by field: whose value, and the value
    for name, network in networks.items():
        for field, value in _fields(name, network).items():
            other, other_value = adopted.setdefault(field, (name, value))
            if other_value != value:
                raise InputError(
                    f"The networks of {config.networks.init_from} do not belong "
                    f"together: {other} has {field}={other_value}, but {name} has "
                    f"{field}={value}; use a folder from one training."
                )
    values = {field: value for field, (_, value) in adopted.items()}
    channels = {
        field: values.pop(field) for field in list(values) if "channels" in field
    }
    return dataclasses.replace(
        config,
        networks=dataclasses.replace(config.networks, **values),
        dataset=dataclasses.replace(config.dataset, **channels),
    )


def _options(options: NetworkConfig, kind: str) -> dict[str, Any]:
    return {
        option: getattr(options, field) for option, field in _named_fields(kind).items()
    }


def _named_fields(kind: str) -> dict[str, str]:
    """Map each option of an architecture, but the channels, to its field."""
    same = list(_FIELDS_OF_ALL)
    if kind in GENERATORS:
        same += _FIELDS_OF_GENERATORS
    if kind in _PADDED:
        same.append("padding")
    return {**_FIELDS[kind], **{field: field for field in same}}


def _fields(name: str, network: keras.Model) -> dict[str, Any]:
    """Return the fields that describe one network, with the domains' channels."""
    role, which = name.split("_")
    architecture = architecture_of(network)
    kinds = GENERATORS if role == "generator" else ("patchgan", "pixel")
    if architecture is None or architecture.kind not in kinds:
        raise InputError(
            f"The {name} to start from is no {role} that can be trained here, only "
            "used as it is, say by cyclegan translate; leave it out of the folder."
        )
    options = architecture.options
    domains = {"g": ("x", "y"), "f": ("y", "x"), "x": ("x",), "y": ("y",)}[which]
    channels = (options["image_shape"][-1], options.get("output_channels"))
    for number in channels[: len(domains)]:
        if number not in (1, 3):
            raise InputError(
                f"The {name} to start from has images of {number} channels, but only 1 "
                "and 3 can be trained on here."
            )
    return {
        role: architecture.kind,
        **{
            field: options[option]
            for option, field in _named_fields(architecture.kind).items()
        },
        **{f"channels_{domain}": n for domain, n in zip(domains, channels)},
    }
