"""Train a small generator to imitate a large one."""

import dataclasses
import json
import logging
import pathlib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf._shared.files import remove_leftovers, replacing
from cyclegan_tf.config.options import DatasetConfig, TrainConfig
from cyclegan_tf.data.sources import find_sources, split_folder
from cyclegan_tf.images.reading import UnreadableImageError, read_shrunk
from cyclegan_tf.images.writing import write_image
from cyclegan_tf.pretrained.find import choose_generator
from cyclegan_tf.runs.run import Run
from cyclegan_tf.training.train import train
from cyclegan_tf.translation.exported import load_translator

_LOG = logging.getLogger(__name__)


def distill(
    teacher: str | pathlib.Path,
    config: TrainConfig,
    run_dir: str | pathlib.Path,
    direction: str | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> None:
    """Train a generator by pix2pix on photographs and a teacher's translations of them.

    The pairs lie beside the run, in `NAME-pairs`, and stay there for `resume` and
    `evaluate`. Those of the same teacher and photographs that are there already, as
    after an interruption, are not translated again; others are refused.

    Args:
        teacher: a run, a `.keras` file, an exported folder, or the name of a model.
        config: the options of the new generator, of `method="pix2pix"`. The images are
            a folder of photographs, of which a tenth is kept for tests, or one with
            trainA and testA (for `"f"`: trainB and testB).
        run_dir: a folder that does not exist, or is empty.
        direction: the generator of the teacher, as for `load_generator`.
        callbacks: as for `train`. Defaults to none.

    Raises:
        InputError: if there is no such teacher, the images are named otherwise,
            `NAME-pairs` has other files, or as `train`.

    Reference:
        Li et al., GAN Compression, CVPR 2020: a student learns from pairs that its
        teacher makes, where the data has none.
    """
    run_dir = pathlib.Path(run_dir)
    if config.objective.method != "pix2pix":
        raise InputError(
            "`distill` trains with `method=pix2pix`; leave out "
            f"`method={config.objective.method}`."
        )
    dataset = config.dataset
    if not dataset.data or dataset.direction == "BtoA":
        raise InputError(
            "A student learns from the photographs of one folder, in the direction of "
            "its teacher; name it by `data`, without `data_x`, `data_y` and "
            "`direction=BtoA`."
        )
    Run.check_free(run_dir)
    pairs = run_dir.with_name(f"{run_dir.name}-pairs")
    write_pairs(teacher, direction, dataset, pairs)
    dataset = dataclasses.replace(dataset, data=str(pairs))
    train(dataclasses.replace(config, dataset=dataset), run_dir, callbacks)


def write_pairs(
    teacher: str | pathlib.Path,
    direction: str | None,
    dataset: DatasetConfig,
    folder: pathlib.Path,
) -> None:
    """Write each photograph with its translation side by side, as pix2pix reads them.

    Photographs are scaled down to the size that the training resizes them to. What the
    pairs are made from lies beside them, so that none is taken for another's.

    Raises:
        InputError: if the folder has other files than these pairs.
    """
    generator = choose_generator(pathlib.Path(teacher), direction)
    translate = load_translator(generator)
    domain = "B" if "f" in (generator.direction, direction) else "A"
    photographs = {
        split: _photographs(dataset, split + domain)[: dataset.max_images]
        for split in ("train", "test")
    }
    versions = {
        split: list(map(_version, paths)) for split, paths in photographs.items()
    }
    origin = {"teacher": _version(generator.path), "load_size": dataset.load_size}
    _note_origin(folder, origin | versions)
    for split, paths in photographs.items():
        _LOG.info("Translating %d photographs for %s ...", len(paths), split)
        for i, photograph in enumerate(paths):
            path = folder / split / f"{i:06d}.png"
            if path.is_file():
                continue
            try:
                image, _ = read_shrunk(
                    photograph,
                    translate.channels,
                    dataset.load_size,
                    translate.bytes_per_pixel,
                )
            except UnreadableImageError as e:
                _LOG.warning("Left out: %s", e)
                continue
            halves = np.broadcast_arrays(image, translate(image))
            write_image(path, np.concatenate(halves, axis=1))


def _photographs(dataset: DatasetConfig, name: str) -> list[pathlib.Path]:
    """Return the photographs of a split such as trainA, or of a plain folder."""
    folder = pathlib.Path(dataset.data)
    if (folder / name).exists() or (folder / f"{name}.txt").exists():
        sources = find_sources(dataset.data, name)
    else:
        sources = split_folder(folder, name[:-1])
    contents = [source.content for source in sources]
    return [content for content in contents if isinstance(content, pathlib.Path)]


def _version(path: pathlib.Path) -> list[str | int]:
    """Return a file's name, size and time; of a SavedModel, those of its graph."""
    try:
        status = (path / "saved_model.pb" if path.is_dir() else path).stat()
    except FileNotFoundError:
        raise InputError(f"There is no file {path}; check the name.") from None
    return [str(path.absolute()), status.st_size, status.st_mtime_ns]


def _note_origin(folder: pathlib.Path, origin: dict[str, Any]) -> None:
    """Note what the pairs in a folder are made from, or check that it was the same."""
    note, content = folder / "made_from.json", json.dumps(origin, indent=2).encode()
    remove_leftovers(folder)
    if not folder.exists() or not any(folder.iterdir()):
        with replacing(note) as temporary:
            temporary.write_bytes(content)
    elif not note.is_file() or note.read_bytes() != content:
        raise InputError(
            f"{folder} does not say that this teacher made it from these photographs; "
            "remove it, or choose another `run_dir`."
        )
