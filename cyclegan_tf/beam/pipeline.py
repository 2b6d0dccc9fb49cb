"""The pipeline of `cyclegan translate-beam`: units of work and the manifest.

A file is translated once even if several patterns match it, and two files of one name
are refused. Needs the extra `beam`.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator

import apache_beam as beam

from cyclegan_tf.beam.files import publish, same_file_key, scratch_folder
from cyclegan_tf.beam.inputs import Input, Pattern, match
from cyclegan_tf.beam.job import unfinished_folder
from cyclegan_tf.beam.options import TranslateBeamConfig
from cyclegan_tf.beam.units import Row, Translate, Unit, describe_collision, make_row

MANIFEST = "manifest.jsonl"
DEAD_LETTERS = "dead-letters.jsonl"


def build_pipeline(
    pipeline: beam.Pipeline,
    patterns: list[Pattern],
    config: TranslateBeamConfig,
    generator: str,
) -> None:
    """Add all steps to an empty pipeline; all workers must see output and generator."""
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
) -> Iterator[tuple[str, tuple[int, str]]]:
    number, pattern = numbered
    for found in match(pattern, config):
        yield found.path, (number, found.name)


def _first_match(group: tuple[str, Iterable[tuple[int, str]]]) -> tuple[str, str]:
    """Return the name that the first matching pattern gives a file, and its path."""
    path, matches = group
    _, name = min(matches)
    return name, path


def _unit(group: tuple[str, Iterable[str]]) -> Iterator[Unit]:
    name, paths = group[0], _different_files(group[1])
    if len(paths) == 1:
        yield Unit(name, [Input(name, paths[0])])


def _collisions(
    group: tuple[str, Iterable[str]], config: TranslateBeamConfig
) -> Iterator[Row]:
    name, paths = group[0], _different_files(group[1])
    output = f"{config.out}/{name}"
    for path in paths if len(paths) > 1 else ():
        error = describe_collision(paths, output)
        yield make_row(config, path, output, error=error)


def _different_files(paths: Iterable[str]) -> list[str]:
    """Return the paths without links to each other."""
    return sorted({same_file_key(path): path for path in sorted(paths)}.values())


def _with_shard(unit: Unit, shards: int) -> tuple[str, Input]:
    """Choose the shard of an image by its name alone, so that it never changes."""
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
    """Write rows as JSON lines into one file, replacing that of an earlier run."""
    lines = (
        rows | f"Lines of {name}" >> beam.Map(lambda row: json.dumps(row) + "\n"),
        # Without any row, there must still be a file.
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
