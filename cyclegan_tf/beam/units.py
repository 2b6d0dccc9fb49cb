"""Translate units of work on a worker: single images or whole TFRecord files.

An existing output marks a unit as done, so that a retry, even on two workers at once,
writes the same file again or none. Needs the extra `beam`.
"""

import functools
import hashlib
import pathlib
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple, NoReturn

import apache_beam as beam
import tensorflow as tf
from apache_beam.utils.shared import Shared

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf._shared.files import write_json
from cyclegan_tf.beam.files import (
    download,
    exists,
    is_folder,
    publish,
    read_json,
    scratch_folder,
)
from cyclegan_tf.beam.inputs import Input
from cyclegan_tf.beam.job import job_folder, unfinished_folder
from cyclegan_tf.beam.options import TranslateBeamConfig
from cyclegan_tf.beam.records import (
    UnreadableRecordsError,
    decode_record,
    encode_record,
    read_records,
)
from cyclegan_tf.pretrained.find import StoredGenerator
from cyclegan_tf.translation.files import FileTranslator

Status = Literal["translated", "present", "skipped"]
# The keys are the arguments of `make_row`.
Row = dict[str, Any]


class Unit(NamedTuple):
    """A unit of work.

    Attributes:
        name: path in the output folder: of the file, or of the folder for the images of
            a TFRecord file.
        inputs: the input files.
    """

    name: str
    inputs: list[Input]


def make_row(
    config: TranslateBeamConfig,
    input: str,
    output: str,
    status: Status = "skipped",
    width: int = 0,
    height: int = 0,
    scaled_from: str = "",
    error: str = "",
) -> Row:
    """Make a row of the manifest, with width and height 0 if not translated now."""
    return {
        "input": input,
        "output": output,
        "status": status,
        "width": width,
        "height": height,
        "scaled_from": scaled_from,
        "generator": config.source,
        "size": str(config.size),
        "error": error,
    }


def describe_collision(paths: list[str], output: str) -> str:
    """Return the error for several images that would become one file."""
    *others, last = paths
    return (
        f"{', '.join(others)} and {last} would become the same file {output}; "
        "translate them into different folders."
    )


class _Item(NamedTuple):
    """An image to translate."""

    input: str  # in the manifest
    name: str  # of the translation, in the output folder or its record
    fetch: Callable[[pathlib.Path], object]  # writes the file or raises an InputError
    record: bytes = b""  # where the image is from, if from a record


class Translate(beam.DoFn):
    """Translate units of work, one image at a time, as `translate` does.

    Each process loads the generator once.
    """

    def __init__(self, config: TranslateBeamConfig, generator: str):
        self._config = config
        self._generator = generator
        self._shared = Shared()

    def setup(self) -> None:
        self._translate_file = self._shared.acquire(self._load)

    def _load(self) -> FileTranslator:
        with scratch_folder() as folder:
            download(self._generator, folder / "generator.keras")
            return FileTranslator(
                StoredGenerator(None, folder / "generator.keras"),
                self._config.size,
                self._config.tile,
            )

    def process(self, unit: Unit) -> Iterator[Row]:
        # Beam may pass plain tuples.
        unit = Unit(unit[0], [Input(*found) for found in unit[1]])
        if self._config.output_format == "images":
            yield from self._write_images(unit)
        else:
            yield from self._write_shard(unit)

    def _write_images(self, unit: Unit) -> Iterator[Row]:
        inputs_of: dict[str, str] = {}
        try:
            for item in self._items(unit):
                output = f"{self._config.out}/{item.name}"
                other = inputs_of.setdefault(item.name, item.input)
                if item.name and other != item.input:
                    error = describe_collision([other, item.input], output)
                    yield self._row(item.input, output, error=error)
                elif item.name and is_folder(output):
                    error = f"{output} is a folder; choose another `out`."
                    yield self._row(item.input, output, error=error)
                elif item.name and not self._config.overwrite and exists(output):
                    yield self._row(item.input, output, "present")
                else:
                    keep = functools.partial(self._publish, path=output)
                    yield self._translate(item, output, keep)
        except UnreadableRecordsError as e:
            yield self._row(unit.inputs[0].path, "", error=str(e))

    def _write_shard(self, unit: Unit) -> Iterator[Row]:
        """Write a TFRecord file, then the note that it is finished."""
        shard = f"{self._config.out}/{unit.name}"
        # Of fixed length: a name with more at its end may be too long.
        digest = hashlib.sha256(unit.name.encode()).hexdigest()
        note = f"{job_folder(self._config.out)}/finished/{digest}.json"
        paths = [found.path for found in unit.inputs]
        try:
            if is_folder(shard):
                raise InputError(f"{shard} is a folder; choose another `out`.")
            rows = self._finished_rows(shard, note, paths)
            if rows is None:
                with scratch_folder() as folder:
                    rows = self._fill_shard(folder / "shard", unit, shard)
                    self._publish(folder / "shard", shard)
                    write_json(folder / "note", {"inputs": paths, "rows": rows})
                    self._publish(folder / "note", note)
        except InputError as e:
            rows = [self._row(path, shard, error=str(e)) for path in paths]
        yield from rows

    def _finished_rows(
        self, shard: str, note: str, paths: list[str]
    ) -> list[Row] | None:
        """Return the rows of a finished TFRecord file of the same inputs."""
        if self._config.overwrite or not exists(note) or not exists(shard):
            return None
        try:
            finished = read_json(note)
        except InputError:
            return None
        if finished["inputs"] != paths:  # new images have arrived
            return None
        return [
            row if row["error"] else {**row, "status": "present"}
            for row in finished["rows"]
        ]

    def _fill_shard(self, file: pathlib.Path, unit: Unit, shard: str) -> list[Row]:
        rows = []
        with tf.io.TFRecordWriter(str(file)) as writer:
            for item in self._items(unit):

                def keep(image: pathlib.Path, item: _Item = item) -> None:
                    content = image.read_bytes()
                    writer.write(encode_record(item.name, content, item.record))

                rows.append(self._translate(item, shard, keep))
        return rows

    def _items(self, unit: Unit) -> Iterator[_Item]:
        for name, path in unit.inputs:
            if self._config.input_format == "images":
                yield _Item(path, name, functools.partial(download, path))
            else:
                yield from self._records(name, path)

    def _records(self, folder: str, path: str) -> Iterator[_Item]:
        with scratch_folder() as folder_of_records:
            try:
                download(path, folder_of_records / "records")
            except InputError as e:
                raise UnreadableRecordsError(str(e)) from e
            records = read_records(folder_of_records / "records", path)
            for number, record in enumerate(records):
                label = f"{path}#{number}"
                try:
                    name, content = decode_record(record, label)
                except InputError as e:
                    yield _Item(label, "", functools.partial(_refuse, e))
                    continue
                # Names may repeat across TFRecord files, so each gets a folder.
                if self._config.output_format == "images":
                    name = f"{folder}/{name}"
                fetch = functools.partial(_write_bytes, content)
                yield _Item(label, name, fetch, record)

    def _translate(
        self, item: _Item, output: str, keep: Callable[[pathlib.Path], None]
    ) -> Row:
        """Translate an image through local temporary files."""
        suffix = pathlib.PurePosixPath(item.name).suffix
        with scratch_folder() as folder:
            source, target = folder / f"image{suffix}", folder / f"translation{suffix}"
            try:
                item.fetch(source)
                file = self._translate_file(source, target)
                keep(target)
            except InputError as e:
                error = str(e).replace(str(source), item.input)
                error = error.replace(str(target), output)
                return self._row(item.input, output, error=error)
        return self._row(
            *(item.input, output, "translated"),
            *(file.width, file.height, file.scaled_from),
        )

    def _publish(self, file: pathlib.Path, path: str) -> None:
        publish(file, path, unfinished_folder(self._config.out))

    def _row(self, *facts: Any, **more: Any) -> Row:
        return make_row(self._config, *facts, **more)


def _refuse(error: InputError, path: pathlib.Path) -> NoReturn:
    raise error


def _write_bytes(content: bytes, path: pathlib.Path) -> None:
    path.write_bytes(content)
