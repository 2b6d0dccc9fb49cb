"""One call of `model.fit` in a run folder: its batches and its callbacks."""

import contextlib
import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from cyclegan_tf.config.directions import DIRECTIONS
from cyclegan_tf.data import batches
from cyclegan_tf.data.domains import Domains, StillImages
from cyclegan_tf.evaluation.evaluator import Evaluator
from cyclegan_tf.models.adversarial import AdversarialModel
from cyclegan_tf.runs.checkpoints import Position
from cyclegan_tf.runs.run import Run
from cyclegan_tf.training.building import epoch_rates
from cyclegan_tf.training.callbacks import (
    CallbackList,
    Checkpointing,
    EpochRates,
    Evaluating,
    MetricsLog,
    SampleSheet,
    score_of_epoch,
)
from cyclegan_tf.training.devices import Workers
from cyclegan_tf.training.progress import Progress
from cyclegan_tf.training.watchdog import FiniteLosses, StoppingTogether, Watchdog
from cyclegan_tf.translation.translator import Translator


@dataclasses.dataclass(frozen=True)
class Training:
    """A model and its data, prepared before anything is written to a run folder.

    `evaluators` maps directions to evaluators; it is empty in a process that does not
    evaluate.
    """

    model: AdversarialModel
    domains: Domains
    evaluators: Mapping[str, Evaluator]
    steps_per_epoch: int


def fit_steps(
    run: Run,
    training: Training,
    workers: Workers,
    callbacks: Sequence[keras.callbacks.Callback],
    first_step: int,
    last_step: int,
) -> None:
    """Fit from one step to another: whole epochs, or the rest of one epoch."""
    steps_per_epoch = training.steps_per_epoch
    epochs = last_step // steps_per_epoch
    steps = min(steps_per_epoch, last_step - first_step)
    progress = Progress(
        training.model.loss_names,
        run.config.optimization.epochs,
        steps_per_epoch,
        first_step,
    )
    checkpointing = _checkpointing(run, training, workers, progress, first_step)
    own: list[keras.callbacks.Callback] = [
        EpochRates(epoch_rates(run.config.optimization)),
        FiniteLosses(),
    ]
    if workers.is_chief:
        own += [progress, *_writing(run, training, first_step)]
    stopping = [StoppingTogether(workers.any)] if workers.count > 1 else []

    showing = progress.shown() if workers.is_chief else contextlib.nullcontext()
    reading = batches.reading_errors_in_words()
    with showing, reading, checkpointing.deferring_signals():
        training.model.fit(
            _training_set(run, training, workers, first_step),
            initial_epoch=first_step // steps_per_epoch,
            epochs=epochs,
            steps_per_epoch=steps,
            **_validation_set(run, training, workers),
            callbacks=CallbackList(
                # Checkpoints come last, as they may raise KeyboardInterrupt.
                [*own, *callbacks, *stopping, checkpointing],
                add_history=True,
                model=training.model,
                epochs=epochs,
                steps=steps,
            ),
        )


def _training_set(
    run: Run, training: Training, workers: Workers, first_step: int
) -> tf.data.Dataset:
    options = run.config.optimization
    jitter_steps: int | None = options.constant_epochs * training.steps_per_epoch
    if run.config.dataset.jitter_while_decaying:
        jitter_steps = None  # all steps have random crops
    return workers.strategy.distribute_datasets_from_function(
        functools.partial(
            batches.training_batches,
            training.domains.train["x"],
            training.domains.train["y"],
            options.batch_size,
            options.seed,
            first_step,
            paired=training.domains.paired_training,
            jitter_steps=jitter_steps,
        )
    )


def _validation_set(run: Run, training: Training, workers: Workers) -> dict[str, Any]:
    """Return the validation arguments of `fit`."""
    images = (
        training.domains.test["x"],
        training.domains.test["y"],
        run.config.record.validation_images,
        # One image per replica: some operations fail on an empty batch.
        workers.strategy.num_replicas_in_sync,
    )
    make = functools.partial(batches.evaluation_batches, *images)
    return {
        "validation_data": workers.strategy.distribute_datasets_from_function(make),
        "validation_steps": batches.evaluation_steps(*images),
    }


def _checkpointing(
    run: Run,
    training: Training,
    workers: Workers,
    progress: Progress,
    first_step: int,
) -> Checkpointing:
    record, model = run.config.record, training.model

    def save(step: int, logs: dict[str, float] | None) -> None:
        if workers.is_chief:
            progress.tell("saving a checkpoint")
            score = score_of_epoch(logs, record, model) if logs else None
            position = Position(step, training.steps_per_epoch, score, record.keep_best)
            run.save_checkpoint(model, position)

    return Checkpointing(save, first_step, record.checkpoint_minutes, workers.any)


def _writing(
    run: Run, training: Training, first_step: int
) -> list[keras.callbacks.Callback]:
    """Return the callbacks that evaluate and write to the run folder."""
    record, test = run.config.record, training.domains.test
    translators = {
        direction: Translator(generator, size="full")
        for direction, generator in training.model.publish().items()
    }

    def images(role: str, count: int) -> Mapping[str, StillImages]:
        """Return test images of each direction's `"source"` or `"target"` domain."""
        return {
            direction: StillImages(test[getattr(DIRECTIONS[direction], role)], count)
            for direction in translators
        }

    callbacks: list[keras.callbacks.Callback] = []
    if record.watchdog != "off":
        callbacks.append(
            Watchdog(
                translators,
                images("source", record.validation_images),
                images("target", record.validation_images),
                run.config.objective,
                stop=record.watchdog == "stop",
            )
        )
    if training.evaluators:
        callbacks.append(
            Evaluating(
                translators,
                training.evaluators,
                record.evaluate_every,
                run.config.optimization.epochs,
            )
        )
    return [
        *callbacks,
        keras.callbacks.TensorBoard(run.tensorboard, write_graph=False),
        SampleSheet(
            translators,
            images("source", record.sample_images),
            run.samples,
            run.config.dataset.domain_names,
            images("target", record.sample_images)
            if training.model.takes_pairs
            else {},
        ),
        MetricsLog(run.metrics, first_step),
    ]
