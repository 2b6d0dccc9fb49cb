"""Translate images in bulk on a runner of Apache Beam."""

import dataclasses
import difflib
import functools
import json
import logging
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from cyclegan_tf._shared.errors import InputError, JobFailedError
from cyclegan_tf._shared.extras import require_package
from cyclegan_tf.beam.options import TranslateBeamConfig
from cyclegan_tf.pretrained.find import choose_generator
from cyclegan_tf.pretrained.zoo import find_model

if TYPE_CHECKING:
    from apache_beam import Pipeline

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class BeamTranslation:
    """The outcome of a job.

    Attributes:
        translated: number of images translated now.
        present: number of images translated before.
        skipped: the reason for each other image.
        manifest: path of the file with a line for each image.
        scaled: number of translated images that were scaled down.
    """

    translated: int
    present: int
    skipped: list[str]
    manifest: str
    scaled: int = 0

    @property
    def exit_code(self) -> int:
        """1 if images were skipped, else 0."""
        return 1 if self.skipped else 0

    def to_text(self) -> str:
        """Return the counts in a sentence, and why images were skipped."""
        total = self.translated + self.present + len(self.skipped)
        before = f", {self.present} already there" if self.present else ""
        counts = f"{self.translated} of {total} images{before}"
        summary = f"Translated {counts}; see {self.manifest}"
        return "\n".join([summary, *(f"Skipped: {reason}" for reason in self.skipped)])


def translate_beam(config: TranslateBeamConfig) -> BeamTranslation:
    """Translate files, folders and patterns on a runner of Apache Beam.

    On the same kind of processor, the translations equal those of `translate` bit for
    bit. A repeated call translates only what is missing. The manifest has a line for
    each image; `dead-letters.jsonl` repeats those of skipped images.

    Raises:
        InputError: if there is nothing to translate, no such generator, an unknown
            option of Beam, or another job's output in the output folder, or another
            process has a job there.
        JobFailedError: if the job failed.
        KeyboardInterrupt: after Ctrl-C.
    """
    config.check()
    require_package("apache_beam", "Apache Beam", "runs the job", "beam")
    source, training_size = _find_source(config)

    pipeline = _pipeline(config.pipeline_options)
    # These modules import Beam.
    from cyclegan_tf.beam.files import absolute
    from cyclegan_tf.beam.inputs import find_patterns
    from cyclegan_tf.beam.job import Job
    from cyclegan_tf.beam.pipeline import build_pipeline

    config = dataclasses.replace(
        config,
        inputs=tuple(map(absolute, config.inputs)),
        out=absolute(config.out),
        source=absolute(source),
    )
    patterns = find_patterns(config)
    with Job.running(config, training_size) as job:
        config = dataclasses.replace(config, size=job.limit.side or "full")
        build_pipeline(pipeline, patterns, config, job.generator)
        _run(pipeline, config.out)
    result = _read_result(config.out)
    if result.scaled:
        _LOG.info("%s", job.limit.describe(result.scaled))
    return result


def _find_source(config: TranslateBeamConfig) -> tuple[str, int | None]:
    """Return the generator's file, anywhere, and its training size if a run says it."""
    local = pathlib.Path(config.source)
    if not local.exists() and not find_model(config.source):
        return config.source, None
    generator = choose_generator(local, config.direction)
    if generator.is_exported:
        raise InputError(
            f"{generator.path} is an exported generator, which workers cannot copy; "
            "name the run or the .keras file that it was exported from."
        )
    return str(generator.path), generator.training_size


def _pipeline(flags: Sequence[str]) -> "Pipeline":
    """Return an empty pipeline with the options of Beam's flags."""
    disabled = logging.root.manager.disable
    # Beam warns of missing packages for Google's cloud.
    logging.disable(logging.WARNING)
    try:
        import apache_beam as beam
        from apache_beam.options import pipeline_options
    finally:
        logging.disable(disabled)

    options = pipeline_options.PipelineOptions(list(flags))
    # Beam itself only logs unknown options.
    options.get_all_options(add_extra_args_fn=functools.partial(_check_flags, flags))
    standard = options.view_as(pipeline_options.StandardOptions)
    standard.runner = standard.runner or "DirectRunner"
    if "direct" in standard.runner.lower():
        # Without this version, Beam would first try to download another runner, Prism,
        # which ignores --direct_num_workers.
        streaming = options.view_as(pipeline_options.StreamingOptions)
        streaming.update_compatibility_version = (
            streaming.update_compatibility_version or beam.version.__version__
        )
    workers = options.view_as(pipeline_options.WorkerOptions)
    workers.default_sdk_harness_log_level = (
        workers.default_sdk_harness_log_level or "WARNING"
    )
    try:
        return beam.Pipeline(options=options)
    except (ValueError, ImportError) as e:
        reason = " ".join(str(e).split()).rstrip(".")
        raise InputError(f"Beam cannot run with these options: {reason}.") from e


def _check_flags(flags: Sequence[str], parser: Any) -> None:
    def refuse(message: str) -> NoReturn:
        raise InputError(f"Beam refuses the options after --: {message}.")

    parser.error = refuse  # the original prints all options
    known, unknown = parser.parse_known_args(flags)
    if unknown:
        option = unknown[0].partition("=")[0]
        similar = difflib.get_close_matches(option.lstrip("-"), vars(known), n=1)
        advice = f"did you mean --{similar[0]}?" if similar else "leave it out."
        raise InputError(f"Beam has no option {option}; {advice}")


def _run(pipeline: "Pipeline", out: str) -> None:
    logging.getLogger("apache_beam.runners.common").addFilter(_is_no_interrupt)
    try:
        result = pipeline.run()
        result.wait_until_finish()
        state = str(result.state)
    except Exception as e:  # each runner raises its own type
        _LOG.debug("The job failed.", exc_info=True)
        state = (str(e).strip().splitlines() or [type(e).__name__])[-1]
    continued = f"its output in {out} is valid, and the same command continues it."
    if state.startswith("KeyboardInterrupt"):  # Beam's own runner wraps it
        raise KeyboardInterrupt(f"interrupted; {continued}")
    if state != "DONE":
        raise JobFailedError(f"The job failed ({state}); {continued}")


def _is_no_interrupt(record: logging.LogRecord) -> bool:
    """Beam's own runner logs Ctrl-C with a traceback."""
    return "KeyboardInterrupt" not in record.getMessage()


def _read_result(out: str) -> BeamTranslation:
    from cyclegan_tf.beam.files import read_lines
    from cyclegan_tf.beam.pipeline import MANIFEST

    manifest = f"{out}/{MANIFEST}"
    count = {"translated": 0, "present": 0}
    skipped, scaled = [], 0
    for line in read_lines(manifest):
        row = json.loads(line)
        if row["error"]:
            skipped.append(row["error"])
        else:
            count[row["status"]] += 1
            scaled += bool(row["scaled_from"])
    return BeamTranslation(**count, skipped=skipped, manifest=manifest, scaled=scaled)
