"""What a network is: its kind and its options, as data."""

import concurrent.futures
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import keras

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
GENERATORS = ("resnet", "mobile_resnet", "unet")


@dataclasses.dataclass(frozen=True)
class Architecture:
    """The kind of a network and what it was built with.

    Attributes:
        kind: `"resnet"`, `"mobile_resnet"`, `"unet"`, `"patchgan"` or `"pixel"`.
        options: the keyword arguments of its function in `cyclegan_tf.models.networks`;
            those left out have their defaults.
    """

    kind: str
    options: Mapping[str, Any]

    def build(self, name: str | None = None) -> keras.Model:
        """Build such a network, with new weights.

        Args:
            name: str. Name of the model. Defaults to that of its kind.

        Raises:
            ValueError: if an option is out of its range.
        """
        named = {} if name is None else {"name": name}
        return _BUILDERS[self.kind](**self.options, **named)

    def outline(self) -> keras.Model:
        """Build such a network without values, which takes neither time nor memory.

        Its layers and the shapes of its weights can be looked at; it cannot be used.

        Raises:
            ValueError: if an option is out of its range.
        """

        def build() -> keras.Model:
            with keras.StatelessScope(initialize_variables=False):
                return self.build()

        # Keras keeps a list of variables without values, and gives them values as soon
        # as some other such scope ends. It has a list for each thread, so in a thread
        # of its own they are forgotten.
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            return pool.submit(build).result()

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
