"""Which files the inputs of `cyclegan translate-beam` mean, and what each is called.

Names are those that `cyclegan translate` keeps: of a folder's files, the path within
it; of a single file, its last part. Of what a pattern matches, it is the path within
the folder that stands before the first wildcard. The TFRecord files of a folder are
those with `.tfrecord` in their name.
"""

import pathlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.beam.files import absolute, exists, find, literal, same_file_key
from cyclegan_tf.beam.job import JOB_FOLDER
from cyclegan_tf.beam.options import ImageFormat, TranslateBeamConfig
from cyclegan_tf.images import SUFFIXES

_WILDCARDS = "*?["


class Pattern(NamedTuple):
    """Files to translate.

    Attributes:
        glob: what matches them.
        folder: what their names are relative to, with its slash.
    """

    glob: str
    folder: str


class Input(NamedTuple):
    """A file to translate.

    Attributes:
        name: what it keeps of its path in the output folder.
        path: where it is.
    """

    name: str
    path: str


def find_patterns(inputs: Sequence[str], input_format: ImageFormat) -> list[Pattern]:
    """Turn files, folders and patterns into patterns.

    Raises:
        InputError: if one of them matches nothing, or a single file is named that has
            no image suffix where it should.
    """
    if not inputs:
        raise InputError("There is nothing to translate; name files or folders.")
    return [_pattern(absolute(given), input_format) for given in inputs]


def _pattern(given: str, input_format: ImageFormat) -> Pattern:
    wildcards = [given.index(sign) for sign in _WILDCARDS if sign in given]
    if wildcards and not exists(given):
        if not find(given, limit=1):
            raise InputError(f"There is no file that {given} matches; check it.")
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
    """List the files of a pattern that are to be translated.

    Hidden files are not, nor is what lies in the output folder, which may be inside an
    input folder, nor what an earlier job keeps, nor, among image files, what has no
    image suffix.
    """
    out = same_file_key(config.out)
    for path in find(pattern.glob):
        hidden = path.rpartition("/")[2].startswith(".") or f"/{JOB_FOLDER}/" in path
        wanted = config.input_format == "tfrecords" or _is_image(path)
        if wanted and not hidden and not same_file_key(path).startswith(f"{out}/"):
            yield Input(path.removeprefix(pattern.folder), path)


def _is_image(path: str) -> bool:
    return pathlib.PurePosixPath(path).suffix.lower() in SUFFIXES
