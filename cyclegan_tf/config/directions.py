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
    labels: tuple[str, str, str]

    def translates(self, domains: tuple[str, str] = ("X", "Y")) -> str:
        """Say what it turns into what, such as `"horse to zebra"`.

        Args:
            domains: the names of X and Y.
        """
        return f"{domains[self._source]} to {domains[1 - self._source]}"

    def headings(self, domains: tuple[str, str]) -> list[str]:
        """Return the labels, of which the first has the name of its domain."""
        label, *others = self.labels
        name = domains[self._source]
        return [label if name.lower() == label else f"{label}: {name}", *others]

    @property
    def _source(self) -> int:
        return ("x", "y").index(self.source)

    def title(self, translates: str | None = None) -> str:
        """Return a title such as `"G: horse to zebra"`.

        Args:
            translates: as `translates` returns it. Defaults to `"X to Y"` or back.
        """
        return f"{self.name.upper()}: {translates or self.translates()}"


DIRECTIONS: Mapping[str, Direction] = {
    "g": Direction("g", "x", "y", "f", ("x", "G(x)", "F(G(x))")),
    "f": Direction("f", "y", "x", "g", ("y", "F(y)", "G(F(y))")),
}
