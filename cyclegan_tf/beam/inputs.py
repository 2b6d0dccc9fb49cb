"""Find the input files of a job and their names in the output folder.

As in `translate`, a file in an input folder keeps its path within it, and a single
file keeps its last part. A file that a pattern matches keeps its path within the folder
before the first wildcard. TFRecord files in a folder have `.tfrecord` in their name.
"""

import logging
import pathlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf._shared.files import files_below, printable
from cyclegan_tf.beam.files import (
    absolute,
    exists,
    find,
    find_below,
    is_folder,
    is_local,
    literal,
    same_file_key,
)
from cyclegan_tf.beam.options import ImageFormat, TranslateBeamConfig
from cyclegan_tf.images.folders import find_images, list_folder
from cyclegan_tf.images.reading import SUFFIXES

_LOG = logging.getLogger(__name__)

_WILDCARDS = "*?["
# How many files of a bucket are looked at before all are listed.
_FIRST = 1000
# How many left-out files a line of the log names.
_NAMES_SHOWN = 5


class Pattern(NamedTuple):
    """Files to translate.

    Attributes:
        glob: pattern that matches them, or the path of a single file; empty for all
            files in a local folder.
        folder: folder with a final slash that their names are relative to.
    """

    glob: str
    folder: str


class Input(NamedTuple):
    """A file to translate: its path in the output folder, and its full path."""

    name: str
    path: str


def find_patterns(config: TranslateBeamConfig) -> list[Pattern]:
    """Turn files, folders and patterns into patterns.

    The log counts and names what is left out of local folders.

    Raises:
        InputError: if one of them has nothing to translate, or is a single file without
            an image suffix where an image is expected.
    """
    if not config.inputs:
        raise InputError("There is nothing to translate; name files or folders.")
    patterns = []
    for given in config.inputs:
        pattern = _pattern(absolute(given), config.input_format)
        if not any(match(pattern, config, _FIRST)) and not any(match(pattern, config)):
            files = "images" if config.input_format == "images" else "TFRecord files"
            raise InputError(f"There are no {files} in {given}; name other ones.")
        patterns.append(pattern)
    return patterns


def _pattern(given: str, input_format: ImageFormat) -> Pattern:
    if is_folder(given):
        if input_format == "images":
            find_images(pathlib.Path(given))  # its log names what is left out
        return Pattern("", f"{given}/")
    wildcards = [given.index(sign) for sign in _WILDCARDS if sign in given]
    if wildcards and not exists(given):
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
    return Pattern(given, given[: given.rfind("/") + 1])


def match(
    pattern: Pattern, config: TranslateBeamConfig, limit: int | None = None
) -> Iterator[Input]:
    """List the files of a pattern to translate.

    This skips hidden files and folders, files in the output folder and, among image
    files, those without an image suffix.

    Beam carries text in UTF-8. A name that is not UTF-8 stands for no file then, and
    becomes a dead letter, as does a link without a target that a pattern matches.

    Args:
        pattern: one of `find_patterns`.
        config: the options, with absolute paths.
        limit: the number of remote files to look at. Defaults to all.
    """
    out = same_file_key(config.out)
    left_out = []
    for path in _paths(pattern, config.input_format, limit):
        name = path.removeprefix(pattern.folder)
        hidden = any(part.startswith(".") for part in name.split("/"))
        if hidden or same_file_key(path).startswith(f"{out}/"):
            continue
        if config.input_format == "tfrecords" or _is_image(path):
            yield Input(printable(name), printable(path))
        else:
            left_out.append(printable(name))
    if left_out and limit is None:
        _LOG.warning(
            "Left out of %s, without an image suffix: %d, such as %s.",
            pattern.glob,
            len(left_out),
            ", ".join(left_out[:_NAMES_SHOWN]),
        )


def _paths(
    pattern: Pattern, input_format: ImageFormat, limit: int | None
) -> Iterable[str]:
    if pattern.glob and exists(pattern.glob):
        return [pattern.glob]
    if not is_local(pattern.folder):
        return find(pattern.glob, limit)
    if pattern.glob:
        return find_below(pattern.folder, pattern.glob)
    folder = pathlib.Path(pattern.folder)
    if input_format == "images":
        return map(str, list_folder(folder).images)
    return [str(path) for path in files_below(folder) if ".tfrecord" in path.name]


def _is_image(path: str) -> bool:
    return pathlib.PurePosixPath(path).suffix.lower() in SUFFIXES
