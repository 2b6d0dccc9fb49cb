"""Callbacks of a training: sample pictures, scores, a log, checkpoints, Ctrl-C."""

import collections
import contextlib
import json
import logging
import math
import pathlib
import signal
import threading
import time
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras

from cyclegan_tf._shared.files import finite
from cyclegan_tf.config.directions import DIRECTIONS
from cyclegan_tf.config.options import RecordConfig
from cyclegan_tf.evaluation.evaluator import Evaluator
from cyclegan_tf.images.pixels import Image
from cyclegan_tf.images.writing import write_contact_sheet
from cyclegan_tf.models.adversarial import AdversarialModel
from cyclegan_tf.training.watchdog import check_finite
from cyclegan_tf.translation.translator import Translator

_LOG = logging.getLogger(__name__)


class UnreadLogs(collections.UserDict[str, Any]):
    """The losses of a step, each read from the device when it is asked for."""

    def __getitem__(self, name: str) -> float:
        value = self.data[name] = float(self.data[name])
        return value


class CallbackList(keras.callbacks.CallbackList):
    """Hand the losses of a step over unread.

    Keras reads all of them for the callbacks after each step, and so waits for a GPU to
    finish it before it starts the next one.
    """

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        unread = UnreadLogs(logs or {})
        for callback in self.callbacks:
            callback.on_train_batch_end(batch, unread)


class EpochRates(keras.callbacks.Callback):
    """Set the learning rate of each epoch.

    Not a schedule of the optimizers, which counts updates: with float16 each skips some
    of its own, and their rates would drift apart.

    Args:
        rate: function from an epoch, counted from 0, to its learning rate.
    """

    def __init__(self, rate: Callable[[int], float]):
        super().__init__()
        self.rate = rate

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.model.optimizer.learning_rate = self.rate(epoch)


class SampleSheet(keras.callbacks.Callback):
    """Write a picture of some images, translated and translated back, each epoch.

    Args:
        translators: a translator of each of the model's generators, by direction.
        images: images of each direction's source domain, uint8 (height, width,
            channels).
        folder: the folder of `epoch-0001.png` and so on.
        domains: the names of X and Y, for the headings. Defaults to `("X", "Y")`.
        truths: what each translation should be, for models of one direction that take
            pairs. Defaults to unknown.
    """

    def __init__(
        self,
        translators: Mapping[str, Translator],
        images: Mapping[str, Sequence[Image]],
        folder: pathlib.Path,
        domains: tuple[str, str] = ("X", "Y"),
        truths: Mapping[str, Sequence[Image]] = types.MappingProxyType({}),
    ):
        super().__init__()
        self.translators = translators
        self.images = images
        self.folder = folder
        self.domains = domains
        self.truths = truths

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        for translator in self.translators.values():
            translator.refresh()
        columns = [
            column
            for direction in self.translators
            for column in self._columns(direction)
        ]
        write_contact_sheet(
            self.folder / f"epoch-{epoch + 1:04d}.png",
            list(zip(*(images for _, images in columns))),
            [heading for heading, _ in columns],
        )

    def _columns(self, direction: str) -> Iterator[tuple[str, Sequence[Image]]]:
        """Yield the columns of a direction, each with its heading and images."""
        original, translated, reconstructed = DIRECTIONS[direction].headings(
            self.domains
        )
        images = self.images[direction]
        translations = [self.translators[direction](image) for image in images]
        yield original, images
        yield translated, translations
        if back := self.translators.get(DIRECTIONS[direction].back):
            yield reconstructed, [back(image) for image in translations]
        if direction in self.truths:
            yield "truth", self.truths[direction]


class Evaluating(keras.callbacks.Callback):
    """Add scores to the logs of every n-th epoch and of the last one.

    The name of a score is `eval_`, the direction and the metric: `eval_g_kid_random`.

    Args:
        translators: a translator of each of the model's generators, by direction.
        evaluators: the evaluator of each direction.
        every: int. Epochs between evaluations.
        epochs: int. Number of the last epoch.
    """

    def __init__(
        self,
        translators: Mapping[str, Translator],
        evaluators: Mapping[str, Evaluator],
        every: int,
        epochs: int,
    ):
        super().__init__()
        self.translators = translators
        self.evaluators = evaluators
        self.every = every
        self.epochs = epochs

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if (epoch + 1) % self.every and epoch + 1 != self.epochs:
            return
        for translator in self.translators.values():
            translator.refresh()
        for direction, translate in self.translators.items():
            back = self.translators.get(DIRECTIONS[direction].back)
            for metric in self.evaluators[direction](translate, back):
                for score in metric.scores:
                    logs[f"eval_{direction}_{score.name}"] = score.translated


def score_of_epoch(
    logs: Mapping[str, float], record: RecordConfig, model: AdversarialModel
) -> float | None:
    """Return the score that selects the best checkpoint.

    Less is better. It is `None` if `Evaluating` did not measure it in this epoch, or
    it is not finite.
    """
    name: str = record.keep_best
    if name in ("fid", "kid"):
        name += f"_{pathlib.PurePath(record.features).name}"
    names = [f"eval_{direction}_{name}" for direction in model.generators]
    if name == "loss":
        names = ["val_loss"]
    measured = [logs[name] for name in names if name in logs]
    score = sum(measured) / len(measured) if measured else math.nan
    if name == "hit_rate":
        score = 1 - score
    return score if math.isfinite(score) else None


class MetricsLog(keras.callbacks.Callback):
    """Append one JSON line per epoch: losses, learning rate, steps and seconds.

    A score that is not finite becomes null: JSON has no such numbers. `first_step` is
    the number of training steps before this `fit`.
    """

    def __init__(self, path: pathlib.Path, first_step: int = 0):
        super().__init__()
        self.path = path
        self.step = first_step

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._started = time.monotonic()
        self._first_step_of_epoch = self.step
        rate = self.model.optimizer.learning_rate
        self._learning_rate = float(keras.ops.convert_to_numpy(rate))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.step = self._first_step_of_epoch + batch + 1

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        record = {
            "epoch": epoch + 1,
            "step": self.step,
            "steps": self.step - self._first_step_of_epoch,
            "seconds": round(time.monotonic() - self._started, 3),
            "learning_rate": self._learning_rate,
            **{name: float(value) for name, value in (logs or {}).items()},
        }
        with self.path.open("a") as file:
            file.write(json.dumps(finite(record), allow_nan=False) + "\n")


class Checkpointing(keras.callbacks.Callback):
    """Save after each epoch, every few minutes, and on a signal to stop.

    Inside `deferring_signals`, SIGINT (Ctrl-C) and SIGTERM do not kill the process: the
    running step finishes, a checkpoint is saved, and `fit` raises `KeyboardInterrupt`.
    A second signal stops at once.

    A state whose losses are not finite is not saved: no later step repairs it, and it
    must not replace a good checkpoint.

    Args:
        save: called with the number of finished steps, and with the logs after an epoch
            or `None` within one.
        first_step: int. Training steps before this `fit`.
        minutes: float. The longest time between checkpoints.
        ask_workers: returns whether any process votes yes, so that all stop after the
            same step. Defaults to the vote of this process.
    """

    def __init__(
        self,
        save: Callable[[int, dict[str, float] | None], None],
        first_step: int = 0,
        minutes: float = 10.0,
        ask_workers: Callable[[bool], bool] = bool,
    ):
        super().__init__()
        self.save = save
        self.ask_workers = ask_workers
        self.step = first_step
        self.minutes = minutes
        self._saved_at = time.monotonic()
        self._stop_requested = False

    @contextlib.contextmanager
    def deferring_signals(self) -> Iterator[None]:
        """Handle SIGINT and SIGTERM as described, in the main thread only."""
        previous = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                previous[number] = signal.signal(number, self._on_signal)
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._first_step_of_epoch = self.step

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.step = self._first_step_of_epoch + batch + 1
        due = time.monotonic() - self._saved_at > self.minutes * 60
        # `on_epoch_end` saves the last step of an epoch, with the logs.
        last = batch + 1 == self.params["steps"]
        stopping = self.ask_workers(self._stop_requested)
        if (due or stopping) and not last:
            check_finite(logs or {})
            self._save(None)
            if stopping:
                self._leave_if_any_worker_does()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        check_finite(logs or {})
        self._save({name: float(value) for name, value in (logs or {}).items()})
        self._leave_if_any_worker_does()

    def _save(self, logs: dict[str, float] | None) -> None:
        self.save(self.step, logs)
        self._saved_at = time.monotonic()

    def _leave_if_any_worker_does(self) -> None:
        # Ask after the save, so that no worker exits before it is done.
        if self.ask_workers(self._stop_requested):
            raise KeyboardInterrupt

    def _on_signal(self, number: int, frame: Any) -> None:
        if self._stop_requested:
            raise KeyboardInterrupt
        self._stop_requested = True
        _LOG.warning("Finishing this step, then saving a checkpoint and stopping.")
