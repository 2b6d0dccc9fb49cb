"""One line that says where a training stands, for a terminal of 80 columns.

In a terminal the line is rewritten a few times a second, and one line an epoch stays.
Elsewhere (a file, a pipe, a notebook) only those lines are written, without escape
codes.
"""

import contextlib
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import keras
import rich.console
import rich.live
import rich.text

_SECONDS_BETWEEN_LOOKS = 0.3
_SHORT_NAMES = {"generator": "G", "discriminator": "D"}


class Progress(keras.callbacks.Callback):
    """Show the epoch, the step, the time left and a few losses.

    A look at the losses waits for a GPU to finish its steps, so it looks no more often
    than a person can read, and not at all within an epoch where nobody sees it.

    Args:
        loss_names: names of the model's losses.
        epochs: int. Number of the last epoch.
        steps_per_epoch: int. Steps of a whole epoch.
        first_step: int. Training steps before this `fit`. Defaults to `0`.
    """

    def __init__(
        self,
        loss_names: Iterable[str],
        epochs: int,
        steps_per_epoch: int,
        first_step: int = 0,
    ):
        super().__init__()
        self.groups = group_losses(loss_names)
        self.epochs = epochs
        self.steps_per_epoch = steps_per_epoch
        self.first_step = first_step % steps_per_epoch
        self._losses = ""
        self._looked_at = 0.0
        # Times of steps and of all that follows the last step of an epoch.
        self._lap: float | None = None
        self._step_seconds = self._end_seconds = 0.0
        self._timed_steps = 0

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Show the line within this block, and remove it however the block ends."""
        console = rich.console.Console(
            force_terminal=sys.stdout.isatty(), force_jupyter=False, highlight=False
        )
        self._live = rich.live.Live(
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stderr=sys.stderr.isatty(),
        )
        with self._live:
            yield

    def tell(self, doing: str) -> None:
        """Say on the line what runs now."""
        console = self._live.console
        if not console.is_interactive:
            return
        line = f"epoch {self._epoch}/{self.epochs} {doing} {self._losses}"
        if len(line) > console.width:
            line = re.sub("epoch |step | left", "", line)
        text = rich.text.Text(line, no_wrap=True, overflow="ellipsis")
        self._live.update(text, refresh=True)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch + 1
        self._began = time.monotonic()
        if self._lap is not None:
            self._end_seconds = self._began - self._lap
            self._lap = self._began
        self.tell("starting")

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        now = time.monotonic()
        if self._lap is not None:  # the first step of all takes longer
            self._step_seconds += now - self._lap
            self._timed_steps += 1
        self._lap = now
        due = now - self._looked_at > _SECONDS_BETWEEN_LOOKS
        if due and self._live.console.is_interactive:
            self._looked_at = now
            self._losses = self._words(logs)
            step = self.first_step + batch + 1
            self.tell(f"step {step}/{self.steps_per_epoch}{self._left(step)}")

    def on_test_begin(self, logs: Any = None) -> None:
        self.tell("validating")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._losses = self._words(logs)
        seconds = time.monotonic() - self._began
        left = self._training_left(self.steps_per_epoch)
        words = f"epoch {self._epoch}/{self.epochs} in {_duration(seconds)}"
        if left and self._epoch < self.epochs:
            words += f", {_duration(left)} left"
        self._live.console.print(f"{words} {self._losses}", soft_wrap=True)
        self.tell("checking translations")
        self.first_step = 0

    def _words(self, logs: Mapping[str, float]) -> str:
        means = {
            group: [logs[name] for name in names if name in logs]
            for group, names in self.groups.items()
        }
        return " ".join(
            f"{group} {sum(losses) / len(losses):.2f}"
            for group, losses in means.items()
            if losses
        )

    def _left(self, step: int) -> str:
        if not self._timed_steps:
            return ""
        epoch = (self.steps_per_epoch - step) * self._mean_step
        return f" {_duration(epoch)}/{_duration(self._training_left(step))} left"

    def _training_left(self, step: int) -> float:
        """Estimate the seconds until the end of the training, 0 if unknown."""
        epochs_left = self.epochs - self._epoch
        steps_left = epochs_left * self.steps_per_epoch + self.steps_per_epoch - step
        return steps_left * self._mean_step + (epochs_left + 1) * self._end_seconds

    @property
    def _mean_step(self) -> float:
        return self._step_seconds / max(self._timed_steps, 1)


def group_losses(names: Iterable[str]) -> dict[str, list[str]]:
    """Group the losses of a model by what they measure, to show a mean of each group.

    Args:
        names: such as `generator_g_loss` or `cycle_x_loss`.

    Returns:
        The names by group: G for the generators, D for the discriminators, then the
        others as they are called. A total such as `generator_loss` is left out if its
        parts are there.
    """
    parts: dict[str, list[str]] = {"G": [], "D": []}
    totals: dict[str, list[str]] = {}
    for name in names:
        what = name.removesuffix("_loss")
        kind = re.sub("_[gfxy]$", "", what)
        groups = totals if kind == what else parts
        groups.setdefault(_SHORT_NAMES.get(kind, kind), []).append(name)
    groups = {group: found or totals.pop(group, []) for group, found in parts.items()}
    return groups | {name: of for name, of in totals.items() if name not in groups}


def _duration(seconds: float) -> str:
    """Return a time in at most four characters, up to a hundred days."""
    for unit, length in (("s", 1), ("m", 60)):
        if seconds < 90 * length:
            return f"{seconds / length:.0f}{unit}"
    hours = seconds / 3600
    if hours < 36:
        return f"{hours:.1f}h" if hours < 10 else f"{hours:.0f}h"
    return f"{hours / 24:.0f}d"
