"""Forecast what a training needs of this machine, from a trial of its first steps."""

import dataclasses
import json
import logging
import pathlib
import subprocess
import sys
import tempfile
import time

from cyclegan_tf._shared import machine
from cyclegan_tf._shared.errors import InputError, TrainingStoppedError
from cyclegan_tf._shared.files import write_json
from cyclegan_tf._shared.signals import interrupted_by_sigterm
from cyclegan_tf._shared.tables import markdown_table
from cyclegan_tf.config.options import TrainConfig
from cyclegan_tf.config.stored import to_dict
from cyclegan_tf.runs.run import Run

_LOG = logging.getLogger(__name__)

_TRIAL = """
from cyclegan_tf._shared.quiet import quiet_tensorflow
quiet_tensorflow()
from cyclegan_tf.planning import trial
trial.main()
"""

# How a process ends when memory runs out: SIGKILL from Linux, SIGABRT from the C++
# library. By number, as not every system has the names.
_DEATHS_BY_MEMORY = (-9, -6)


@dataclasses.dataclass(frozen=True)
class Forecast:
    """What a training will take, from the start of its process on.

    An epoch is one after the first, without an evaluation. `gpu_peak_bytes` is the most
    on any one GPU, 0 without a GPU. `disk_bytes` is at most the size of the run folder.
    """

    epochs: int
    steps_per_epoch: int
    first_step_done_seconds: float
    step_seconds: float
    epoch_seconds: float
    total_seconds: float
    peak_bytes: int
    gpu_peak_bytes: int
    disk_bytes: int


@dataclasses.dataclass(frozen=True)
class Plan:
    """The forecast of a training beside what this machine has.

    `forecast` is `None` if the first steps ran out of memory.
    """

    config: TrainConfig
    run_dir: pathlib.Path
    forecast: Forecast | None
    total_memory_bytes: int
    free_memory_bytes: int
    free_disk_bytes: int

    @property
    def shortages(self) -> dict[str, list[str]]:
        """What this machine has too little of, each with options that need less."""
        needs, less_memory = self.forecast, _ways_to_less_memory(self.config)
        if needs is None:
            free = _bytes(self.free_memory_bytes)
            return {f"The first steps ran out of memory; {free} were free": less_memory}
        disk = f"on the disk of {self.run_dir}"
        less_disk = ["another `run_dir`", "lower `filters` or `discriminator_filters`"]
        checks = (
            (needs.peak_bytes, self.total_memory_bytes, "of memory", less_memory),
            (needs.disk_bytes, self.free_disk_bytes, disk, less_disk),
        )
        return {
            f"It needs {_bytes(need)} {where}; there are {_bytes(have)}": ways_out
            for need, have, where, ways_out in checks
            if need > have
        }

    @property
    def exit_code(self) -> int:
        """0 if the training fits this machine, 1 if not."""
        return 1 if self.shortages else 0

    def to_text(self) -> str:
        """Return a table of the figures, and whether the training fits."""
        lines = [markdown_table(self._rows(self.forecast)), ""] if self.forecast else []
        for what, ways_out in self.shortages.items():
            lines += [f"It does not fit. {what}. Ways out:"]
            lines += [f"  {way}" for way in ways_out]
        return "\n".join(lines if self.shortages else [*lines, "It fits."])

    def write(self, path: pathlib.Path) -> None:
        """Write the figures as JSON."""
        shortages = [
            {"what": what, "ways_out": ways} for what, ways in self.shortages.items()
        ]
        verdict = {"fits": not shortages, "shortages": shortages}
        write_json(path, verdict | to_dict(self))

    def _rows(self, needs: Forecast) -> list[tuple[str, str, str]]:
        memory, disk = _bytes(self.total_memory_bytes), _bytes(self.free_disk_bytes)
        free = _bytes(self.free_memory_bytes)
        gpu = ("peak memory of a GPU", _bytes(needs.gpu_peak_bytes), "")
        epochs = f"{needs.epochs} epochs of {needs.steps_per_epoch} steps"
        return [
            ("", "forecast", "this machine"),
            ("peak memory", _bytes(needs.peak_bytes), f"{memory}, {free} free"),
            *([gpu] if needs.gpu_peak_bytes else []),
            ("disk, at most", _bytes(needs.disk_bytes), f"{disk} free"),
            ("start, first step", _seconds(needs.first_step_done_seconds), ""),
            ("each other step", _seconds(needs.step_seconds), ""),
            ("each epoch", _seconds(needs.epoch_seconds), ""),
            ("in all", _seconds(needs.total_seconds), epochs),
        ]


def plan_training(config: TrainConfig, run_dir: pathlib.Path) -> Plan:
    """Forecast what a new training needs, from a trial of its first steps.

    The trial is another process, so that this one does not import TensorFlow, and
    writes to a temporary folder. Ctrl-C and SIGTERM end both.

    Args:
        config: all options, as `train` takes them.
        run_dir: where the training would write. Nothing is written there.

    Raises:
        InputError: as `train`; also if `strategy` is `"multi-worker"`.
        KeyboardInterrupt: after SIGINT or SIGTERM.
        TrainingStoppedError: if a loss is not finite.
    """
    config.check()
    Run.check_free(run_dir)
    if config.optimization.strategy == "multi-worker":
        raise InputError(
            "`cyclegan plan` cannot forecast `strategy=multi-worker`; plan one worker "
            "with `strategy=mirrored` and its share of `batch_size`."
        )
    total, free = machine.total_memory(), machine.free_memory()
    forecast = _run_trial(config)
    return Plan(config, run_dir, forecast, total, free, machine.free_disk(run_dir))


def _run_trial(config: TrainConfig) -> Forecast | None:
    """Run `trial.py` in a process of its own; return `None` if memory runs out."""
    _LOG.info("Training a few steps to measure them.")
    temporary = tempfile.TemporaryDirectory(prefix="cyclegan-plan-")
    with interrupted_by_sigterm(), temporary as folder:
        write_json(pathlib.Path(folder, "config.json"), to_dict(config))
        code = _run("-c", _TRIAL, folder, str(time.time()))
        if code in _DEATHS_BY_MEMORY:
            return None
        if code:
            raise RuntimeError(f"The trial failed with exit code {code}.")
        outcome = json.loads(pathlib.Path(folder, "outcome.json").read_text())
    if "wrong_input" in outcome:
        raise InputError(outcome["wrong_input"])
    if "stopped" in outcome:
        raise TrainingStoppedError(outcome["stopped"])
    return Forecast(**outcome["forecast"]) if outcome["forecast"] else None


def _run(*arguments: str) -> int:
    """Run Python and return its exit code; it ends with this function."""
    with subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C in a terminal is for this process only.
    ) as process:
        try:
            return process.wait()
        finally:
            process.kill()
            process.wait()  # It must be gone before its folder is removed.


def _ways_to_less_memory(config: TrainConfig) -> list[str]:
    dataset, networks, options = config.dataset, config.networks, config.optimization
    ways = {
        f"lower `crop_size` ({dataset.crop_size})": dataset.preprocess.endswith("crop"),
        f"lower `load_size` ({dataset.load_size})": dataset.preprocess == "scale_width",
        f"lower `batch_size` ({options.batch_size}); on one device, `accumulate` makes "
        "up for it": options.batch_size > 1,
        "`precision=mixed_bfloat16`": options.precision == "float32",
        "`remat=True`": networks.generator != "unet" and not options.remat,
        f"lower `filters` ({networks.filters})": networks.generator == "resnet",
        f"lower `cache_gb` ({dataset.cache_gb:g})": dataset.cache_gb > 0,
    }
    return [way for way, helps in ways.items() if helps]


def _bytes(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _seconds(seconds: float) -> str:
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} hours"
    return f"{seconds / 60:.1f} minutes" if seconds >= 120 else f"{seconds:.3g} seconds"
