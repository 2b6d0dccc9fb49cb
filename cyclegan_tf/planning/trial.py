"""Train a few steps in a process of their own, and forecast the whole training.

`main` with the arguments FOLDER STARTED reads `config.json` in that folder and writes
`outcome.json`. STARTED is `time.time()` at the start of the process.
"""

import dataclasses
import json
import logging
import math
import pathlib
import statistics
import sys
import time
from typing import Any

import keras
import psutil
import tensorflow as tf

from cyclegan_tf._shared.errors import InputError, TrainingStoppedError
from cyclegan_tf._shared.machine import peak_memory
from cyclegan_tf.config.options import TrainConfig
from cyclegan_tf.config.stored import from_dict
from cyclegan_tf.planning.plan import Forecast
from cyclegan_tf.training.train import train


class Stopwatch(keras.callbacks.Callback):
    """Cut each epoch short, and time the parts of a training.

    An epoch ends after `seconds` of steps, and two steps at least: a few images are
    ready before the first step. `steps` are the seconds of all steps but the first,
    `ends` those from the last step of an epoch to the next epoch.
    """

    def __init__(self, started: float, seconds: float = 5.0):
        super().__init__()
        self.started = self._last = started
        self.seconds = seconds
        self.first_step_done = 0.0
        self.steps: list[float] = []
        self.ends: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch:
            self.ends.append(self._lap())
        self._began = self._last

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        float(next(iter(logs.values())))  # Any loss waits for a GPU.
        seconds = self._lap()
        if self.first_step_done:
            self.steps.append(seconds)
        else:
            self._began, self.first_step_done = self._last, self._last - self.started
        enough = self._last - self._began >= self.seconds
        self.model.stop_training = enough and batch >= 1

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.model.stop_training = False

    def on_train_end(self, logs: Any = None) -> None:
        self.ends.append(self._lap())

    def _lap(self) -> float:
        before, self._last = self._last, time.time()
        return self._last - before


def forecast(watch: Stopwatch, config: TrainConfig, run_dir: pathlib.Path) -> Forecast:
    """Forecast a training from two of its epochs, or four if every second evaluates."""
    epochs, every = config.optimization.epochs, config.record.evaluate_every
    steps, step = watch.params["steps"], statistics.mean(watch.steps)
    first_end, end = watch.ends[::2] if every else watch.ends
    total = watch.first_step_done + (epochs * steps - 1) * step
    total += first_end + (epochs - 1) * end
    if every:
        first, later = (seconds - end for seconds in watch.ends[1::2])
        total += first + (math.ceil(epochs / every) - 1) * later
    memory_info = tf.config.experimental.get_memory_info
    gpus = tf.config.list_logical_devices("GPU")
    return Forecast(
        epochs=epochs,
        steps_per_epoch=steps,
        first_step_done_seconds=watch.first_step_done,
        step_seconds=step,
        epoch_seconds=steps * step + end,
        total_seconds=total,
        peak_bytes=peak_memory() or psutil.Process().memory_info().rss,
        gpu_peak_bytes=max((memory_info(gpu.name)["peak"] for gpu in gpus), default=0),
        disk_bytes=_disk(run_dir, epochs),
    )


def _disk(run_dir: pathlib.Path, epochs: int) -> int:
    """The newest checkpoint, the best and the next; generators of two; pictures."""
    checkpoints, generators, pictures = (
        [path.stat().st_size for path in run_dir.glob(pattern)]
        for pattern in ("checkpoints/*/*.keras", "*.keras", "samples/*.png")
    )
    # A third of it or more are real images; translations have less detail at first.
    picture = 3 * max(pictures)
    return 3 * max(checkpoints) + 2 * sum(generators) + epochs * picture


def run_trial(config: TrainConfig, run_dir: pathlib.Path, started: float) -> Forecast:
    """Train the first steps in a new folder, and forecast the whole training."""
    evaluates = config.record.evaluate_every > 0
    options = dataclasses.replace(
        config.optimization, constant_epochs=4 if evaluates else 2, decay_epochs=0
    )
    record = dataclasses.replace(
        config.record,
        checkpoint_minutes=1e6,  # never
        evaluate_every=2 if evaluates else 0,
        watchdog="off" if config.record.watchdog == "off" else "warn",
    )
    watch = Stopwatch(started)
    trial = dataclasses.replace(config, optimization=options, record=record)
    train(trial, run_dir, [watch])
    return forecast(watch, config, run_dir)


def main() -> None:
    """Run the trial that the arguments of the process name."""
    logging.disable(logging.WARNING)  # The watchdog would judge two epochs.
    folder, started = pathlib.Path(sys.argv[1]), float(sys.argv[2])
    config = from_dict(TrainConfig, json.loads((folder / "config.json").read_text()))
    outcome: dict[str, Any]
    try:
        needs = run_trial(config, folder / "run", started)
        outcome = {"forecast": dataclasses.asdict(needs)}
    except InputError as e:
        outcome = {"wrong_input": str(e)}
    except OSError as e:
        outcome = {"wrong_input": f"A file cannot be read or written ({e})."}
    except TrainingStoppedError as e:
        outcome = {"stopped": str(e)}
    except (MemoryError, tf.errors.ResourceExhaustedError):
        outcome = {"forecast": None}
    (folder / "outcome.json").write_text(json.dumps(outcome))
