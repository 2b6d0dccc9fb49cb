"""Presets: true to their sources."""

import dataclasses

import pytest

from cyclegan_tf.config.options import DatasetConfig, TrainConfig
from cyclegan_tf.config.presets import PRESETS, differences
from cyclegan_tf.config.recipes import make_train_config


def test_the_defaults_are_those_of_the_pytorch_code():
    default = TrainConfig(DatasetConfig("demo"))
    assert PRESETS["pytorch-2024"].lay_over(default) == default
    optimization, objective = default.optimization, default.objective
    assert (optimization.constant_epochs, optimization.decay_epochs) == (100, 100)
    assert (optimization.learning_rate, optimization.batch_size) == (2e-4, 1)
    assert (optimization.beta_1, optimization.beta_2) == (0.5, 0.999)
    assert (objective.cycle_weight, objective.identity_weight) == (10, 5)
    assert (objective.adversarial_loss, objective.pool_size) == ("lsgan", 50)
    networks, dataset = default.networks, default.dataset
    assert (networks.generator, networks.num_residual_blocks) == ("resnet", 9)
    assert (networks.filters, networks.discriminator_filters) == (64, 64)
    assert (networks.discriminator, networks.num_layers) == ("patchgan", 3)
    assert (networks.norm, networks.norm_epsilon) == ("instance", 1e-5)
    assert (dataset.load_size, dataset.crop_size, dataset.flip) == (286, 256, True)


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        ("paper", {"norm": "instance_affine", "identity_weight": 0.0}),
        ("pytorch-2024", {}),
        (
            "tf-tutorial",
            {
                "generator": "unet",
                "dropout": 0.5,
                "norm": "instance_affine",
                "adversarial_loss": "bce",
                "pool_size": 0,
                "constant_epochs": 10,
                "decay_epochs": 0,
                "epsilon": 1e-7,
            },
        ),
        (
            "keras-example",
            {
                "norm": "instance_affine",
                "norm_epsilon": 1e-3,
                "padding": "same",
                "pool_size": 0,
                "constant_epochs": 90,
                "decay_epochs": 0,
                "epsilon": 1e-7,
            },
        ),
    ],
)
def test_what_a_preset_changes(preset, expected):
    default = make_train_config(data="demo")
    changed = differences(make_train_config(preset=preset, data="demo"), default)
    assert changed == expected


@pytest.mark.parametrize(
    ("preset", "generator", "discriminator"),
    [
        ("pytorch-2024", 11_378_179, 2_764_737),
        # 1,024 less than in the tutorial, which normalizes the bottleneck, and 64
        # more: its first convolution of a discriminator has no bias.
        ("tf-tutorial", 54_414_979 - 1024, 2_765_569 + 64),
        ("keras-example", 11_383_427, 2_765_633),
    ],
)
def test_networks_are_as_large_as_in_the_original(preset, generator, discriminator):
    from cyclegan_tf.training.building import (
        discriminator_architecture,
        generator_architecture,
    )

    options = PRESETS[preset].networks
    built = generator_architecture(options, 3, 3).outline()
    judge = discriminator_architecture(options, 3).outline()
    assert (built.count_params(), judge.count_params()) == (generator, discriminator)


def test_a_difference_of_every_option_is_seen():
    default = make_train_config(data="demo")
    longer = dataclasses.replace(
        default,
        optimization=dataclasses.replace(default.optimization, seed=3),
        record=dataclasses.replace(default.record, sample_images=9),
    )
    assert differences(longer, default) == {"seed": 3, "sample_images": 9}
