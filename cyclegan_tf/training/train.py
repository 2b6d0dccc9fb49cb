"""Train a model in a run folder, from the start or from the newest checkpoint."""

import contextlib
import dataclasses
import functools
import logging
import pathlib
from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf._shared.machine import hardware
from cyclegan_tf.config.options import TrainConfig
from cyclegan_tf.data import batches
from cyclegan_tf.data.domains import load_domains
from cyclegan_tf.data.sources import is_at_hand
from cyclegan_tf.evaluation.evaluate import build_evaluators
from cyclegan_tf.evaluation.features import feature_extractor
from cyclegan_tf.models.adversarial import AdversarialModel
from cyclegan_tf.models.networks.graph import size_multiple
from cyclegan_tf.pretrained.read import find_networks
from cyclegan_tf.runs.run import Run
from cyclegan_tf.training.building import (
    MODELS,
    adopt_networks,
    build_model,
    compile_model,
)
from cyclegan_tf.training.devices import Workers, choose_strategy, fastest_precision
from cyclegan_tf.training.fitting import Training, fit_steps

_LOG = logging.getLogger(__name__)


def train(
    config: TrainConfig,
    run_dir: str | pathlib.Path,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> None:
    """Train from the start, in a new run folder.

    This seeds Python, NumPy and Keras. With `deterministic`, the whole process uses
    TensorFlow's deterministic operations from then on.

    Args:
        config: all options.
        run_dir: a folder that does not exist, or is empty.
        callbacks: called after the training's own, but before the checkpoint is saved.
            Defaults to none.

    Raises:
        InputError: if the options, the data or the folder cannot be used.
        KeyboardInterrupt: after SIGINT or SIGTERM, once a checkpoint is saved.
        TrainingStoppedError: if the watchdog stops the training, or a loss is not
            finite.
        WorkerLostError: if another worker ends early.
    """
    config, run_dir = _ready(config), pathlib.Path(run_dir)
    Run.check_free(run_dir)
    workers = Workers(choose_strategy(config.optimization))
    with workers.reporting_lost_workers(run_dir):
        networks = _networks_to_start_from(config)
        config = adopt_networks(config, networks)
        training = _prepare(config, workers)
        _set_weights(training.model, networks)
        create = Run.create if workers.is_chief else Run
        run = create(run_dir, config)
        with _locked(run, workers):
            if workers.is_chief and config.dataset.data_x:
                domains = training.domains.test.values()
                run.write_test_images(
                    name for domain in domains for name in domain.names
                )
            _train(run, training, workers, callbacks=callbacks)


def check_training(
    config: TrainConfig, run_dir: str | pathlib.Path, resumes: bool = False
) -> TrainConfig:
    """Check what a training checks before its first step; write nothing.

    It reads the images and builds the networks, but does not download a data set: of
    one that is not at hand it checks that a server answers.

    Args:
        config: all options.
        run_dir: the folder of the run.
        resumes: bool. Whether the run exists. Defaults to `False`.

    Returns:
        The options that `config.json` would hold.

    Raises:
        InputError: as `train` or `resume`.
        WorkerLostError: as `train`.
    """
    config, run_dir = _ready(config), pathlib.Path(run_dir)
    if resumes:
        Run(run_dir).check_change(config)
    else:
        Run.check_free(run_dir)
    workers = Workers(choose_strategy(config.optimization))
    if not resumes:
        config = adopt_networks(config, _networks_to_start_from(config))
    dataset = config.dataset
    if is_at_hand(dataset.data, dataset.data_dir):
        training = _prepare(config, workers)
        if resumes:
            _check_epoch_length(Run(run_dir), training.steps_per_epoch)
    else:
        build_model(config)
        _LOG.info(
            "%s is not downloaded yet, so its images are not checked.", dataset.name
        )
    return config


def resume(
    run_dir: str | pathlib.Path,
    config: TrainConfig | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> None:
    """Resume a run from its newest checkpoint.

    With `deterministic`, the result equals that of an uninterrupted run, bit for bit.

    Args:
        run_dir: the folder of the run.
        config: changed options, such as more epochs; the networks must be the same.
            Defaults to the stored options.
        callbacks: as for `train`.

    Raises:
        InputError: as `train`.
        KeyboardInterrupt, TrainingStoppedError, WorkerLostError: as `train`.
    """
    run_dir = pathlib.Path(run_dir)
    run = Run(run_dir)
    config = _ready(config or run.config)
    workers = Workers(choose_strategy(config.optimization))
    with workers.reporting_lost_workers(run_dir), _locked(run, workers):
        run.check_change(config)
        training = _prepare(config, workers)
        _check_epoch_length(run, training.steps_per_epoch)
        if run.checkpoints.newest is None:
            _set_weights(training.model, _networks_to_start_from(config))
        step = _restore(run, training, workers)
        # Store the options only after the checkpoint has accepted them.
        if workers.is_chief:
            run.change_config(config)
        else:
            run = Run(run_dir, config)
        _train(run, training, workers, step, callbacks)


def _ready(config: TrainConfig) -> TrainConfig:
    """Check the options, and choose the precision if it is `"auto"`."""
    config.check()
    options = config.optimization
    if options.precision == "auto":
        options = dataclasses.replace(options, precision=fastest_precision())
    elif options.precision == "float32" and fastest_precision() != "float32":
        _LOG.info(
            "This machine multiplies bfloat16; `precision=auto` makes training steps "
            "faster."
        )
    return dataclasses.replace(config, optimization=options)


def _networks_to_start_from(config: TrainConfig) -> dict[str, keras.Model]:
    folder = config.networks.init_from
    if folder is None:
        return {}
    found = {
        name: pretrained.network for name, pretrained in find_networks(folder).items()
    }
    wanted = MODELS[config.objective.method].network_names
    networks = {name: found[name] for name in wanted if name in found}
    if not networks:
        raise InputError(
            f"{folder} has {', '.join(found)}, none of which {config.objective.method} "
            f"trains; it starts from {', '.join(wanted)}."
        )
    _LOG.info("Starting from the %s of %s.", ", ".join(networks), folder)
    return networks


def _set_weights(model: AdversarialModel, networks: Mapping[str, keras.Model]) -> None:
    for name, network in networks.items():
        model.networks[name].set_weights(network.get_weights())


def _locked(
    run: Run, workers: Workers
) -> contextlib.AbstractContextManager[None, bool | None]:
    return run.locked() if workers.is_chief else contextlib.nullcontext()


def _prepare(config: TrainConfig, workers: Workers) -> Training:
    """Read the images; build the model and its evaluators."""
    options, record = config.optimization, config.record
    # First: without a connection, the seconds of building the networks are wasted.
    if not is_at_hand(config.dataset.data, config.dataset.data_dir):
        _LOG.info("%s is to be downloaded first.", config.dataset.name)
    keras.utils.set_random_seed(options.seed)
    if options.deterministic:
        tf.config.experimental.enable_op_determinism()
    with workers.strategy.scope():
        model = build_model(config)
    multiples = [size_multiple(generator) for generator in model.generators.values()]
    domains = load_domains(config, max(multiples))
    train_x, train_y = domains.train["x"], domains.train["y"]
    batches.check_batches(train_x, train_y, options.batch_size)
    steps_per_epoch = batches.steps_per_epoch(train_x, train_y, options.batch_size)
    with workers.strategy.scope():
        compile_model(model, config)
        model.build_for((None, *train_x.image_shape), (None, *train_y.image_shape))
    evaluators = {}
    if workers.is_chief and record.evaluate_every:
        extractor = feature_extractor(record.features, record.features_weights)
        evaluators = build_evaluators(domains, extractor)
    return Training(model, domains, evaluators, steps_per_epoch)


def _restore(run: Run, training: Training, workers: Workers) -> int:
    """Restore the newest checkpoint; return its step, or 0 if there is none."""
    position = run.restore(training.model) if workers.is_chief else None
    step = workers.from_chief(position.step if position else 0)
    if step == 0:
        return 0
    if position is None:
        run.restore_step(training.model, step)
    _LOG.info("Resuming after step %d.", step)
    return step


def _check_epoch_length(run: Run, steps_per_epoch: int) -> None:
    for position in run.checkpoints.positions().values():
        if position.steps_per_epoch != steps_per_epoch:
            raise InputError(
                f"An epoch of {run.folder} had {position.steps_per_epoch} steps, but "
                f"the data and options now make {steps_per_epoch}; restore the images "
                "and the `batch_size`, or start a new run."
            )


def _train(
    run: Run,
    training: Training,
    workers: Workers,
    step: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> None:
    """Train from a step to the last epoch of the run."""
    options, steps_per_epoch = run.config.optimization, training.steps_per_epoch
    last_step = options.epochs * steps_per_epoch
    if workers.is_chief and step < last_step:
        _LOG.info(
            "Training on %s in %s: %d epochs of %d steps.",
            hardware(workers.strategy.num_replicas_in_sync),
            options.precision,
            options.epochs,
            steps_per_epoch,
        )
    fit = functools.partial(fit_steps, run, training, workers, callbacks)
    # Keras counts whole epochs, so finish a partial epoch first.
    if step % steps_per_epoch:
        end_of_epoch = step + steps_per_epoch - step % steps_per_epoch
        fit(step, end_of_epoch)
        step = end_of_epoch
    if step < last_step:
        fit(step, last_step)
