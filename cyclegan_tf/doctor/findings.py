"""A fault of a data set, for whoever reports it."""

import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something that is wrong.

    Attributes:
        severity: `"error"` if training is impossible with it, else `"warning"`.
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
