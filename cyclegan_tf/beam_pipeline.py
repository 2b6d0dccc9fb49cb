"""The pipeline of `cyclegan translate-beam`: what workers do.

The files are found, each once, whatever matched them; each name goes to one file. A
unit of work is what is written at once: an image, or a TFRecord file. Whether its
output is there decides whether it is done, so that a unit that is tried again, on the
same worker or on two at a time, writes the same file again or none. Needs the extra
`beam`.
"""

import functools
import hashlib
import json
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, NamedTuple, NoReturn

import apache_beam as beam
import tensorflow as tf
from apache_beam.utils.shared import Shared

from cyclegan_tf.beam_files import (
    download,
    exists,
    publish,
    read_lines,
    same_file_key,
    scratch_folder,
)
from cyclegan_tf.beam_inputs import Input, Pattern, match
from cyclegan_tf.beam_job import job_folder, unfinished_folder
from cyclegan_tf.errors import InputError
from cyclegan_tf.file_translator import FileTranslator
from cyclegan_tf.options import TranslateBeamConfig
from cyclegan_tf.records import (
    UnreadableRecordsError,
    decode_record,
    encode_record,
    read_records,
)

MANIFEST = "manifest.jsonl"
DEAD_LETTERS = "dead-letters.jsonl"

Status = Literal["translated", "present", "skipped"]
# A row of the manifest: input, output, status, width, height, generator, error.
Row = dict[str, Any]


class Unit(NamedTuple):
    """What is written at once.

    Attributes:
        name: of the file, or for images of a TFRecord file the folder, in the output
            folder.
        inputs: the files it is made from.
    """

    name: str
    inputs: list[Input]


def build_pipeline(
    pipeline: beam.Pipeline,
    patterns: list[Pattern],
    config: TranslateBeamConfig,
    generator: str,
) -> None:
    """Add all steps to a pipeline.

    Args:
        pipeline: an empty one.
        patterns: what to translate.
        config: the options, with an absolute output folder.
        generator: the path of the generator, where all workers see it.
    """
    by_name = (
        pipeline
        | "Patterns" >> beam.Create(list(enumerate(patterns)))
        | "Match" >> beam.FlatMap(_match, config)
        | "Group by file" >> beam.GroupByKey()
        | "Each file once" >> beam.Map(_first_match)
        | "Group by name" >> beam.GroupByKey()
    )
    units = by_name | "Units" >> beam.FlatMap(_unit)
    if (config.input_format, config.output_format) == ("images", "tfrecords"):
        units = (
            units
            | "Choose shards" >> beam.Map(_with_shard, config.shards)
            | "Group by shard" >> beam.GroupByKey()
            | "Shards" >> beam.Map(_shard)
        )
    outcomes = (
        by_name | "Collisions" >> beam.FlatMap(_collisions, config),
        units | "Translate" >> beam.ParDo(Translate(config, generator)),
    ) | "Outcomes" >> beam.Flatten()
    skipped = outcomes | "Skipped" >> beam.Filter(lambda row: bool(row["error"]))
    _write(outcomes, pipeline, config, MANIFEST)
    _write(skipped, pipeline, config, DEAD_LETTERS)


def _match(
    numbered: tuple[int, Pattern], config: TranslateBeamConfig
) -> Iterator[tuple[str, tuple[int, str, str]]]:
    number, pattern = numbered
    for found in match(pattern, config):
        yield same_file_key(found.path), (number, found.name, found.path)


def _first_match(
    group: tuple[str, Iterable[tuple[int, str, str]]],
) -> tuple[str, str]:
    """Call a file as the first of the patterns does that match it."""
    _, name, path = min(group[1])
    return name, path


def _unit(group: tuple[str, Iterable[str]]) -> Iterator[Unit]:
    name, paths = group[0], list(group[1])
    if len(paths) == 1:
        yield Unit(name, [Input(name, paths[0])])


def _collisions(
    group: tuple[str, Iterable[str]], config: TranslateBeamConfig
) -> Iterator[Row]:
    name, paths = group[0], sorted(group[1])
    output = f"{config.out}/{name}"
    for path in paths if len(paths) > 1 else ():
        yield _row(config, path, output, error=_collision(paths, output))


def _with_shard(unit: Unit, shards: int) -> tuple[str, Input]:
    """Choose the file of an image by its name alone, so that it stays there."""
    [found] = unit.inputs
    digest = hashlib.sha256(unit.name.encode()).digest()
    number = int.from_bytes(digest[:8], "big") % shards
    return f"images.tfrecord-{number:05d}-of-{shards:05d}", found


def _shard(group: tuple[str, Iterable[Input]]) -> Unit:
    return Unit(group[0], sorted(Input(*found) for found in group[1]))


def _write(
    rows: beam.PCollection,
    pipeline: beam.Pipeline,
    config: TranslateBeamConfig,
    name: str,
) -> None:
    """Write rows as JSON lines into one file, which replaces that of an earlier run."""
    lines = (
        rows | f"Lines of {name}" >> beam.Map(lambda row: json.dumps(row) + "\n"),
        # Where there is no line, there must be a file all the same.
        pipeline | f"Begin {name}" >> beam.Create([""]),
    ) | f"All of {name}" >> beam.Flatten()
    group = lines | f"Name {name}" >> beam.WithKeys(name)
    group |= f"Group {name}" >> beam.GroupByKey()
    group | f"Write {name}" >> beam.Map(_write_lines, config.out)


def _write_lines(group: tuple[str, Iterable[str]], out: str) -> None:
    name, lines = group
    with scratch_folder() as folder:
        with (folder / name).open("w") as file:
            file.writelines(lines)
        publish(folder / name, f"{out}/{name}", unfinished_folder(out))


class _Item(NamedTuple):
    """An image on its way.

    Attributes:
        input: what to call it.
        name: of its translation, in the output folder or in its record.
        fetch: writes its file to a path, or raises an `InputError`.
        record: where it came from, if from a record.
    """

    input: str
    name: str
    fetch: Callable[[pathlib.Path], object]
    record: bytes = b""


class Translate(beam.DoFn):
    """Translate units.

    The generator is loaded once for each process, and images are translated one by one,
    as `cyclegan translate` does.

    Args:
        config: the options.
        generator: the path of the generator.
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
            return FileTranslator(folder / "generator.keras", self._config.tile)

    def process(self, unit: Unit) -> Iterator[Row]:
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
                    error = _collision([other, item.input], output)
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
        note = f"{job_folder(self._config.out)}/finished/{unit.name}.json"
        paths = [found.path for found in unit.inputs]
        if not self._config.overwrite and exists(note) and exists(shard):
            finished = json.loads("".join(read_lines(note)))
            # There may be more images now than there were.
            if finished["inputs"] == paths:
                for row in finished["rows"]:
                    yield row if row["error"] else {**row, "status": "present"}
                return
        rows = []
        with scratch_folder() as folder:
            try:
                with tf.io.TFRecordWriter(str(folder / "shard")) as writer:
                    for item in self._items(unit):

                        def keep(file: pathlib.Path, item: _Item = item) -> None:
                            content = file.read_bytes()
                            writer.write(encode_record(item.name, content, item.record))

                        rows.append(self._translate(item, shard, keep))
            except UnreadableRecordsError as e:
                yield self._row(paths[0], shard, error=str(e))
                return
            self._publish(folder / "shard", shard)
            (folder / "note").write_text(json.dumps({"inputs": paths, "rows": rows}))
            self._publish(folder / "note", note)
        yield from rows

    def _items(self, unit: Unit) -> Iterator[_Item]:
        for name, path in unit.inputs:
            if self._config.input_format == "images":
                yield _Item(path, name, functools.partial(download, path))
            else:
                yield from self._records(name, path)

    def _records(self, folder: str, path: str) -> Iterator[_Item]:
        with scratch_folder() as folder_of_records:
            download(path, folder_of_records / "records")
            records = read_records(folder_of_records / "records", path)
            for number, record in enumerate(records):
                label = f"{path}#{number}"
                try:
                    name, content = decode_record(record, label)
                except InputError as e:
                    yield _Item(label, "", functools.partial(_refuse, e))
                    continue
                # What two TFRecord files call the same must not be the same file.
                if self._config.output_format == "images":
                    name = f"{folder}/{name}"
                fetch = functools.partial(_write_bytes, content)
                yield _Item(label, name, fetch, record)

    def _translate(
        self, item: _Item, output: str, keep: Callable[[pathlib.Path], None]
    ) -> Row:
        """Translate an image, as the files of this machine that can be translated."""
        suffix = pathlib.PurePosixPath(item.name).suffix
        with scratch_folder() as folder:
            source, target = folder / f"image{suffix}", folder / f"translation{suffix}"
            try:
                item.fetch(source)
                height, width = self._translate_file(source, target)
            except InputError as e:
                error = str(e).replace(str(source), item.input)
                return self._row(item.input, output, error=error)
            keep(target)
        return self._row(item.input, output, "translated", width, height)

    def _publish(self, file: pathlib.Path, path: str) -> None:
        publish(file, path, unfinished_folder(self._config.out))

    def _row(self, *facts: Any, **more: Any) -> Row:
        return _row(self._config, *facts, **more)


def _row(
    config: TranslateBeamConfig,
    input: str,
    output: str,
    status: Status = "skipped",
    width: int = 0,
    height: int = 0,
    error: str = "",
) -> Row:
    return {
        "input": input,
        "output": output,
        "status": status,
        "width": width,
        "height": height,
        "generator": config.generator,
        "error": error,
    }


def _collision(paths: list[str], output: str) -> str:
    return (
        f"{' and '.join(paths)} would both become {output}; translate them into "
        "different folders."
    )


def _refuse(error: InputError, path: pathlib.Path) -> NoReturn:
    raise error


def _write_bytes(content: bytes, path: pathlib.Path) -> None:
    path.write_bytes(content)
