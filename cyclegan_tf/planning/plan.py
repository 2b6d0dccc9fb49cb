"""What a training will need of this machine, before it is begun."""

import dataclasses
import json
import logging
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from cyclegan_tf._shared import machine
from cyclegan_tf._shared.errors import InputError, TrainingStoppedError
from cyclegan_tf._shared.files import write_json
from cyclegan_tf._shared.tables import markdown_table
from cyclegan_tf.config.options import TrainConfig
from cyclegan_tf.config.stored import to_dict
from cyclegan_tf.planning.forecast import Forecast, Measurements, forecast
from cyclegan_tf.runs.run import Run

_LOG = logging.getLogger(__name__)

# By what a process ends for which there is no memory: SIGKILL from Linux, SIGABRT from
# the C++ library. (By number, as not every system has the names.)
_DEATHS_BY_MEMORY = (-9, -6)


@dataclasses.dataclass(frozen=True)
class Shortage:
    """What this machine has too little of, and ways out.

    Attributes:
        what: a sentence with both figures.
        ways_out: options that need less of it, a sentence each.
    """

    what: str
    ways_out: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a training will need, and what this machine has of it.

    Attributes:
        config: the options of the training.
        run_dir: where it would write.
        forecast: what it will need; `None` if there was not even enough memory for its
            first steps.
        total_memory_bytes: memory of the machine, or what its container may use.
        free_memory_bytes: how much of it was free.
        free_disk_bytes: room on the disk of `run_dir`.
    """

    config: TrainConfig
    run_dir: pathlib.Path
    forecast: Forecast | None
    total_memory_bytes: int
    free_memory_bytes: int
    free_disk_bytes: int

    @property
    def shortages(self) -> tuple[Shortage, ...]:
        """What there is too little of."""
        return tuple(self._shortages())

    @property
    def fits(self) -> bool:
        """Whether there is enough of everything."""
        return not self.shortages

    @property
    def exit_code(self) -> int:
        """0 if the training fits this machine, 1 if not."""
        return 1 if self.shortages else 0

    def to_text(self) -> str:
        """Return a table of the figures, and whether it fits."""
        lines = []
        if self.forecast:
            lines += [markdown_table(self._rows(self.forecast)), ""]
        for shortage in self.shortages:
            lines.append(f"It does not fit. {shortage.what}")
            lines += [f"  {way}" for way in shortage.ways_out]
        if self.fits:
            lines.append("It fits.")
            assert self.forecast
            if self.forecast.peak_bytes > self.free_memory_bytes:
                free = _bytes(self.free_memory_bytes)
                lines.append(f"But only {free} of memory are free; end other programs.")
        return "\n".join(lines)

    def write(self, path: pathlib.Path) -> None:
        """Write it as JSON."""
        content = {
            "fits": self.fits,
            "shortages": [dataclasses.asdict(item) for item in self.shortages],
            **to_dict(self),
        }
        write_json(path, content)

    def _rows(self, needs: Forecast) -> list[tuple[str, str, str]]:
        epochs = f"{needs.epochs} epochs of {needs.steps_per_epoch} steps"
        return [
            ("", "forecast", "this machine"),
            ("peak memory", _bytes(needs.peak_bytes), _bytes(self.total_memory_bytes)),
            (
                "disk, at most",
                _bytes(needs.disk_bytes + needs.writing_bytes),
                f"{_bytes(self.free_disk_bytes)} free",
            ),
            ("start, first step", _seconds(needs.first_step_done_seconds), ""),
            ("each other step", _seconds(needs.step_seconds), ""),
            ("each epoch", _seconds(needs.epoch_seconds), ""),
            ("in all", _seconds(needs.total_seconds), epochs),
        ]

    def _shortages(self) -> Iterator[Shortage]:
        memory, disk = self.total_memory_bytes, self.free_disk_bytes
        if self.forecast is None:
            yield Shortage(
                "The first steps already need more memory than this machine "
                f"({_bytes(self.free_memory_bytes)} of {_bytes(memory)} free) or its "
                "GPU has.",
                tuple(_ways_to_less_memory(self.config)),
            )
            return
        if self.forecast.peak_bytes > memory:
            yield Shortage(
                f"It needs {_bytes(self.forecast.peak_bytes)} of memory, but there are "
                f"{_bytes(memory)}.",
                tuple(_ways_to_less_memory(self.config)),
            )
        room = self.forecast.disk_bytes + self.forecast.writing_bytes
        if room > disk:
            yield Shortage(
                f"It needs {_bytes(room)} on the disk of {self.run_dir}, but "
                f"{_bytes(disk)} are free.",
                tuple(_ways_to_less_disk(self.config)),
            )


def plan_training(config: TrainConfig, run_dir: pathlib.Path) -> Plan:
    """Forecast what a new training needs, from a few of its steps.

    They are trained in a process of its own and in a temporary folder, on all of the
    images, so that what they take is what the training would take. TensorFlow is not
    imported into this process.

    Args:
        config: all options, as `train` takes them.
        run_dir: where the training would write. Nothing is written there.

    Returns:
        The forecast beside what the machine has.

    Raises:
        InputError: as `train`; for `strategy="multi-worker"`, too.
        TrainingStoppedError: if a loss is not finite.
    """
    config.check()
    Run.check_free(run_dir)
    if config.optimization.strategy == "multi-worker":
        raise InputError(
            "A training of several machines (--strategy multi-worker) cannot be "
            "forecast on one; plan one worker's part of it, with --strategy mirrored "
            "and its share of --batch-size."
        )
    free_memory = machine.free_memory()
    measurements = _calibrate(config)
    record = config.record
    return Plan(
        config,
        run_dir,
        forecast(measurements, record.checkpoint_minutes, record.evaluate_every)
        if measurements
        else None,
        machine.total_memory(),
        free_memory,
        machine.free_disk(run_dir),
    )


def _calibrate(config: TrainConfig) -> Measurements | None:
    """Run `calibration.py`; `None` if there is not enough memory for it."""
    _LOG.info("Training for a few steps, to measure them.")
    with tempfile.TemporaryDirectory(prefix="cyclegan-plan-") as name:
        folder = pathlib.Path(name)
        values = to_dict(config)
        (folder / "config.json").write_text(json.dumps(values))
        with subprocess.Popen(
            [sys.executable, "-m", "cyclegan_tf.planning.trial", name],
            stdin=subprocess.PIPE,  # However this process ends, that one ends with it.
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for this process alone.
        ) as process:
            code = process.wait()
        if code in _DEATHS_BY_MEMORY:
            return None
        if code:
            raise RuntimeError(f"The calibration failed with exit code {code}.")
        outcome: dict[str, Any] = json.loads((folder / "outcome.json").read_text())
        if name in outcome.get("wrong_input", ""):
            raise InputError(
                f"The first steps cannot be written to {tempfile.gettempdir()}; make "
                "room there, or name another folder in the environment variable TMPDIR."
            )
    if "wrong_input" in outcome:
        raise InputError(outcome["wrong_input"])
    if "stopped" in outcome:
        raise TrainingStoppedError(outcome["stopped"])
    return (
        Measurements(**outcome["measurements"]) if "measurements" in outcome else None
    )


def _ways_to_less_memory(config: TrainConfig) -> Iterator[str]:
    dataset, options = config.dataset, config.optimization
    if dataset.preprocess.endswith("crop"):
        yield (
            f"--crop-size below {dataset.crop_size} makes the images of a step smaller."
        )
    elif dataset.preprocess == "scale_width":
        yield f"--load-size below {dataset.load_size} makes the images smaller."
    if options.batch_size > 1:
        single = options.strategy == "single"
        yield (
            f"--batch-size below {options.batch_size} takes fewer images at a time"
            + ("; --accumulate makes up for it." if single else ".")
        )
    if options.precision == "float32":
        yield "--precision mixed_bfloat16 computes in numbers of half the size."
    if not options.remat and config.networks.generator != "unet":
        yield "--remat computes residual blocks again rather than keep what is in them."
    if config.networks.generator == "resnet":
        yield f"--filters below {config.networks.filters} makes smaller generators."
    if dataset.cache_gb:
        yield (
            f"--cache-gb below {dataset.cache_gb:g} keeps fewer decoded images in "
            "memory, and decodes the others again in each epoch."
        )


def _ways_to_less_disk(config: TrainConfig) -> Iterator[str]:
    yield "--run-dir can name a folder on another disk."
    if config.record.sample_images > 1:
        yield (
            f"--sample-images below {config.record.sample_images} makes the picture of "
            "each epoch smaller."
        )
    yield "--constant-epochs and --decay-epochs decide how many pictures there are."
    yield "--filters and --discriminator-filters decide how large a checkpoint is."


def _bytes(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _seconds(seconds: float) -> str:
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} hours"
    if seconds >= 120:
        return f"{seconds / 60:.1f} minutes"
    return f"{seconds:.3g} seconds"
