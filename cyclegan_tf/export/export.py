"""Export generators: files for servers, phones and browsers, and a parity report.

NAME_g/1/                            SavedModel for TensorFlow Serving, version 1
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

import keras
import tensorflow as tf

from cyclegan_tf._shared.errors import RefusedFileError
from cyclegan_tf._shared.files import (
    check_free,
    locked,
    remove,
    remove_leftovers,
    replacing,
    write_json,
)
from cyclegan_tf._shared.machine import hardware, processor_name, versions
from cyclegan_tf._version import __version__
from cyclegan_tf.export import onnx, savedmodel
from cyclegan_tf.export.formats import Output, list_outputs
from cyclegan_tf.export.generators import Exportable, load_exportables
from cyclegan_tf.export.litert_runtime import require_litert
from cyclegan_tf.export.options import ExportConfig
from cyclegan_tf.export.parity import Judge, find_problem
from cyclegan_tf.export.progress import Tell, progress
from cyclegan_tf.export.report import NAME as REPORT
from cyclegan_tf.export.report import Entry, Report, find_earlier_files
from cyclegan_tf.models.networks.graph import size_multiple
from cyclegan_tf.translation.inference import inference_model

_LOG = logging.getLogger(__name__)


def export_generators(config: ExportConfig) -> Report:
    """Export one generator, or both of a run, and compare each file to Keras.

    Args:
        config: what to export, to which formats, and where.

    Returns:
        The report. It is also in `report.json` and `report.md` in the folder, updated
        after each file. It names the files that fail; useless ones are not kept.

    Raises:
        InputError: if there is nothing to export, an extra is not installed, another
            process exports into the folder, the version of a SavedModel is taken, or,
            without `overwrite`, the folder holds an export already.
    """
    config.check()
    _check_extras(config)
    if config.threads:
        # Possible only before TensorFlow has run; the report says what was used.
        with contextlib.suppress(RuntimeError):
            tf.config.threading.set_intra_op_parallelism_threads(config.threads)
    exportables = load_exportables(config)
    config.out.mkdir(parents=True, exist_ok=True)
    _LOG.info("Computing on %s in float32.", hardware())
    with locked(config.out, "exporting", "out"):
        report = _export_all(exportables, config)
    _LOG.info("See %s", config.out / "report.md")
    return report


def _export_all(exportables: list[Exportable], config: ExportConfig) -> Report:
    check_free(config.out / REPORT, config.overwrite or config.adds_a_version)
    plans = [_Plan.of(exportable, config) for exportable in exportables]
    planned = [output.artefact for plan in plans for output in plan.outputs]
    remove_leftovers(
        config.out, *((config.out / artefact.path).parent for artefact in planned)
    )
    report = Report(
        str(config.source),
        f"{len(exportables[0].report_images)} "
        f"{' and '.join(exportable.images_from for exportable in exportables)}",
        _machine(),
        # Also what is planned now: if this export dies, the next one removes it.
        earlier_files=find_earlier_files(config.out, planned),
    )
    report.write(config.out)
    with progress(sum(plan.steps for plan in plans)) as tell:
        for plan in plans:
            report = _export(plan, config, report, tell)
    return report.finish(config.out, keeps_earlier=config.model_version is not None)


def _check_extras(config: ExportConfig) -> None:
    formats = config.chosen.formats
    if "litert" in formats:
        require_litert()
    if "onnx" in formats:
        onnx.require_onnx()
    if "savedmodel" in formats and not savedmodel.can_write_warmup_requests():
        _LOG.warning(
            "The SavedModels get no warm-up requests, which TensorFlow Serving runs "
            "when it starts; to write them, pip install 'cyclegan_tf[serving]'."
        )


@dataclasses.dataclass(frozen=True)
class _Plan:
    """The files to write of one generator."""

    exportable: Exportable
    model: keras.Model
    outputs: tuple[Output, ...]

    @classmethod
    def of(cls, exportable: Exportable, config: ExportConfig) -> "_Plan":
        model = inference_model(exportable.generator)
        return cls(exportable, model, tuple(list_outputs(exportable, model, config)))

    @property
    def steps(self) -> int:
        """How often `_export` tells of its progress."""
        return 1 + 2 * len(self.outputs)


def _export(plan: _Plan, config: ExportConfig, report: Report, tell: Tell) -> Report:
    exportable = plan.exportable
    tell(f"Translating with {exportable.name} in Keras")
    judge = Judge(exportable.generator, plan.model, exportable.report_images)
    entries = []
    for output in plan.outputs:
        entries.append(_write_and_measure(output, config.out, judge, tell))
        report = dataclasses.replace(report, entries=(*report.entries, entries[-1]))
        report.write(config.out)
    _write_metadata(exportable, config, entries)
    return report


def _write_and_measure(
    output: Output, out: pathlib.Path, judge: Judge, tell: Tell
) -> Entry:
    path = out / output.artefact.path
    tell(f"Writing {output.artefact.path}")
    try:
        with replacing(path) as temporary:
            output.write(temporary)
        tell(f"Comparing {output.artefact.path}")
        artefact = dataclasses.replace(output.artefact, bytes=_bytes_in(path))
        measurement = judge.measure(artefact, output.load(path))
    except RefusedFileError as e:
        remove(path)
        problem = f"{output.artefact.path} was refused: {e}"
        return Entry(output.artefact, None, problem)
    return Entry(artefact, measurement, find_problem(artefact, measurement))


def _write_metadata(
    exportable: Exportable, config: ExportConfig, entries: list[Entry]
) -> None:
    """Write what a user of the files must know about the generator."""
    generator = exportable.generator
    layout = {"layout": "batch, height, width, channels", "value_range": [-1.0, 1.0]}
    content = {
        "name": exportable.name,
        "direction": exportable.direction,
        "translates": exportable.translates,
        "source": str(config.source),
        "exported": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cyclegan_tf": __version__,
        "training_size": exportable.training_size,
        "input": {
            "name": "image",
            **layout,
            "channels": generator.input_shape[-1],
            "sides_multiple_of": size_multiple(generator),
        },
        "output": {
            "name": "translated",
            **layout,
            "channels": generator.output_shape[-1],
        },
        "files": [entry.artefact.path for entry in entries if entry.measurement],
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
