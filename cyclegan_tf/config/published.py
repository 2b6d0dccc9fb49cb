"""Scores of CycleGANs that others published, to compare with.

They were measured each in its own way; `how` and `source` say in which.
"""

import dataclasses
import types
from collections.abc import Mapping
from typing import Literal

_MMEDITING = "MMEditing's model zoo, with the authors' weights"
_PAPER = "Zhu et al., 2017, 256x256"


@dataclasses.dataclass(frozen=True)
class PublishedScore:
    """A number that others published.

    Attributes:
        direction: `"g"`, X to Y, or `"f"`, Y to X; `""` where the source is silent.
        metric: such as `"FID"`.
        value: as published.
        how: with what, where it matters.
        source: who published it.
    """

    direction: Literal["g", "f", ""]
    metric: str
    value: str
    how: str
    source: str


def _fid(
    direction: Literal["g", "f", ""], identity: float, plain: float
) -> tuple[PublishedScore, ...]:
    """The FID of the authors' weights, trained with the identity loss and without."""
    return tuple(
        PublishedScore(
            direction, "FID", f"{value}", f"identity weight {weight}", _MMEDITING
        )
        for value, weight in ((identity, 5), (plain, 0))
    )


# By the name of the recipe.
PUBLISHED: Mapping[str, tuple[PublishedScore, ...]] = types.MappingProxyType(
    {
        "horse2zebra": (
            *_fid("g", 62.111, 77.202),
            *_fid("f", 138.646, 137.050),
            PublishedScore(
                "g",
                "FID",
                "65.75",
                "against training and test images together",
                "GAN Compression, README",
            ),
        ),
        "summer2winter": (*_fid("g", 77.342, 76.773), *_fid("f", 72.631, 74.239)),
        "maps": (
            PublishedScore(
                "f", "taken for real by people", "26.8 % ± 2.8 %", "", _PAPER
            ),
            PublishedScore(
                "g", "taken for real by people", "23.2 % ± 3.4 %", "", _PAPER
            ),
        ),
        "facades": _fid("", 123.626, 119.726),
    }
)
