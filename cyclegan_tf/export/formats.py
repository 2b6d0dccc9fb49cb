"""What is written of one generator: each file, how it is made and how it is run."""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np

from cyclegan_tf.export import litert, onnx, savedmodel
from cyclegan_tf.export.litert_runtime import LiteRTModel
from cyclegan_tf.export.options import ExportConfig, LiteRTVariant
from cyclegan_tf.export.parity import Artefact, Runtime


@dataclasses.dataclass(frozen=True)
class Plan:
    """An artefact that is to be made.

    Attributes:
        artefact: what it is.
        write: makes it at a path.
        load: loads it from a path.
    """

    artefact: Artefact
    write: Callable[[pathlib.Path], None]
    load: Callable[[pathlib.Path], Runtime]


def plan_artefacts(
    name: str,
    model: keras.Model,
    config: ExportConfig,
    variants: Sequence[LiteRTVariant],
    size: tuple[int, int],
    calibration: Sequence[np.ndarray],
) -> Iterator[Plan]:
    """List what a configuration says to write of one generator.

    Args:
        name: what the generator is called.
        model: what `inference_model` returned.
        config: all options.
        variants: of the LiteRT files.
        size: (height, width) of the images for files of one size.
        calibration: float32 images (1, height, width, channels) in [-1, 1] for
            calibrated variants.

    Yields:
        A plan for each artefact.
    """
    threads = config.threads or os.cpu_count() or 1
    if "savedmodel" in config.formats:
        yield Plan(
            Artefact(f"{name}/1", name, "savedmodel", "float32", "any"),
            functools.partial(_write_saved_model, name, model, size),
            savedmodel.SavedModel,
        )
    if "litert" in config.formats:
        for input_size in dict.fromkeys(config.sizes):
            one_size = size if input_size == "fixed" else None
            label = "x".join(map(str, size)) if one_size else "any"
            for variant in dict.fromkeys(variants):
                path = f"litert/{name}_{variant}_{label}.tflite"
                yield Plan(
                    Artefact(path, name, "litert", variant, label),
                    functools.partial(
                        _write_litert, model, variant, one_size, calibration
                    ),
                    functools.partial(LiteRTModel, threads=threads),
                )
    if "onnx" in config.formats:
        yield Plan(
            Artefact(f"onnx/{name}.onnx", name, "onnx", "float32", "any"),
            functools.partial(onnx.write_onnx, model=model),
            functools.partial(onnx.OnnxModel, threads=threads),
        )


def _write_saved_model(
    name: str, model: keras.Model, size: tuple[int, int], folder: pathlib.Path
) -> None:
    savedmodel.write_saved_model(folder, model)
    if savedmodel.can_write_warmup_requests():
        savedmodel.write_warmup_requests(folder, name, *size, model.input_shape[-1])


def _write_litert(
    model: keras.Model,
    variant: LiteRTVariant,
    size: tuple[int, int] | None,
    calibration: Sequence[np.ndarray],
    path: pathlib.Path,
) -> None:
    path.write_bytes(litert.convert(model, variant, size, calibration))
