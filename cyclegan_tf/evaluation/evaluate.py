"""Score a run or a single generator on test images."""

import dataclasses
import functools
import logging
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf._shared.machine import hardware
from cyclegan_tf.config.directions import DIRECTIONS
from cyclegan_tf.config.options import CycleGANObjective, DatasetConfig, TrainConfig
from cyclegan_tf.data.domains import Domains, StillImages, load_domains
from cyclegan_tf.evaluation.domain_classifier import DomainClassifier
from cyclegan_tf.evaluation.evaluator import DomainImages, Evaluator
from cyclegan_tf.evaluation.features import FeatureExtractor, feature_extractor
from cyclegan_tf.evaluation.options import EvaluateConfig
from cyclegan_tf.evaluation.scores import Evaluation
from cyclegan_tf.pretrained.find import StoredGenerator, find_generators
from cyclegan_tf.runs.run import Run
from cyclegan_tf.translation.exported import ExportedTranslator, load_translator
from cyclegan_tf.translation.scaling import ASSUMED_TRAINING_SIZE
from cyclegan_tf.translation.translator import Translator

_LOG = logging.getLogger(__name__)

_Generators: TypeAlias = Mapping[str, StoredGenerator]


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
        generator.direction or "g": generator
        for generator in find_generators(config.source)
    }
    translators = {name: load_translator(each) for name, each in generators.items()}
    run = Run(config.source) if Run.is_run(config.source) else None
    if run and config.image_size:
        raise InputError(
            f"The images of the run {config.source} have its sizes; leave out "
            f"`image_size={config.image_size}`."
        )
    size_multiple = max(translator.size_multiple for translator in translators.values())
    train_config = (
        run.config
        if run
        else _config_of_generators(config, generators, translators, size_multiple)
    )
    train_config = dataclasses.replace(
        train_config, dataset=_dataset(config, train_config.dataset, generators)
    )
    train_config.dataset.check()
    domains = load_domains(train_config, size_multiple)
    evaluators = build_evaluators(domains, extractor, config.reference, config.images)
    _LOG.info("Computing on %s in float32.", hardware())
    directions = {}
    for name, translator in translators.items():
        evaluator = evaluators[name]
        _LOG.info(
            "Translating %d images, the first %s, by %s ...",
            len(evaluator.source.test),
            domains.test[DIRECTIONS[name].source].names[0],
            generators[name].title,
        )
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


def _dataset(
    config: EvaluateConfig, dataset: DatasetConfig, generators: _Generators
) -> DatasetConfig:
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
    dataset = dataclasses.replace(
        dataset, paired_test=dataset.paired_test or config.paired
    )
    both = {
        direction: dataclasses.replace(dataset, direction=direction)
        for direction in ("AtoB", "BtoA")
    }
    if config.direction:
        both[config.direction].check()
        return both[config.direction]
    # The model photo2monet begins with the second domain of the data set monet2photo.
    fitting = [
        each
        for each in both.values()
        if all(
            generator.matches(each.translates(name))
            for name, generator in generators.items()
        )
    ]
    # Domains without names fit both ways.
    return fitting[0] if len(fitting) == 1 else dataset


def _config_of_generators(
    config: EvaluateConfig,
    generators: _Generators,
    translators: Mapping[str, Translator | ExportedTranslator],
    size_multiple: int,
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
    sizes = (generator.training_size for generator in generators.values())
    size = next(filter(None, sizes), ASSUMED_TRAINING_SIZE)
    size = config.image_size or max(1, round(size / size_multiple)) * size_multiple
    dataset = DatasetConfig(
        config.data, config.data_dir, load_size=size, crop_size=size, **channels
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
