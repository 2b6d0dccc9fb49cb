"""Export generators: files for servers, phones and browsers, and a parity report.

NAME_g/1/                            SavedModel in the layout of TensorFlow Serving
litert/NAME_g_float16_256x256.tflite LiteRT, for images of one size
litert/NAME_g_float16_any.tflite     LiteRT, for images of any size
onnx/NAME_g.onnx                     ONNX
NAME_g.json                          what the generator is and takes
report.json, report.md               how each file compares to the Keras generator
"""

import contextlib
import dataclasses
import datetime
import logging
import os
import pathlib

import tensorflow as tf

from cyclegan_tf._shared.errors import InputError, RefusedFileError
from cyclegan_tf._shared.files import check_free, remove, replacing, write_json
from cyclegan_tf._shared.machine import processor_name, versions
from cyclegan_tf._version import __version__
from cyclegan_tf.export import litert, onnx, savedmodel
from cyclegan_tf.export.formats import Plan, plan_artefacts
from cyclegan_tf.export.generators import Exportable, find_exportables
from cyclegan_tf.export.litert_runtime import require_litert
from cyclegan_tf.export.options import ExportConfig, LiteRTVariant
from cyclegan_tf.export.parity import Judge, as_input, find_problem
from cyclegan_tf.export.report import NAME as REPORT
from cyclegan_tf.export.report import Entry, Report, find_earlier_files
from cyclegan_tf.models.networks.graph import size_multiple
from cyclegan_tf.translation.inference import inference_model

_LOG = logging.getLogger(__name__)

_VARIANTS: tuple[LiteRTVariant, ...] = (
    "float32",
    "float16",
    "dynamic_range",
    "int16x8",
    "int8",
)


def export_generators(config: ExportConfig) -> Report:
    """Export one generator, or both of a run, and compare each file to Keras.

    Args:
        config: what to export, to which formats, and where to.

    Returns:
        The report, which is also in `report.json` and `report.md` in the folder, after
        each file as far as it came. Files that fail are named in it; those that would
        be no use were not written.

    Raises:
        InputError: if there is nothing to export, an extra is not installed, or,
            without `overwrite`, the folder holds an export already.
    """
    config.check()
    _check_extras(config)
    if config.threads:
        # Only before TensorFlow has run anything; the report says what it used.
        with contextlib.suppress(RuntimeError):
            tf.config.threading.set_intra_op_parallelism_threads(config.threads)
    exportables = find_exportables(config)
    variants = _choose_variants(config, exportables)
    _check_free(config)
    report = Report(
        str(config.source),
        f"{len(exportables[0].report_images)} "
        f"{' and '.join(exportable.images_from for exportable in exportables)}",
        _machine(),
        earlier_files=find_earlier_files(config.out),
    )
    report.write(config.out)
    for exportable in exportables:
        report = _export(exportable, config, variants, report)
    return report.finish(config.out)


def _check_extras(config: ExportConfig) -> None:
    if "litert" in config.formats:
        require_litert()
    if "onnx" in config.formats:
        onnx.require_onnx()
    if "savedmodel" in config.formats and not savedmodel.can_write_warmup_requests():
        _LOG.warning(
            "The SavedModels get no warm-up requests, which TensorFlow Serving would "
            "run when it starts; for them, pip install 'cyclegan_tf[serving]'."
        )


def _choose_variants(
    config: ExportConfig, exportables: list[Exportable]
) -> tuple[LiteRTVariant, ...]:
    """The number formats asked for; if none are, those that can be had."""
    calibrated = all(exportable.calibration_images for exportable in exportables)
    if config.variants is None:
        if calibrated or "litert" not in config.formats:
            return _VARIANTS
        _LOG.warning(
            "%s are left out: they need images of what the generator translates; name "
            "a folder of them with --calibration.",
            " and ".join(v for v in _VARIANTS if v in litert.CALIBRATED),
        )
        return tuple(v for v in _VARIANTS if v not in litert.CALIBRATED)
    for variant in config.variants:
        if variant in litert.CALIBRATED and not calibrated:
            raise InputError(
                f"{variant} needs images of what {config.source} translates, to choose "
                "the ranges of its numbers; name a folder of them with --calibration."
            )
    return config.variants


def _check_free(config: ExportConfig) -> None:
    check_free(config.out / REPORT, config.overwrite)


def _export(
    exportable: Exportable,
    config: ExportConfig,
    variants: tuple[LiteRTVariant, ...],
    report: Report,
) -> Report:
    model = inference_model(exportable.generator)
    judge = Judge(exportable.generator, model, exportable.report_images)
    calibration = as_input(exportable.calibration_images)
    entries = []
    for plan in plan_artefacts(
        exportable.name, model, config, variants, exportable.size, calibration
    ):
        entry = _write_and_measure(plan, config.out, judge)
        _LOG.info("%s", entry.problem or f"Wrote {entry.artefact.path}")
        entries.append(entry)
        report = dataclasses.replace(report, entries=(*report.entries, entry))
        report.write(config.out)
    _write_metadata(exportable, config, entries)
    return report


def _write_and_measure(plan: Plan, out: pathlib.Path, judge: Judge) -> Entry:
    path = out / plan.artefact.path
    try:
        with replacing(path) as temporary:
            plan.write(temporary)
            if path.is_dir():  # which a rename does not replace
                remove(path)
        artefact = dataclasses.replace(plan.artefact, bytes=_bytes_in(path))
        measurement = judge.measure(artefact, plan.load(path))
    except RefusedFileError as e:
        remove(path)
        return Entry(plan.artefact, None, f"{plan.artefact.path} was refused: {e}")
    return Entry(artefact, measurement, find_problem(artefact, measurement))


def _write_metadata(
    exportable: Exportable, config: ExportConfig, entries: list[Entry]
) -> None:
    """Write what a user of the files must know about the generator."""
    content = {
        "name": exportable.name,
        "direction": exportable.direction,
        "translates": {"g": "X to Y", "f": "Y to X", None: None}[exportable.direction],
        "source": str(config.source),
        "exported": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cyclegan_tf": __version__,
        "input": {
            "name": "image",
            "layout": "batch, height, width, channels",
            "channels": exportable.generator.input_shape[-1],
            "value_range": [-1.0, 1.0],
            "sides_multiple_of": size_multiple(exportable.generator),
        },
        "output": {
            "name": "translated",
            "layout": "batch, height, width, channels",
            "channels": exportable.generator.output_shape[-1],
            "value_range": [-1.0, 1.0],
        },
        "files": [
            entry.artefact.path for entry in entries if entry.measurement is not None
        ],
    }
    write_json(config.out / f"{exportable.name}.json", content)


def _bytes_in(path: pathlib.Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _machine() -> dict[str, str]:
    return {
        "processor": processor_name(),
        "processors": str(os.cpu_count()),
        "cyclegan_tf": __version__,
        **versions("tensorflow", "keras"),
    }
