"""Score a run, or a generator from elsewhere, on test images."""

import dataclasses
import functools
import logging
import pathlib
from typing import Any, Literal

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.config.options import (
    DatasetConfig,
    ObjectiveConfig,
    TrainConfig,
)
from cyclegan_tf.data.domains import Domains, StillImages, load_domains
from cyclegan_tf.evaluation.domain_classifier import DomainClassifier
from cyclegan_tf.evaluation.evaluator import DomainImages, Evaluator
from cyclegan_tf.evaluation.features import FeatureExtractor, feature_extractor
from cyclegan_tf.evaluation.options import EvaluateConfig
from cyclegan_tf.evaluation.scores import Evaluation
from cyclegan_tf.pretrained.keras3 import check_image_channels
from cyclegan_tf.runs.run import Run
from cyclegan_tf.translation.translator import Translator

_LOG = logging.getLogger(__name__)


def evaluate(config: EvaluateConfig) -> Evaluation:
    """Score the translations of test images.

    Args:
        config: what to score, on which images and how.

    Returns:
        The scores of both directions of a run, or of the one of a generator's file.
        They are written to `out`, of a run to `evaluation.json` if not given.

    Raises:
        InputError: if there is no such run or generator, or the images do not do.
    """
    config.check()
    extractor = feature_extractor(config.features, config.features_weights)
    if config.source.is_dir():
        run = Run(config.source)
        translators = {
            direction: Translator(run.trained_generator(direction))
            for direction in ("g", "f")
        }
        train_config, step = run.config, run.step
        out: pathlib.Path | None = config.out or run.evaluation
    else:
        translators = {config.direction: Translator(config.source)}
        train_config, step = (
            _config_of_file(config, translators[config.direction]),
            None,
        )
        out = config.out
    train_config = dataclasses.replace(
        train_config, dataset=_dataset(config, train_config.dataset)
    )
    size_multiple = max(translator.size_multiple for translator in translators.values())
    evaluators = build_evaluators(
        train_config.dataset,
        load_domains(train_config, size_multiple),
        extractor,
        config.reference,
        config.images,
    )
    directions = {}
    for direction, translator in translators.items():
        _LOG.info(
            "Translating %d images by %s ...",
            len(evaluators[direction].source.test),
            direction,
        )
        back = translators.get({"g": "f", "f": "g"}[direction])
        directions[direction] = tuple(evaluators[direction](translator, back))
    evaluation = Evaluation(
        str(config.source), step, train_config.dataset.data, directions
    )
    if out is not None:
        evaluation.write(out)
    return evaluation


def _dataset(config: EvaluateConfig, dataset: DatasetConfig) -> DatasetConfig:
    """The images of a run, or others that are prepared alike."""
    if config.data is not None:
        dataset = dataclasses.replace(
            dataset, data=config.data, data_dir=None, paired_test=False
        )
    if config.data_dir is not None:
        dataset = dataclasses.replace(dataset, data_dir=config.data_dir)
    return dataclasses.replace(
        dataset, paired_test=dataset.paired_test or config.paired
    )


def _config_of_file(config: EvaluateConfig, translator: Translator) -> TrainConfig:
    if config.data is None:
        raise InputError(
            f"{config.source} is a generator without data; name the images to score it "
            "on with --data."
        )
    check_image_channels(translator.generator, config.source)
    channels: Any = (translator.channels, translator.generator.output_shape[-1])
    channels_x, channels_y = channels if config.direction == "g" else channels[::-1]
    dataset = DatasetConfig(
        config.data,
        config.data_dir,
        load_size=config.image_size,
        crop_size=config.image_size,
        channels_x=channels_x,
        channels_y=channels_y,
    )
    # No training, so no pool that asks for images of one size.
    return TrainConfig(dataset, objective=ObjectiveConfig(pool_size=0))


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
