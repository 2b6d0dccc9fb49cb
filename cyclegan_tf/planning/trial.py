"""Begin a training and measure it, in a process of its own.

    python -m cyclegan_tf.planning.trial FOLDER

reads the options from `config.json` in that folder, trains in a folder beside that, and
writes `outcome.json`. Only so is the peak of memory that of the training. It ends when
its standard input does.
"""

import dataclasses
import io
import json
import logging
import math
import os
import pathlib
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from typing import IO, Any

import keras
import PIL.Image
import psutil
import tensorflow as tf

from cyclegan_tf._shared.errors import InputError, TrainingStoppedError
from cyclegan_tf._shared.machine import peak_memory
from cyclegan_tf.config.options import TrainConfig
from cyclegan_tf.config.stored import from_dict
from cyclegan_tf.planning.forecast import Measurements
from cyclegan_tf.training.train import train

# An epoch has two steps or more, and cheap ones for so long: the images that were ready
# before TensorFlow had traced the first step soon run out.
_SECONDS_OF_STEPS = 5.0
# There are two epochs or more, and cheap ones for so long, as single times scatter.
_SECONDS = 15.0


class Stopwatch(keras.callbacks.Callback):
    """End a training after some steps of its first epochs, and time their parts.

    Nothing else is changed: the images, what follows on an epoch's steps, and the
    learning rate are those of the whole training.

    Args:
        started: float. When the process was started, as `time.time()` counts.
        epochs: int. At least so many, if the training has them.
        steps: int. At least so many steps of each. Defaults to `2`.
        seconds_of_steps: float. And for so long. Defaults to `5`.
        seconds: float. From the end of the first step on, train at least for so long.
            Defaults to `15`.

    Attributes:
        start_seconds: from the start of the process to the first step.
        step_seconds: of each step.
        plain_ends: for each epoch the seconds from its last step to the next epoch.
        evaluated_ends: the same of the epochs after which there was an evaluation.
        save_seconds: of all of those, after this callback, which is followed by the one
            that saves the checkpoint.
    """

    def __init__(
        self,
        started: float,
        epochs: int,
        steps: int = 2,
        seconds_of_steps: float = _SECONDS_OF_STEPS,
        seconds: float = _SECONDS,
    ):
        super().__init__()
        self.started = started
        self.epochs = epochs
        self.steps = steps
        self.seconds_of_steps = seconds_of_steps
        self.seconds = seconds
        self.start_seconds = 0.0
        self.step_seconds: list[float] = []
        self.plain_ends: list[float] = []
        self.evaluated_ends: list[float] = []
        self.save_seconds: list[float] = []

    def on_train_begin(self, logs: Any = None) -> None:
        self.start_seconds = time.time() - self.started

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch:
            self._note_end_of_epoch()
        self._began = self._last = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        float(logs["generator_loss"])  # A GPU may be still at it.
        now = time.monotonic()
        if not self.step_seconds:  # It is long, and says nothing of the others.
            self._traced = self._began = now
        self.step_seconds.append(now - self._last)
        self._last = now
        enough = now - self._began >= self.seconds_of_steps
        self.model.stop_training = enough and batch + 1 >= self.steps

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        enough = time.monotonic() - self._traced >= self.seconds
        self.model.stop_training = enough and epoch + 1 >= self.epochs
        evaluated = any(name.startswith("eval_") for name in logs)
        self._ends = self.evaluated_ends if evaluated else self.plain_ends
        self._saving = time.monotonic()

    def on_train_end(self, logs: Any = None) -> None:
        self._note_end_of_epoch()

    def _note_end_of_epoch(self) -> None:
        now = time.monotonic()
        self._ends.append(now - self._last)
        self.save_seconds.append(now - self._saving)


def calibrate(
    config: TrainConfig, run_dir: pathlib.Path, started: float
) -> Measurements:
    """Train for a few steps and measure.

    Call it in a fresh process, whose memory is measured.

    Args:
        config: all options of the training.
        run_dir: a new folder, which is left for the caller to remove.
        started: when the process was started, as `time.time()` counts.

    Returns:
        The measurements.

    Raises:
        InputError, TrainingStoppedError: as `train`.
    """
    record = dataclasses.replace(
        config.record,
        # Neither is to come between the steps that are timed.
        checkpoint_minutes=math.inf,
        watchdog="off" if config.record.watchdog == "off" else "warn",
        # With evaluations: an epoch without and one with, twice.
        evaluate_every=2 if config.record.evaluate_every else 0,
    )
    stopwatch = Stopwatch(started, epochs=4 if record.evaluate_every else 2)
    train(dataclasses.replace(config, record=record), run_dir, [stopwatch])
    return Measurements(
        steps_per_epoch=stopwatch.params["steps"],
        epochs=stopwatch.params["epochs"],
        **_times(stopwatch),
        peak_bytes=peak_memory() or psutil.Process().memory_info().rss,
        **_sizes(run_dir),
    )


def _times(watch: Stopwatch) -> dict[str, Any]:
    # An only epoch is always evaluated, if any is.
    plain = watch.plain_ends or watch.evaluated_ends
    epoch_end = _typical(plain)
    evaluations = [max(0.0, end - epoch_end) for end in watch.evaluated_ends] or [0.0]
    return {
        "start_seconds": watch.start_seconds,
        "first_step_seconds": watch.step_seconds[0],
        # Not the median: where images are waited for, few steps take most of the time.
        "step_seconds": statistics.mean(watch.step_seconds[1:] or watch.step_seconds),
        "first_epoch_end_seconds": plain[0],
        "epoch_end_seconds": epoch_end,
        "first_evaluation_seconds": evaluations[0],
        "evaluation_seconds": _typical(evaluations),
        "save_seconds": _typical(watch.save_seconds),
    }


def _typical(times: Sequence[float]) -> float:
    """The median without the first time, which is longer."""
    return statistics.median(times[1:] or times)


def _sizes(run_dir: pathlib.Path) -> dict[str, Any]:
    pictures = sorted(run_dir.glob("samples/*.png"))
    return {
        "checkpoint_bytes": _size(max(run_dir.glob("checkpoints/*"))),
        "generators_bytes": sum(map(_size, run_dir.glob("generator_*.keras"))),
        "picture_bytes": _size_when_trained(pictures[-1]),
        "log_bytes": (_size(run_dir / "metrics.jsonl") + _size(run_dir / "tensorboard"))
        // len(pictures),
    }


def _size(path: pathlib.Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    return sum(p.stat().st_size for p in (path, *path.rglob("*")) if p.is_file())


def _size_when_trained(picture: pathlib.Path) -> int:
    """What a picture of samples will have, once translations look like images.

    Each row shows x, two translations of it, y, and two of that. An untrained generator
    makes fewer details, of which compressed files consist.
    """
    sheet = PIL.Image.open(picture)
    column = sheet.width / 6
    real = 0
    for number in (0, 3):
        file = io.BytesIO()
        box = (round(number * column), 0, round((number + 1) * column), sheet.height)
        sheet.crop(box).save(file, "png")
        real += file.tell()
    return max(3 * real, _size(picture))


def main() -> None:
    """Calibrate as described above."""
    # The training's warnings, but none of a watchdog that sees it fail at its start.
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logging.getLogger("cyclegan_tf.training.watchdog").setLevel(logging.ERROR)
    be_the_first_to_go()
    end_with_parent(sys.stdin)
    folder = pathlib.Path(sys.argv[1])
    path = folder / "config.json"
    config = from_dict(TrainConfig, json.loads(path.read_text()))
    started = path.stat().st_mtime  # The last thing that was done before.
    outcome: dict[str, Any]
    try:
        measurements = calibrate(config, folder / "run", started)
        outcome = {"measurements": dataclasses.asdict(measurements)}
    except InputError as e:
        outcome = {"wrong_input": str(e)}
    except OSError as e:
        outcome = {"wrong_input": f"A file cannot be read or written ({e})."}
    except TrainingStoppedError as e:
        outcome = {"stopped": str(e)}
    except (MemoryError, tf.errors.ResourceExhaustedError):
        outcome = {"out_of_memory": True}
    (folder / "outcome.json").write_text(json.dumps(outcome))


def be_the_first_to_go() -> None:
    """When memory runs out, let Linux end this process rather than another."""
    score = pathlib.Path("/proc/self/oom_score_adj")
    if score.exists():
        score.write_text("1000")


def end_with_parent(pipe: IO[str]) -> None:
    """End this process when nobody holds the other end of a pipe any more."""

    def wait() -> None:
        pipe.read()
        os._exit(1)  # From a thread, sys.exit would end the thread only.

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    main()
