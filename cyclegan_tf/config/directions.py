"""The two directions of translation: G from X to Y, and F back."""

import dataclasses
from collections.abc import Mapping
from typing import Literal

DirectionName = Literal["g", "f"]
DomainName = Literal["x", "y"]


@dataclasses.dataclass(frozen=True)
class Direction:
    """One direction of translation, from `source` to `target`.

    `back` is the reverse direction; `labels` are of an image, its translation and its
    reconstruction.
    """

    name: DirectionName
    source: DomainName
    target: DomainName
    back: DirectionName
    title: str
    labels: tuple[str, str, str]


DIRECTIONS: Mapping[str, Direction] = {
    "g": Direction("g", "x", "y", "f", "G: X to Y", ("x", "G(x)", "F(G(x))")),
    "f": Direction("f", "y", "x", "g", "F: Y to X", ("y", "F(y)", "G(F(y))")),
}
