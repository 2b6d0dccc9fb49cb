"""Score a run or a single generator on test images."""

import dataclasses
import functools
import logging
from collections.abc import Mapping
from typing import Any, Literal

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.config.directions import DIRECTIONS
from cyclegan_tf.config.options import (
    CycleGANObjective,
    DatasetConfig,
    TrainConfig,
)
from cyclegan_tf.data.domains import Domains, StillImages, load_domains
from cyclegan_tf.evaluation.domain_classifier import DomainClassifier
from cyclegan_tf.evaluation.evaluator import DomainImages, Evaluator
from cyclegan_tf.evaluation.features import FeatureExtractor, feature_extractor
from cyclegan_tf.evaluation.options import EvaluateConfig
from cyclegan_tf.evaluation.scores import Evaluation
from cyclegan_tf.pretrained.find import find_generators
from cyclegan_tf.runs.run import Run
from cyclegan_tf.translation.exported import ExportedTranslator, load_translator
from cyclegan_tf.translation.translator import Translator

_LOG = logging.getLogger(__name__)


def evaluate(config: EvaluateConfig) -> Evaluation:
    """Score the translations of test images.

    Returns:
        The scores of each direction. They are also written to `out`, by default a run's
        `evaluation.json`.

    Raises:
        InputError: if there is no such run or generator, or the images cannot be used.
    """
    config.check()
    extractor = feature_extractor(config.features, config.features_weights)
    generators = {
        generator.direction or config.direction: generator
        for generator in find_generators(config.source)
    }
    translators = {name: load_translator(each) for name, each in generators.items()}
    run = Run(config.source) if Run.is_run(config.source) else None
    train_config = run.config if run else _config_of_generators(config, translators)
    train_config = dataclasses.replace(
        train_config, dataset=_dataset(config, train_config.dataset)
    )
    size_multiple = max(translator.size_multiple for translator in translators.values())
    evaluators = build_evaluators(
        load_domains(train_config, size_multiple),
        extractor,
        config.reference,
        config.images,
    )
    directions = {}
    for name, translator in translators.items():
        evaluator = evaluators[name]
        _LOG.info("Translating %d images by %s ...", len(evaluator.source.test), name)
        back = translators.get(DIRECTIONS[name].back)
        directions[name] = tuple(evaluator(translator, back))
    evaluation = Evaluation(
        str(config.source),
        run.step if run else None,
        train_config.dataset.name,
        directions,
        {name: generator.translates for name, generator in generators.items()},
    )
    out = config.out or (run.evaluation if run else None)
    if out is not None:
        evaluation.write(out)
    return evaluation


def _dataset(config: EvaluateConfig, dataset: DatasetConfig) -> DatasetConfig:
    """Return the images of a run, or other images with the same preprocessing."""
    if config.data is not None:
        dataset = dataclasses.replace(
            dataset,
            data=config.data,
            data_x=None,
            data_y=None,
            data_dir=None,
            paired_test=False,
        )
    if config.data_dir is not None:
        dataset = dataclasses.replace(dataset, data_dir=config.data_dir)
    return dataclasses.replace(
        dataset, paired_test=dataset.paired_test or config.paired
    )


def _config_of_generators(
    config: EvaluateConfig, translators: Mapping[str, Translator | ExportedTranslator]
) -> TrainConfig:
    """Return the options that read the images for generators without a run."""
    if config.data is None:
        raise InputError(
            f"{config.source} is a generator without images; name the images to score "
            "it on by `data`."
        )
    channels: dict[str, Any] = {}
    for name, translator in translators.items():
        direction = DIRECTIONS[name]
        channels[f"channels_{direction.source}"] = translator.channels
        channels[f"channels_{direction.target}"] = translator.output_channels
    dataset = DatasetConfig(
        config.data,
        config.data_dir,
        load_size=config.image_size,
        crop_size=config.image_size,
        **channels,
    )
    # Without a training, no image pool requires images of one size.
    return TrainConfig(dataset, objective=CycleGANObjective(pool_size=0))


def build_evaluators(
    domains: Domains,
    extractor: FeatureExtractor,
    reference: Literal["train", "test"] = "train",
    max_images: int | None = None,
) -> dict[str, Evaluator]:
    """Build an evaluator for each direction on the images of a run.

    Args:
        domains: the images.
        extractor: features for comparing distributions.
        reference: compare with the `"train"` or `"test"` images of the target domain.
        max_images: int. Use at most so many test images of each domain.

    Returns:
        The evaluator of each direction.

    Raises:
        InputError: if there are too few images.
    """
    for domain in domains.test.values():
        domain.verify()
    images = {
        name: DomainImages(
            StillImages(domains.train[name]),
            StillImages(domains.test[name], max_images),
        )
        for name in domains.train
    }
    # Trained at the first call, once for both directions; positive for images of Y.
    classifier = functools.cache(
        lambda: DomainClassifier(images["x"].train, images["y"].train)
    )
    logits = {
        "y": lambda translated: classifier().logits(translated),
        "x": lambda translated: -classifier().logits(translated),
    }
    return {
        name: Evaluator(
            images[direction.source],
            images[direction.target],
            extractor,
            logits[direction.target],
            reference,
            domains.paired_test,
        )
        for name, direction in DIRECTIONS.items()
    }
