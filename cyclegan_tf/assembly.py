"""From a configuration to what it describes: the model and the images."""

import contextlib
import dataclasses
import functools
import logging
from collections.abc import Iterator
from typing import Literal

import keras
import tensorflow as tf

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.config.options import DatasetConfig, OptimizationConfig, TrainConfig
from cyclegan_tf.data.batches import Domain, Preprocessing, StillImages
from cyclegan_tf.data.sources import find_sources
from cyclegan_tf.evaluation.domain_classifier import DomainClassifier
from cyclegan_tf.evaluation.evaluator import DomainImages, Evaluator
from cyclegan_tf.evaluation.features import FeatureExtractor
from cyclegan_tf.models.acceleration.adam import Adam
from cyclegan_tf.models.cyclegan import CycleGAN
from cyclegan_tf.models.schedules import LinearDecay
from cyclegan_tf.training.building import (
    discriminator_architecture,
    generator_architecture,
)
from cyclegan_tf.training.devices import connect_workers

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Domains:
    """The images of a run.

    Attributes:
        train_x: images of X to train on.
        train_y: images of Y.
        test_x: images of X to look at, prepared without chance; the training images
            where there is no test split.
        test_y: likewise of Y.
    """

    train_x: Domain
    train_y: Domain
    test_x: Domain
    test_y: Domain


def build_model(config: TrainConfig) -> CycleGAN:
    """Build the four networks and the CycleGAN of a configuration, not compiled.

    Args:
        config: all options.

    Returns:
        A `CycleGAN`.

    Raises:
        InputError: if the options contradict one another.
    """
    channels_x, channels_y = config.dataset.channels_x, config.dataset.channels_y
    options = config.networks
    try:
        with _dtype_policy(config.optimization.precision):
            return CycleGAN(
                generator_architecture(options, channels_x, channels_y).build(
                    "generator_g"
                ),
                generator_architecture(options, channels_y, channels_x).build(
                    "generator_f"
                ),
                discriminator_architecture(options, channels_x).build(
                    "discriminator_x"
                ),
                discriminator_architecture(options, channels_y).build(
                    "discriminator_y"
                ),
                cycle_weight=config.objective.cycle_weight,
                identity_weight=config.objective.identity_weight,
                pool_size=config.objective.pool_size,
                seed=config.optimization.seed,
            )
    except ValueError as e:
        raise InputError(str(e)) from e


def compile_model(model: CycleGAN, config: TrainConfig, steps_per_epoch: int) -> None:
    """Compile a model as a configuration says.

    Args:
        model: a `CycleGAN`.
        config: all options.
        steps_per_epoch: int. For the learning-rate schedule.

    Raises:
        InputError: if the networks cannot be trained like that.
    """
    options = config.optimization

    def adam() -> keras.optimizers.Optimizer:
        schedule = LinearDecay(
            options.learning_rate,
            steps_per_epoch,
            options.constant_epochs,
            options.decay_epochs,
        )
        return Adam(
            schedule,
            options.beta_1,
            options.beta_2,
            options.epsilon,
            # Keras does not take 1 for an answer.
            gradient_accumulation_steps=(
                options.accumulate if options.accumulate > 1 else None
            ),
        )

    try:
        model.compile(
            adam(),
            adam(),
            config.objective.adversarial_loss,
            jit_compile=options.jit_compile,
            remat=options.remat,
        )
    except ValueError as e:
        raise InputError(str(e)) from e


def load_domains(config: TrainConfig, size_multiple: int) -> Domains:
    """Read the images of a configuration.

    Args:
        config: all options.
        size_multiple: int. What the generators need the sides to be multiples of.

    Returns:
        Both domains. Images that cannot be read are left out, which is logged.

    Raises:
        InputError: if the images cannot be trained on.
    """
    dataset = config.dataset
    if dataset.paired_test and dataset.data.startswith("tfds:"):
        raise InputError(
            f"The test images of {dataset.data} cannot be paired, because TensorFlow "
            "Datasets shuffles each domain by itself; name the extracted download as a "
            "folder instead."
        )
    training = Preprocessing(
        dataset.preprocess,
        dataset.load_size,
        dataset.crop_size,
        dataset.flip,
        size_multiple,
    )
    still = training.for_evaluation()
    train_x = _load(dataset, "trainA", training, dataset.channels_x)
    train_y = _load(dataset, "trainB", training, dataset.channels_y)
    assert train_x is not None and train_y is not None  # or find_sources had raised
    if config.objective.pool_size and None in train_x.image_shape + train_y.image_shape:
        raise InputError(
            f"The image pool needs images of one size, but those of {dataset.data} "
            "differ; use --pool-size 0 or a --preprocess that crops."
        )
    test_x = _load(dataset, "testA", still, dataset.channels_x)
    test_y = _load(dataset, "testB", still, dataset.channels_y)
    return Domains(train_x, train_y, test_x or train_x, test_y or train_y)


def build_evaluators(
    dataset: DatasetConfig,
    domains: Domains,
    extractor: FeatureExtractor,
    reference: Literal["train", "test"] = "train",
    max_images: int | None = None,
) -> dict[str, Evaluator]:
    """Build what scores generators on the images of a run.

    Args:
        dataset: where the images are from.
        domains: the images.
        extractor: in which features distributions are compared.
        reference: compare with the training or the test images of the target domain.
        max_images: int. Use at most so many test images of each domain.

    Returns:
        An evaluator of generators X to Y, `"g"`, and one of Y to X, `"f"`.

    Raises:
        InputError: if there are too few images, or those that should be paired
            cannot be.
    """
    paired = dataset.data == "demo" or dataset.paired_test
    if paired:
        _check_pairs(domains)
    images_x = DomainImages(
        StillImages(domains.train_x), StillImages(domains.test_x, max_images)
    )
    images_y = DomainImages(
        StillImages(domains.train_y), StillImages(domains.test_y, max_images)
    )
    # Trained when it is first asked, and once for both directions.
    classifier = functools.cache(
        lambda: DomainClassifier(images_x.train, images_y.train)
    )
    return {
        "g": Evaluator(
            images_x,
            images_y,
            extractor,
            lambda images: classifier().logits(images),
            reference,
            paired,
        ),
        "f": Evaluator(
            images_y,
            images_x,
            extractor,
            lambda images: -classifier().logits(images),
            reference,
            paired,
        ),
    }


def choose_strategy(options: OptimizationConfig) -> tf.distribute.Strategy:
    """Return the `tf.distribute` strategy of a configuration.

    Args:
        options: the options of the training.

    Raises:
        InputError: if an option does not work with the strategy, the batch cannot be
            split over the devices, or the workers are not described as they should be.
        WorkerLostError: if the other workers do not come.
    """
    if options.strategy == "single":
        return tf.distribute.get_strategy()
    # Keras accumulates in a branch, where replicas cannot meet, be it only one; XLA
    # compiles for one device.
    for option, wanted in {
        f"--accumulate {options.accumulate}": options.accumulate > 1,
        "--jit-compile": options.jit_compile,
    }.items():
        if wanted:
            raise InputError(
                f"{option} does not work with --strategy {options.strategy}; leave it "
                "out, or use --strategy single."
            )
    if options.strategy == "mirrored":
        strategy = tf.distribute.MirroredStrategy()
    else:
        strategy = connect_workers()
    replicas = strategy.num_replicas_in_sync
    if options.batch_size % replicas:
        raise InputError(
            f"A batch of {options.batch_size} cannot be split over {replicas} devices; "
            f"make --batch-size a multiple of {replicas}."
        )
    return strategy


def _check_pairs(domains: Domains) -> None:
    left_out = domains.test_x.left_out + domains.test_y.left_out
    if left_out:
        raise InputError(
            f"Paired test images must all be readable, but: {left_out[0]} Repair it, "
            "or evaluate without pairs."
        )
    x, y = StillImages(domains.test_x), StillImages(domains.test_y)
    for name, image_x, image_y in zip(domains.test_x.names, x, y):
        if image_x.shape[:2] != image_y.shape[:2]:
            raise InputError(
                f"Paired test images must be of one size, but {name} and its pair have "
                f"{image_x.shape[:2]} and {image_y.shape[:2]} pixels; use a "
                "--preprocess that crops, or evaluate without pairs."
            )


def _load(
    dataset: DatasetConfig, split: str, how: Preprocessing, channels: int
) -> Domain | None:
    sources = find_sources(dataset.data, split, dataset.data_dir)[: dataset.max_images]
    if not sources:
        return None
    cache_bytes = int(dataset.cache_gb * 1e9 / 4)  # an equal part for each split
    domain = Domain(sources, how, channels, cache_bytes)
    if domain.left_out:
        _LOG.warning(
            "%s: %d of %d images cannot be read and are left out.",
            split,
            len(domain.left_out),
            len(sources),
        )
    return domain


@contextlib.contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    """Build layers under a policy; Keras takes it from a global setting."""
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(previous)
