"""Find the input files of a job and their names in the output folder.

As in `translate`, a file in an input folder keeps its path within it, and a single
file keeps its last part. A file that a pattern matches keeps its path within the folder
before the first wildcard. TFRecord files in a folder have `.tfrecord` in their name.
"""

import pathlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf._shared.files import printable
from cyclegan_tf.beam.files import absolute, exists, find, literal, same_file_key
from cyclegan_tf.beam.job import JOB_FOLDER
from cyclegan_tf.beam.options import ImageFormat, TranslateBeamConfig
from cyclegan_tf.images import SUFFIXES

_WILDCARDS = "*?["


class Pattern(NamedTuple):
    """Files to translate.

    Attributes:
        glob: pattern that matches them.
        folder: folder with a final slash that their names are relative to.
    """

    glob: str
    folder: str


class Input(NamedTuple):
    """A file to translate: its path in the output folder, and its full path."""

    name: str
    path: str


def find_patterns(inputs: Sequence[str], input_format: ImageFormat) -> list[Pattern]:
    """Turn files, folders and patterns into patterns.

    Raises:
        InputError: if one of them matches nothing, or is a single file without an
            image suffix where an image is expected.
    """
    if not inputs:
        raise InputError("There is nothing to translate; name files or folders.")
    return [_pattern(absolute(given), input_format) for given in inputs]


def _pattern(given: str, input_format: ImageFormat) -> Pattern:
    wildcards = [given.index(sign) for sign in _WILDCARDS if sign in given]
    if wildcards and not exists(given):
        if not find(given, limit=1):
            raise InputError(f"There is no file that matches {given}; check it.")
        before = given[: min(wildcards)]
        return Pattern(given, before[: before.rfind("/") + 1])
    inside = f"{literal(given)}/**"
    if find(inside, limit=1):
        records = input_format == "tfrecords"
        return Pattern(inside + ".tfrecord*" * records, f"{given}/")
    if not exists(given):
        raise InputError(f"There is no file or folder {given}; check the name.")
    if input_format == "images" and not _is_image(given):
        raise InputError(
            f"{given} has no image suffix; known are {', '.join(sorted(SUFFIXES))}."
        )
    return Pattern(literal(given), given[: given.rfind("/") + 1])


def match(pattern: Pattern, config: TranslateBeamConfig) -> Iterator[Input]:
    """List the files of a pattern to translate.

    This skips hidden files, files in the output folder or of an earlier job and, among
    image files, those without an image suffix.

    Beam carries text in UTF-8. A name that is not UTF-8 stands for no file then, and
    becomes a dead letter.
    """
    out = same_file_key(config.out)
    for path in find(pattern.glob):
        hidden = path.rpartition("/")[2].startswith(".") or f"/{JOB_FOLDER}/" in path
        wanted = config.input_format == "tfrecords" or _is_image(path)
        if wanted and not hidden and not same_file_key(path).startswith(f"{out}/"):
            name = path.removeprefix(pattern.folder)
            yield Input(printable(name), printable(path))


def _is_image(path: str) -> bool:
    return pathlib.PurePosixPath(path).suffix.lower() in SUFFIXES
