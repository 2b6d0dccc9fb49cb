"""The table of formats: how each file of a generator is written and run."""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable, Iterator

import keras

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf._shared.files import versions_in
from cyclegan_tf.export import litert, onnx, savedmodel
from cyclegan_tf.export.generators import Exportable
from cyclegan_tf.export.litert_runtime import LiteRTModel
from cyclegan_tf.export.options import CALIBRATED, ExportConfig, LiteRTVariant
from cyclegan_tf.export.parity import Artefact, Runtime, as_input


@dataclasses.dataclass(frozen=True)
class Output:
    """A file or folder to write at a path, and to load from there."""

    artefact: Artefact
    write: Callable[[pathlib.Path], None]
    load: Callable[[pathlib.Path], Runtime]


def list_outputs(
    exportable: Exportable, model: keras.Model, config: ExportConfig
) -> Iterator[Output]:
    """List the files to write of one generator, without writing any.

    Args:
        exportable: the generator, its name and images.
        model: what `inference_model` makes of it.
        config: all options.
    """
    for name, outputs in _FORMATS.items():
        if name in config.chosen.formats:
            yield from outputs(exportable, model, config)


def _savedmodel(
    exportable: Exportable, model: keras.Model, config: ExportConfig
) -> Iterator[Output]:
    name = exportable.name
    version = _new_version(config, name)

    def write(folder: pathlib.Path) -> None:
        savedmodel.write_saved_model(folder, model)
        if savedmodel.can_write_warmup_requests():
            image_shape = (*exportable.size, model.input_shape[-1])
            savedmodel.write_warmup_requests(folder, name, image_shape)

    artefact = Artefact(f"{name}/{version}", name, "savedmodel", "float32", "any")
    yield Output(artefact, write, savedmodel.SavedModelRuntime)


def _new_version(config: ExportConfig, name: str) -> int:
    """Return the version to write: servers do not load a version that they know."""
    known = versions_in(config.out / name)
    if not isinstance(config.model_version, int):
        return max(known, default=0) + 1
    if config.model_version in known:
        raise InputError(
            f"{known[config.model_version]} already exists, and servers do not load a "
            "version again; choose another `model_version`, such as next."
        )
    return config.model_version


def _litert(
    exportable: Exportable, model: keras.Model, config: ExportConfig
) -> Iterator[Output]:
    name, calibration = exportable.name, as_input(exportable.calibration_images)
    choice = config.chosen

    def write(
        variant: LiteRTVariant, size: tuple[int, int] | None, path: pathlib.Path
    ) -> None:
        # GPUs take no files of any size, and compute integers in integers.
        for_gpu = choice.gpu_safe and size is not None and variant not in CALIBRATED
        path.write_bytes(litert.convert(model, variant, size, calibration, for_gpu))

    for input_size in dict.fromkeys(choice.sizes):
        size = exportable.size if input_size == "fixed" else None
        label = "x".join(map(str, size)) if size else "any"
        for variant in dict.fromkeys(choice.variants):
            path = f"litert/{name}_{variant}_{label}.tflite"
            yield Output(
                Artefact(path, name, "litert", variant, label),
                functools.partial(write, variant, size),
                functools.partial(LiteRTModel, threads=_threads(config)),
            )


def _onnx(
    exportable: Exportable, model: keras.Model, config: ExportConfig
) -> Iterator[Output]:
    name = exportable.name
    yield Output(
        Artefact(f"onnx/{name}.onnx", name, "onnx", "float32", "any"),
        functools.partial(onnx.write_onnx, model=model),
        functools.partial(onnx.OnnxModel, threads=_threads(config)),
    )


def _threads(config: ExportConfig) -> int:
    return config.threads or os.cpu_count() or 1


_FORMATS = {"savedmodel": _savedmodel, "litert": _litert, "onnx": _onnx}
