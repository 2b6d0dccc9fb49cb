"""Train a small generator to imitate a large one."""

import dataclasses
import logging
import pathlib
from collections.abc import Sequence

import keras
import numpy as np

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.config.options import DatasetConfig, TrainConfig
from cyclegan_tf.data.sources import Source, find_sources, split_folder
from cyclegan_tf.images import UnreadableImageError, read_shrunk, write_image
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
    `evaluate`; those that are there already are not translated again.

    Args:
        teacher: a run, a `.keras` file, an exported folder, or the name of a model.
        config: the options of the new generator, of `method="pix2pix"`. The images are
            a folder of photographs, of which a tenth is kept for tests, or one with
            trainA and testA (for `"f"`: trainB and testB).
        run_dir: a folder that does not exist, or is empty.
        direction: the generator of the teacher, as for `load_generator`.
        callbacks: as for `train`. Defaults to none.

    Raises:
        InputError: if there is no such teacher, the images are named otherwise, or as
            `train`.

    Reference:
        Li et al., GAN Compression, CVPR 2020: a student learns from pairs that its
        teacher makes, where the data has none.
    """
    run_dir = pathlib.Path(run_dir)
    if config.objective.method != "pix2pix":
        raise InputError(
            "A student learns from pairs, by `method=pix2pix`, not by "
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

    Photographs are scaled down to the size that the training resizes them to.
    """
    generator = choose_generator(pathlib.Path(teacher), direction)
    translate = load_translator(generator)
    domain = "B" if "f" in (generator.direction, direction) else "A"
    for split in ("train", "test"):
        sources = _photographs(dataset, split + domain)[: dataset.max_images]
        _LOG.info("Translating %d photographs for %s ...", len(sources), split)
        for i, source in enumerate(sources):
            path = folder / split / f"{i:06d}.png"
            if path.is_file():
                continue
            assert isinstance(source.content, pathlib.Path)
            try:
                image, _ = read_shrunk(
                    source.content,
                    translate.channels,
                    dataset.load_size,
                    translate.bytes_per_pixel,
                )
            except UnreadableImageError as e:
                _LOG.warning("Left out: %s", e)
                continue
            halves = np.broadcast_arrays(image, translate(image))
            write_image(path, np.concatenate(halves, axis=1))


def _photographs(dataset: DatasetConfig, name: str) -> list[Source]:
    """Return the photographs of a split such as trainA, or of a plain folder."""
    folder = pathlib.Path(dataset.data)
    if (folder / name).exists() or (folder / f"{name}.txt").exists():
        return find_sources(dataset.data, name)
    return split_folder(folder, name[:-1])
