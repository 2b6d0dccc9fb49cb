"""Our side of the benchmarks: what `cyclegan train` and `cyclegan translate` run."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf
from measuring import random_images

from cyclegan_tf.config.options import (
    DatasetConfig,
    NetworkConfig,
    OptimizationConfig,
    TrainConfig,
)
from cyclegan_tf.config.presets import PRESETS, PresetName
from cyclegan_tf.data.batches import training_batches
from cyclegan_tf.data.domains import load_domains
from cyclegan_tf.images import denormalize
from cyclegan_tf.models.adversarial import AdversarialModel
from cyclegan_tf.models.choices import GeneratorKind
from cyclegan_tf.models.networks.generators import resnet_generator
from cyclegan_tf.models.networks.graph import size_multiple
from cyclegan_tf.training.building import build_model, compile_model
from cyclegan_tf.translation.translator import Translator


def training(
    size: int, precision: str, **compile_options: Any
) -> Callable[[], dict[str, float]]:
    """Prepare the training step that `fit` runs, of the default options.

    Args:
        size: pixels a side.
        precision: `"float32"` or `"mixed_bfloat16"`.
        **compile_options: for `CycleGAN.compile`, where they differ from the default.

    Returns:
        The step; it returns the losses.
    """
    _, step = tensor_step("resnet", size, precision, **compile_options)
    return lambda: {name: float(value) for name, value in step().items()}


def tensor_step(
    generator: GeneratorKind,
    size: int,
    precision: str,
    batch_size: int = 1,
    **compile_options: Any,
) -> tuple[AdversarialModel, Callable[[], dict[str, tf.Tensor]]]:
    """Prepare a training step that does not wait for the device.

    Args:
        generator: architecture of the generators.
        size: pixels a side.
        precision: a Keras dtype policy.
        batch_size: images of each domain.
        **compile_options: for `CycleGAN.compile`, where they differ from the default.

    Returns:
        The model and its step, which returns the losses as tensors.
    """
    config = _config("demo", size, precision, generator)
    model = _model(config)
    if compile_options:
        model.compile(
            model.generator_optimizer, model.discriminator_optimizer, **compile_options
        )
    return model, _step(model, size, batch_size)


def _step(
    model: AdversarialModel, size: int, batch_size: int = 1
) -> Callable[[], dict[str, tf.Tensor]]:
    images = random_images(size, batch_size)
    model.build_for(*(batch.shape for batch in images))
    batches = iter(tf.data.Dataset.from_tensors(images).repeat())
    model.make_train_function()
    return lambda: model.train_function(batches)


def preset_training(
    preset: PresetName, size: int, precision: str, ema: float = 0.0
) -> Callable[[], dict[str, float]]:
    """Prepare the training step of a preset; the U-Net of pix2pix fits 128x128, too."""
    config = PRESETS[preset].lay_over(_config("demo", size, precision))
    levels = min(config.networks.num_levels, size.bit_length() - 1)
    config = dataclasses.replace(
        config,
        networks=dataclasses.replace(config.networks, num_levels=levels),
        optimization=OptimizationConfig(precision=precision, ema=ema),
    )
    step = _step(_model(config), size)
    return lambda: {name: float(value) for name, value in step().items()}


def training_on_files(
    folder: str, size: int, precision: str
) -> Callable[[int], dict[str, float]]:
    """Prepare training steps on a folder of images.

    Args:
        folder: with trainA and trainB.
        size: pixels a side, of the crop.
        precision: as for `training`.

    Returns:
        A function of a number of steps; it returns the seconds of waiting for images,
        and those of training.
    """
    config = _config(folder, size, precision)
    model = _model(config)
    domains = load_domains(config, size_multiple(model.generators["g"]))
    model.build_for(
        (None, *domains.train["x"].image_shape), (None, *domains.train["y"].image_shape)
    )
    batches: Iterator[Any] = iter(
        training_batches(domains.train["x"], domains.train["y"])
    )

    def steps(count: int) -> dict[str, float]:
        waiting = training = 0.0
        for _ in range(count):
            start = time.perf_counter()
            batch = next(batches)
            ready = time.perf_counter()
            model.train_on_batch(*batch)
            waiting += ready - start
            training += time.perf_counter() - ready
        return {"waiting": waiting, "training": training}

    return steps


def translation(size: int) -> Callable[[], None]:
    """Prepare the translation of one image by the default generator."""
    translate = Translator(resnet_generator())
    image = denormalize(random_images(size)[0][0])

    def run() -> None:
        translate(image)

    return run


def _config(
    data: str, size: int, precision: Any, generator: GeneratorKind = "resnet"
) -> TrainConfig:
    return TrainConfig(
        DatasetConfig(data, load_size=round(size * 286 / 256), crop_size=size),
        NetworkConfig(generator),
        optimization=OptimizationConfig(precision=precision),
    )


def _model(config: TrainConfig) -> AdversarialModel:
    keras.utils.set_random_seed(config.optimization.seed)
    model = build_model(config)
    compile_model(model, config)
    return model
