"""From what the first steps of a training took to what all of it will take."""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Measurements:
    """What was measured of the first steps of a training.

    Attributes:
        steps_per_epoch: training steps in an epoch.
        epochs: epochs in the whole training.
        start_seconds: from the start of the process to the first step: imports,
            reading the images, building the networks.
        first_step_seconds: of the first step, in which TensorFlow traces it.
        step_seconds: of a later step.
        first_epoch_end_seconds: from the last step of the first epoch to the second
            epoch: validation, watchdog, pictures, checkpoint.
        epoch_end_seconds: the same of a later epoch.
        first_evaluation_seconds: what the first evaluation added to that; 0 without.
        evaluation_seconds: what a later one added.
        save_seconds: of those, to save a checkpoint.
        peak_bytes: most memory that the process has held.
        checkpoint_bytes: size of a checkpoint.
        generators_bytes: size of both generators' files.
        picture_bytes: size of an epoch's picture of samples.
        log_bytes: what an epoch adds to the logs.
    """

    steps_per_epoch: int
    epochs: int
    start_seconds: float
    first_step_seconds: float
    step_seconds: float
    first_epoch_end_seconds: float
    epoch_end_seconds: float
    first_evaluation_seconds: float
    evaluation_seconds: float
    save_seconds: float
    peak_bytes: int
    checkpoint_bytes: int
    generators_bytes: int
    picture_bytes: int
    log_bytes: int


@dataclasses.dataclass(frozen=True)
class Forecast:
    """What a training will take.

    Attributes:
        steps_per_epoch: training steps in an epoch.
        epochs: epochs.
        first_step_done_seconds: from the start of the process to the end of the first
            step.
        step_seconds: of a later step.
        epoch_seconds: of an epoch after the first, with what follows on its steps, but
            without an evaluation.
        total_seconds: from the start of the process to its end.
        peak_bytes: most memory of the process. Image pools, image cache and networks
            have their final size from the first step on.
        disk_bytes: at most so large is the run folder at the end.
        writing_bytes: at most so much more is needed while a checkpoint is written.
    """

    steps_per_epoch: int
    epochs: int
    first_step_done_seconds: float
    step_seconds: float
    epoch_seconds: float
    total_seconds: float
    peak_bytes: int
    disk_bytes: int
    writing_bytes: int


def forecast(
    measured: Measurements, checkpoint_minutes: float, evaluate_every: int
) -> Forecast:
    """Forecast a training from its first steps.

    Args:
        measured: what they took.
        checkpoint_minutes: float. Minutes from one checkpoint to the next within an
            epoch.
        evaluate_every: int. Epochs from one evaluation to the next; 0 for none.

    Returns:
        The forecast.
    """
    epochs, steps = measured.epochs, measured.steps_per_epoch
    saves = _saves_within_epoch(steps, measured.step_seconds, checkpoint_minutes)
    epoch_seconds = (
        steps * measured.step_seconds
        + saves * measured.save_seconds
        + measured.epoch_end_seconds
    )
    first_times = (
        measured.start_seconds
        + (measured.first_step_seconds - measured.step_seconds)
        + (measured.first_epoch_end_seconds - measured.epoch_end_seconds)
    )
    evaluations_seconds = 0.0
    if evaluate_every:
        later = math.ceil(epochs / evaluate_every) - 1
        evaluations_seconds = (
            measured.first_evaluation_seconds + later * measured.evaluation_seconds
        )
    # The newest checkpoint and the best; there are copies of the generators of both,
    # even where they are the same.
    checkpoints = min(2, epochs + saves)
    return Forecast(
        steps_per_epoch=steps,
        epochs=epochs,
        first_step_done_seconds=measured.start_seconds + measured.first_step_seconds,
        step_seconds=measured.step_seconds,
        epoch_seconds=epoch_seconds,
        total_seconds=first_times + epochs * epoch_seconds + evaluations_seconds,
        peak_bytes=measured.peak_bytes,
        disk_bytes=checkpoints * measured.checkpoint_bytes
        + 2 * measured.generators_bytes
        + epochs * (measured.picture_bytes + measured.log_bytes),
        writing_bytes=measured.checkpoint_bytes,
    )


def _saves_within_epoch(
    steps: int, step_seconds: float, checkpoint_minutes: float
) -> int:
    """How often a checkpoint is due before the last step of an epoch."""
    if checkpoint_minutes <= 0:
        return steps - 1
    return min(steps - 1, int(steps * step_seconds / (60 * checkpoint_minutes)))
