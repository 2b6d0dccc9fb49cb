"""The architecture of a network as data: its kind and its options."""

import concurrent.futures
import dataclasses
import typing
from collections.abc import Callable, Mapping
from typing import Any

import keras

from cyclegan_tf.models.choices import DiscriminatorKind, GeneratorKind
from cyclegan_tf.models.networks.discriminators import (
    patchgan_discriminator,
    pixel_discriminator,
)
from cyclegan_tf.models.networks.generators import (
    mobile_resnet_generator,
    resnet_generator,
    unet_generator,
)

_BUILDERS: Mapping[str, Callable[..., keras.Model]] = {
    "resnet": resnet_generator,
    "mobile_resnet": mobile_resnet_generator,
    "unet": unet_generator,
    "patchgan": patchgan_discriminator,
    "pixel": pixel_discriminator,
}
_TITLES = {
    "resnet": "ResNet generator",
    "mobile_resnet": "mobile ResNet generator",
    "unet": "U-Net generator",
    "patchgan": "PatchGAN discriminator",
    "pixel": "pixel discriminator",
}
GENERATORS: tuple[str, ...] = typing.get_args(GeneratorKind)
DISCRIMINATORS: tuple[str, ...] = typing.get_args(DiscriminatorKind)


@dataclasses.dataclass(frozen=True)
class Architecture:
    """The kind and the options of a network.

    Attributes:
        kind: `"resnet"`, `"mobile_resnet"`, `"unet"`, `"patchgan"` or `"pixel"`.
        options: keyword arguments of the kind's function in
            `cyclegan_tf.models.networks`; missing ones take their defaults.
    """

    kind: str
    options: Mapping[str, Any]

    def build(self, name: str | None = None) -> keras.Model:
        """Build the network with new weights; its name defaults to the kind's.

        Raises:
            ValueError: if an option is out of its range.
        """
        named = {} if name is None else {"name": name}
        return _BUILDERS[self.kind](**self.options, **named)

    def outline(self) -> keras.Model:
        """Build the network without weight values; see `outline`.

        Raises:
            ValueError: if an option is out of its range.
        """
        return outline(self.build)

    def __str__(self) -> str:
        options = self.options
        sizes = {
            "residual block": options.get(
                "num_residual_blocks", len(options.get("block_filters", ()))
            ),
            "level": options.get("num_levels"),
            "layer": options.get("num_layers"),
        }
        parts = [
            f"{number} {unit}{'' if number == 1 else 's'}"
            for unit, number in sizes.items()
            if number
        ]
        if "filters" in options:
            filters = options["filters"]
            widths = [filters] if isinstance(filters, int) else filters
            parts.append(f"{'-'.join(map(str, widths))} filters")
        return f"{_TITLES[self.kind]} ({', '.join(parts)})"


def outline(build: Callable[[], keras.Model]) -> keras.Model:
    """Build a model without weight values, which takes no time or memory.

    Its layers and weight shapes can be inspected; it cannot be called.
    """

    def build_without_values() -> keras.Model:
        with keras.StatelessScope(initialize_variables=False):
            return build()

    # Keras lists variables without values, and initializes them when the next such
    # scope ends. The list is per thread: a thread of its own discards it.
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(build_without_values).result()


def kind_of(network: keras.Model) -> str | None:
    """Guess the kind of a network by the names of its layers; only ours have them."""
    layers = {layer.name: layer for layer in network.layers}
    if "stem_conv" in layers:
        return "mobile_resnet" if "block_0_depthwise_0" in layers else "resnet"
    if "down_0_conv" in layers:
        return "unet"
    if "layer_0_conv" in layers:
        kernel_size = getattr(layers["layer_0_conv"], "kernel_size", None)
        return "pixel" if kernel_size == (1, 1) else "patchgan"
    return None


def count_layers(network: keras.Model, pattern: str) -> int:
    """Count the layers whose name is the pattern with a number from 0 on."""
    names = {layer.name for layer in network.layers}
    return sum(pattern.format(i) in names for i in range(len(names)))
