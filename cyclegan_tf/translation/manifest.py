"""The manifest of translated files: what became of each image.

It is written as a job goes: first a row of width 0 for each image to translate, then
another row when an image is done, and at the end one row for each. So a job that goes
on after it was killed can tell its own files from those of others.
"""

import csv
import dataclasses
import pathlib
from collections.abc import Iterable

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf._shared.files import printable, replacing


@dataclasses.dataclass(frozen=True)
class Translation:
    """The result for one image; a row of the manifest.

    `size` is the limit of the shorter side in pixels, or `"full"`. `error` is why an
    image was skipped, else empty. Width and height are those of the translation, 0 if
    it was skipped or is not translated yet. `scaled_from` is width x height of an image
    that was scaled down, else empty. `translates` is what the generator turns into
    what, if it is known.
    """

    input: pathlib.Path
    output: pathlib.Path
    generator: pathlib.Path
    size: str
    width: int = 0
    height: int = 0
    scaled_from: str = ""
    error: str = ""
    translates: str = ""

    @property
    def is_finished(self) -> bool:
        """Whether the image was translated or skipped."""
        return bool(self.width or self.error)


_NAMES = [field.name for field in dataclasses.fields(Translation)]


class Manifest:
    """A manifest.csv that may exist from an earlier job.

    Args:
        path: the file.
        start_anew: bool. Ignore what the file says. Defaults to `False`.

    Raises:
        InputError: if the file is no manifest, and not ignored.
    """

    def __init__(self, path: pathlib.Path, start_anew: bool = False):
        self.path = path
        self._earlier: dict[str, dict[str, str]] = {}
        if path.exists() and not start_anew:
            self._earlier = _read(path)

    def has(self, planned: Translation) -> bool:
        """Say whether an earlier job planned the same, with today's generator."""
        earlier = self._earlier.get(printable(planned.output))
        return (
            earlier is not None
            and earlier["input"] == printable(planned.input)
            and earlier["generator"] == printable(planned.generator)
            and earlier["size"] == planned.size
            and not _is_older(planned.output, planned.generator, planned.input)
        )

    def resumed(self, planned: Translation) -> Translation:
        """Return the result of an earlier job if its file is there, else `planned`."""
        if not planned.output.is_file() or not self.has(planned):
            return planned
        earlier = self._earlier[printable(planned.output)]
        return dataclasses.replace(
            planned,
            width=int(earlier["width"]),
            height=int(earlier["height"]),
            scaled_from=earlier["scaled_from"],
            error=earlier["error"],
        )

    def write(self, translations: Iterable[Translation]) -> None:
        """Write a row for each translation, replacing all earlier ones."""
        with replacing(self.path) as temporary:
            _append(temporary, [_NAMES, *map(_row, translations)])

    def add(self, translation: Translation) -> None:
        """Add a row, which replaces the earlier row of the same output."""
        _append(self.path, [_row(translation)])


def _is_older(path: pathlib.Path, *others: pathlib.Path) -> bool:
    return path.exists() and any(
        path.stat().st_mtime < other.stat().st_mtime for other in others
    )


def _row(translation: Translation) -> list[str]:
    return [printable(value) for value in dataclasses.astuple(translation)]


def _append(path: pathlib.Path, rows: Iterable[list[str]]) -> None:
    with path.open("a", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def _read(path: pathlib.Path) -> dict[str, dict[str, str]]:
    """Return the last row of each output; the last line may be incomplete."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows = [row for row in reader if None not in row.values()]
            if reader.fieldnames != _NAMES:
                raise ValueError("it has other columns")
            return {row["output"]: row for row in rows}
    except (ValueError, csv.Error) as e:
        raise InputError(
            f"{path} is not a manifest of cyclegan translate ({e}); choose another "
            "`out`, or replace it with `overwrite=True`."
        ) from e
