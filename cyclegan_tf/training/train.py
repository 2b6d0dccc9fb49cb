"""Train a CycleGAN in a run folder, from the start or from where it stopped."""

import contextlib
import dataclasses
import functools
import logging
import pathlib
from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.config.options import RecordConfig, TrainConfig
from cyclegan_tf.data import batches as data
from cyclegan_tf.data.domains import Domains, StillImages, load_domains
from cyclegan_tf.evaluation.evaluate import build_evaluators
from cyclegan_tf.evaluation.evaluator import Evaluator
from cyclegan_tf.evaluation.features import feature_extractor
from cyclegan_tf.models.cyclegan import CycleGAN
from cyclegan_tf.models.networks.graph import size_multiple
from cyclegan_tf.pretrained.find import read_networks
from cyclegan_tf.runs.checkpoints import Position
from cyclegan_tf.runs.run import Run
from cyclegan_tf.training.building import adopt_networks, build_model, compile_model
from cyclegan_tf.training.callbacks import (
    Checkpointing,
    Evaluating,
    MetricsLog,
    SampleSheet,
)
from cyclegan_tf.training.devices import Workers, choose_strategy, fastest_precision
from cyclegan_tf.training.watchdog import FiniteLosses, StoppingTogether, Watchdog
from cyclegan_tf.translation.translator import Translator

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class _Training:
    """What is trained and on what, before anything of it is written to a run folder.

    Attributes:
        model: ready for `fit`.
        domains: the images.
        evaluators: what scores the generators meanwhile, by direction; empty where
            nothing does, or another process.
        steps_per_epoch: training steps in an epoch.
    """

    model: CycleGAN
    domains: Domains
    evaluators: Mapping[str, Evaluator]
    steps_per_epoch: int


def train(
    config: TrainConfig,
    run_dir: pathlib.Path,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> None:
    """Train from the start, in a new run folder.

    Seeds Python, NumPy and Keras; with `deterministic`, TensorFlow uses
    deterministic operations from then on, in the whole process.

    Args:
        config: all options.
        run_dir: a folder that does not exist yet, or is empty.
        callbacks: are called after those of the training, but before the checkpoint
            is saved. Defaults to none.

    Raises:
        InputError: if an option, the data or the folder is not fit for it.
        KeyboardInterrupt: after SIGINT or SIGTERM, when a checkpoint is saved.
        TrainingStoppedError: if the watchdog stops it.
        WorkerLostError: if another of the workers ends before.
    """
    config = _ready(config)
    Run.check_free(run_dir)
    workers = Workers(choose_strategy(config.optimization))
    with workers.reporting_losses(run_dir):
        networks = _networks_to_start_from(config)
        config = adopt_networks(config, networks)
        training = _prepare(config, workers)
        _set_weights(training.model, networks)
        create = Run.create if workers.is_chief else Run
        run = create(run_dir, config)
        with _locked(run, workers):
            _train(run, training, workers, callbacks=callbacks)


def resume(run_dir: pathlib.Path, config: TrainConfig | None = None) -> None:
    """Go on with a run where its newest checkpoint stands.

    With `deterministic`, the result is bit for bit that of a run that was never
    stopped.

    Args:
        run_dir: the folder of the run.
        config: other options to go on with, say more epochs; the networks must be
            the same. Defaults to the stored ones.

    Raises:
        InputError: as `train`.
        KeyboardInterrupt, TrainingStoppedError, WorkerLostError: as `train`.
    """
    run = Run(run_dir)
    config = _ready(config or run.config)
    workers = Workers(choose_strategy(config.optimization))
    with workers.reporting_losses(run_dir), _locked(run, workers):
        run.check_change(config)
        training = _prepare(config, workers)
        if not run.checkpoints():
            _set_weights(training.model, _networks_to_start_from(config))
        step = _restore(run, training, workers)
        # Stored only now, when the run is known to go on with them.
        if workers.is_chief:
            run.change_config(config)
        else:
            run = Run(run_dir, config)
        _train(run, training, workers, step)


def _ready(config: TrainConfig) -> TrainConfig:
    """Check the options, and decide what is left to this machine."""
    config.check()
    options = config.optimization
    if options.precision == "auto":
        options = dataclasses.replace(options, precision=fastest_precision())
        _LOG.info("Training in %s.", options.precision)
    elif options.precision == "float32" and fastest_precision() != "float32":
        _LOG.info(
            "This machine multiplies bfloat16, in which a step is faster: see "
            "--precision auto."
        )
    return dataclasses.replace(config, optimization=options)


def _networks_to_start_from(config: TrainConfig) -> dict[str, keras.Model]:
    folder = config.networks.init_from
    if folder is None:
        return {}
    networks = {
        name: pretrained.network for name, pretrained in read_networks(folder).items()
    }
    _LOG.info("Starting from the %s of %s.", ", ".join(networks), folder)
    return networks


def _set_weights(model: CycleGAN, networks: Mapping[str, keras.Model]) -> None:
    for name, network in networks.items():
        getattr(model, name).set_weights(network.get_weights())


def _locked(
    run: Run, workers: Workers
) -> contextlib.AbstractContextManager[None, bool | None]:
    return run.locked() if workers.is_chief else contextlib.nullcontext()


def _prepare(config: TrainConfig, workers: Workers) -> _Training:
    """Build the model and what scores it, and read the images."""
    options = config.optimization
    keras.utils.set_random_seed(options.seed)
    if options.deterministic:
        tf.config.experimental.enable_op_determinism()
    with workers.strategy.scope():
        model = build_model(config)
    domains = load_domains(config, size_multiple(model.generator_g))
    data.check_batches(domains.train_x, domains.train_y, options.batch_size)
    steps_per_epoch = data.steps_per_epoch(
        domains.train_x, domains.train_y, options.batch_size
    )
    with workers.strategy.scope():
        compile_model(model, config, steps_per_epoch)
        model.build_pools(
            (None, *domains.train_x.image_shape), (None, *domains.train_y.image_shape)
        )
    evaluators = {}
    if workers.is_chief and config.record.evaluate_every:
        extractor = feature_extractor(
            config.record.features, config.record.features_weights
        )
        evaluators = build_evaluators(config.dataset, domains, extractor)
    return _Training(model, domains, evaluators, steps_per_epoch)


def _restore(run: Run, training: _Training, workers: Workers) -> int:
    """Return the step that the newest checkpoint stands at, or 0."""
    position = run.restore(training.model) if workers.is_chief else None
    step = workers.from_chief(position.step if position else 0)
    if step == 0:
        return 0
    position = position or run.restore_as(training.model, step)
    if position.steps_per_epoch != training.steps_per_epoch:
        raise InputError(
            f"An epoch of {run.folder} had {position.steps_per_epoch} steps, but the "
            f"data and options now make {training.steps_per_epoch}; bring the images "
            "and the batch size back, or start a new run."
        )
    _LOG.info("Going on after step %d.", position.step)
    return position.step


def _train(
    run: Run,
    training: _Training,
    workers: Workers,
    step: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> None:
    """Bring the run from a step to its last epoch."""
    steps_per_epoch = training.steps_per_epoch
    last_step = run.config.optimization.epochs * steps_per_epoch
    fit = functools.partial(_fit, run, training, workers, callbacks=callbacks)
    # Keras counts whole epochs, so a checkpoint inside one is brought to its end
    # first.
    if step % steps_per_epoch:
        end_of_epoch = step + steps_per_epoch - step % steps_per_epoch
        fit(step, end_of_epoch)
        step = end_of_epoch
    if step < last_step:
        fit(step, last_step)


def _fit(
    run: Run,
    training: _Training,
    workers: Workers,
    first_step: int,
    last_step: int,
    callbacks: Sequence[keras.callbacks.Callback],
) -> None:
    """Fit from one step to another: whole epochs, or the rest of one."""
    options, record = run.config.optimization, run.config.record
    domains, steps_per_epoch = training.domains, training.steps_per_epoch

    def save(step: int, logs: dict[str, float] | None) -> None:
        if not workers.is_chief:
            return
        score = _score(logs, record) if logs else None
        run.save_checkpoint(
            training.model, Position(step, steps_per_epoch, score, record.keep_best)
        )

    def batches(context: tf.distribute.InputContext) -> tf.data.Dataset:
        return data.training_batches(
            domains.train_x,
            domains.train_y,
            options.batch_size,
            options.seed,
            first_step,
            context,
        )

    # An image for each replica: some operations fail on none.
    validation_set = domains.test_x, domains.test_y, record.validation_images
    validation_batch = workers.strategy.num_replicas_in_sync

    def validation(context: tf.distribute.InputContext) -> tf.data.Dataset:
        return data.evaluation_batches(*validation_set, validation_batch, context)

    checkpointing = Checkpointing(
        save, first_step, record.checkpoint_minutes, workers.any
    )
    with checkpointing.deferring_signals():
        training.model.fit(
            workers.strategy.distribute_datasets_from_function(batches),
            initial_epoch=first_step // steps_per_epoch,
            epochs=last_step // steps_per_epoch,
            steps_per_epoch=min(steps_per_epoch, last_step - first_step),
            validation_data=workers.strategy.distribute_datasets_from_function(
                validation
            ),
            validation_steps=data.evaluation_steps(*validation_set, validation_batch),
            verbose="auto" if workers.is_chief else 0,
            callbacks=[
                *([] if record.watchdog == "off" else [FiniteLosses()]),
                *(_writing(run, training, first_step) if workers.is_chief else []),
                *callbacks,
                *([StoppingTogether(workers.any)] if workers.count > 1 else []),
                checkpointing,  # the last one: it may leave by KeyboardInterrupt
            ],
        )


def _writing(
    run: Run, training: _Training, first_step: int
) -> list[keras.callbacks.Callback]:
    """What looks at the training and writes of it, in one process only."""
    record, domains = run.config.record, training.domains
    translators = {
        "g": Translator(training.model.generator_g),
        "f": Translator(training.model.generator_f),
    }
    evaluating = Evaluating(
        translators,
        training.evaluators,
        record.evaluate_every,
        run.config.optimization.epochs,
    )
    return [
        *_watchdog(run.config, domains, translators),
        *([evaluating] if training.evaluators else []),
        keras.callbacks.TensorBoard(run.tensorboard, write_graph=False),
        SampleSheet(
            translators,
            StillImages(domains.test_x, record.sample_images),
            StillImages(domains.test_y, record.sample_images),
            run.samples,
        ),
        MetricsLog(run.metrics, first_step),
    ]


def _watchdog(
    config: TrainConfig, domains: Domains, translators: Mapping[str, Translator]
) -> list[keras.callbacks.Callback]:
    record = config.record
    if record.watchdog == "off":
        return []
    images_x, images_y = (
        StillImages(domain, record.validation_images)
        for domain in (domains.test_x, domains.test_y)
    )
    return [
        Watchdog(
            translators,
            {"g": images_x, "f": images_y},
            {"g": images_y, "f": images_x},
            config.objective.adversarial_loss,
            stop=record.watchdog == "stop",
        )
    ]


def _score(logs: Mapping[str, float], record: RecordConfig) -> float | None:
    """What the best checkpoint has least of, if it was measured in this epoch."""
    if record.keep_best == "cycle_error":  # |F(G(x)) - x| + |G(F(y)) - y|
        return logs["val_cycle_x_loss"] + logs["val_cycle_y_loss"]
    name: str = record.keep_best
    if name in ("fid", "kid"):
        name += f"_{pathlib.PurePath(record.features).name}"
    if f"eval_g_{name}" not in logs:
        return None
    score = (logs[f"eval_g_{name}"] + logs[f"eval_f_{name}"]) / 2
    return 1 - score if name == "hit_rate" else score
