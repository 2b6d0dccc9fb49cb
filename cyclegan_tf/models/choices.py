"""The values of the options of networks and losses, and their check.

Standard library only.
"""

from typing import Any, Literal, get_args

AdversarialLossName = Literal["lsgan", "bce", "hinge", "wgan-gp"]
GeneratorKind = Literal["resnet", "mobile_resnet", "unet"]
DiscriminatorKind = Literal["patchgan", "pixel"]
Norm = Literal["instance", "instance_affine", "batch", "none"]
Padding = Literal["symmetric", "same"]
Downsampling = Literal["strided", "antialiased"]
Upsampling = Literal["transpose", "nearest", "bilinear", "antialiased"]
Initializer = Literal["normal", "xavier"]


def check_choice(argument: str, value: str, choices: Any) -> None:
    """Raise a `ValueError` if a value is not one of the choices of a `Literal`."""
    words = get_args(choices)
    if value not in words:
        raise ValueError(
            f"{argument} must be one of {', '.join(words)}. Received: {value!r}"
        )
