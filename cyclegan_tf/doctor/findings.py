"""A fault of a data set."""

import dataclasses
from collections.abc import Iterator
from typing import Literal


@dataclasses.dataclass(frozen=True)
class Finding:
    """A fault of a data set.

    Attributes:
        severity: `"error"` if it makes training impossible, else `"warning"`.
        where: the splits concerned.
        what: what was found there.
        advice: what to do, in one sentence.
        files: the images concerned; for duplicates, groups of them.
    """

    severity: Literal["error", "warning"]
    where: str
    what: str
    advice: str
    files: tuple[str, ...] = ()


def warn(
    where: str, what: str, advice: str, files: tuple[str, ...]
) -> Iterator[Finding]:
    """Yield a warning about files, or nothing if there are none."""
    if files:
        yield Finding("warning", where, what, advice, files)
