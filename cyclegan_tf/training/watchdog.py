"""Early signs of a failing training, found in the translations.

Losses do not show them: the adversarial game can be balanced while every color is
inverted.
"""

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import keras

from cyclegan_tf._shared.errors import TrainingStoppedError
from cyclegan_tf.config.options import Method, Objective
from cyclegan_tf.evaluation import metrics
from cyclegan_tf.evaluation.verdict import (
    COLLAPSED_DIVERSITY,
    INVERTED_CORRELATION,
    UNCHANGED_GRAY_LEVELS,
)
from cyclegan_tf.images.pixels import Image
from cyclegan_tf.translation.translator import Translator

_LOG = logging.getLogger(__name__)

SATURATED_LOSS = 0.02  # as a share of a guesser's loss
RUNAWAY_LOSS = 1e4
STEPS_BETWEEN_LOOKS = 20


class _Advice(NamedTuple):
    """What a method can change against collapse, inverted colors and no change."""

    against_collapse: str
    against_inversion: str
    against_no_change: str


_ADVICE: Mapping[Method, _Advice] = {
    "cyclegan": _Advice(
        "`cycle_weight`",
        "`identity_weight`",
        "lower `identity_weight` or `cycle_weight`, or train on smaller crops",
    ),
    "pix2pix": _Advice(
        "`l1_weight`", "`l1_weight`", "make sure that the images of a pair differ"
    ),
    "cut": _Advice("`nce_weight`", "`nce_weight`", "lower `nce_weight`"),
}

# The loss of a discriminator that cannot tell real from fake: its logits are 0 or, for
# LSGAN, the middle of the targets. A Wasserstein critic's logits have no scale.
GUESSING_LOSSES = {"lsgan": 0.5, "bce": 2 * math.log(2), "hinge": 2.0, "wgan-gp": None}


def check_finite(logs: Mapping[str, float]) -> None:
    """Check the losses of an epoch, up to now.

    They are means over its steps: one that is not finite stays so until the epoch ends.

    Raises:
        TrainingStoppedError: if one is not finite.
    """
    for name, value in logs.items():
        if not math.isfinite(value) and not name.startswith("eval_"):
            raise TrainingStoppedError(
                f"{name} became {float(value)} in this epoch, and no later step can "
                "repair that; resume from the last checkpoint with a lower "
                "`learning_rate`, or with `precision=float32`."
            )


class FiniteLosses(keras.callbacks.Callback):
    """Stop a training soon after a loss is not finite.

    It looks every few steps, because a look waits for a GPU to finish its steps.

    Raises:
        TrainingStoppedError: out of `fit`.
    """

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if (batch + 1) % STEPS_BETWEEN_LOOKS == 0:
            check_finite(logs or {})

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        check_finite(logs or {})


class Watchdog(keras.callbacks.Callback):
    """Warn of a failing training after each epoch, or stop it.

    The signs are inverted colors, collapse (the same translation for every image),
    translations that change nothing, losses that run away, and discriminators that are
    never wrong. Each sign is reported once, with advice.

    Args:
        translators: a translator of each of the model's generators, by direction.
        images: test images of each direction's source domain, uint8 (height, width,
            channels), two or more.
        targets: test images of each direction's target domain.
        objective: the options of the method.
        stop: bool. Stop the training after the epoch of the first sign. Defaults to
            `False`.

    Raises:
        TrainingStoppedError: out of `fit`, if it stops the training.
    """

    def __init__(
        self,
        translators: Mapping[str, Translator],
        images: Mapping[str, Sequence[Image]],
        targets: Mapping[str, Sequence[Image]],
        objective: Objective,
        stop: bool = False,
    ):
        super().__init__()
        self.translators = translators
        self.images = images
        self.targets = targets
        self.method = objective.method
        self.guessing_loss = GUESSING_LOSSES[objective.adversarial_loss]
        self.stop = stop
        self._told: set[str] = set()
        self._stopped_by = ""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        for sign in self._signs(logs):
            # The numbers change from epoch to epoch, the kind of sign does not.
            kind = sign.partition(":")[0]
            if kind in self._told:
                continue
            self._told.add(kind)
            _LOG.warning("Watchdog, epoch %d: %s", epoch + 1, sign)
            if self.stop:
                self._stopped_by = (
                    self._stopped_by or f"After epoch {epoch + 1}, {sign}"
                )
                self.model.stop_training = True

    def on_train_end(self, logs: Any = None) -> None:
        if self._stopped_by:  # by now the other callbacks have saved the epoch
            raise TrainingStoppedError(self._stopped_by)

    def _signs(self, logs: Mapping[str, float]) -> Iterator[str]:
        for direction, translator in self.translators.items():
            translator.refresh()
            images = list(self.images[direction])
            yield from signs_in_translations(
                f"generator_{direction}",
                images,
                [translator(image) for image in images],
                list(self.targets[direction]),
                self.method,
            )
        for name, loss in logs.items():
            if name.endswith("_loss") and abs(loss) > RUNAWAY_LOSS:
                yield (
                    f"{name} has run away: it is {loss:.1g}, and images are no longer "
                    "what the networks learn from; start again with a lower "
                    "`learning_rate`."
                )
        if self.guessing_loss is None:
            return
        for name, loss in logs.items():
            if not name.startswith("discriminator"):
                continue
            # The model halves these losses.
            share = loss / (0.5 * self.guessing_loss)
            if share < SATURATED_LOSS:
                yield (
                    f"{name.removesuffix('_loss')} is hardly ever wrong: its loss is "
                    f"{share:.1%} of a guesser's, and its generator learns little from "
                    "it; try smaller `discriminator_filters`, `num_layers=2` or "
                    "another `adversarial_loss`."
                )


class StoppingTogether(keras.callbacks.Callback):
    """Stop all processes of a training when the watchdog stops one.

    Args:
        ask_workers: returns whether any process votes yes.

    Raises:
        TrainingStoppedError: out of `fit`, if another process stops the training.
    """

    def __init__(self, ask_workers: Callable[[bool], bool]):
        super().__init__()
        self.ask_workers = ask_workers
        self._stopping = False

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._stopping = self.ask_workers(self.model.stop_training)
        self.model.stop_training = self._stopping

    def on_train_end(self, logs: Any = None) -> None:
        if self._stopping:
            raise TrainingStoppedError("See the message of the chief worker.")


def signs_in_translations(
    generator: str,
    images: Sequence[Image],
    translated: Sequence[Image],
    targets: Sequence[Image],
    method: Method = "cyclegan",
) -> Iterator[str]:
    """Find signs of failure in the translations of one generator.

    Args:
        generator: its name in the messages.
        images: uint8 (height, width, channels).
        translated: their translations, of the same heights and widths.
        targets: real images of the target domain.
        method: the method of the training. Defaults to `"cyclegan"`.

    Yields:
        For each sign: the generator and the kind, a colon, the numbers and advice.
    """
    advice = _ADVICE[method]
    content = dict(metrics.content_scores(images, translated))
    correlation, change = content["luminance_correlation"], content["change"]
    if correlation < INVERTED_CORRELATION:
        yield (
            f"{generator} inverts colors: the luminance of its translations "
            f"correlates with that of their images by {correlation:.2f}; start again "
            f"with another `seed` or a larger {advice.against_inversion}, as training "
            "rarely recovers."
        )
    if change < UNCHANGED_GRAY_LEVELS:
        yield (
            f"{generator} changes nothing: its translations differ from their images "
            f"by {change:.1f} of 255 gray levels; {advice.against_no_change}."
        )
    if len(images) < 2 or len(targets) < 2:
        return
    ((_, diversity),) = metrics.diversity(translated)
    ((_, real_diversity),) = metrics.diversity(targets)
    if diversity < COLLAPSED_DIVERSITY * real_diversity:
        yield (
            f"{generator} has collapsed: its translations differ from each other by "
            f"{diversity:.1f} gray levels, real images by {real_diversity:.1f}; start "
            f"again with a lower `learning_rate` or a larger {advice.against_collapse}."
        )
