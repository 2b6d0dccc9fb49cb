"""Recipes and presets: they are complete, true to their sources, and overridden."""

import dataclasses
import json
import pathlib
import typing

import pytest
from command_line import fails

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.cli import catalogue
from cyclegan_tf.cli import main as cli
from cyclegan_tf.config.options import DatasetConfig, TrainConfig
from cyclegan_tf.config.presets import PRESETS, PresetName, differences
from cyclegan_tf.config.published import PUBLISHED
from cyclegan_tf.config.recipes import RECIPES, RecipeName, make_train_config
from cyclegan_tf.config.stored import from_dict, to_dict


def dry_run(capsys, *options):
    assert cli.main(["train", *options, "--dry-run"]) == 0
    return from_dict(TrainConfig, json.loads(capsys.readouterr().out))


def test_the_command_line_knows_every_name():
    assert typing.get_args(RecipeName) == tuple(RECIPES)
    assert typing.get_args(PresetName) == tuple(PRESETS)
    assert PUBLISHED.keys() <= RECIPES.keys()


@pytest.mark.parametrize("preset", [None, *PRESETS])
@pytest.mark.parametrize("recipe", RECIPES)
def test_every_combination_is_a_configuration(recipe, preset):
    config = make_train_config(recipe, preset, data="demo")
    config.check()
    assert from_dict(TrainConfig, json.loads(json.dumps(to_dict(config)))) == config


def test_recipes_and_tensorflow_datasets_name_the_same_data():
    import tensorflow_datasets as tfds

    configs = tfds.builder_cls("cycle_gan").builder_configs
    named = {recipe.data for recipe in RECIPES.values()} - {None}
    assert named == {f"tfds:cycle_gan/{config}" for config in configs}


def test_an_identity_weight_of_the_recipe_outlives_the_preset():
    """The paper adds the identity loss for paintings and flowers only."""

    def weight(recipe, preset):
        return make_train_config(recipe, preset, "demo").objective.identity_weight

    assert weight("horse2zebra", "paper") == 0
    assert weight("monet2photo", "paper") == 5
    assert weight("iphone2dslr", "paper") == 5
    assert {weight(recipe, None) for recipe in RECIPES} == {5}


def test_estimates_are_in_proportion_to_the_steps():
    assert RECIPES["horse2zebra"].estimated_days == (1, 2)
    shortest, longest = RECIPES["monet2photo"].estimated_days
    assert shortest == pytest.approx(6287 / 1334)
    assert longest == pytest.approx(2 * 6287 / 1334)
    assert RECIPES["own-folders"].estimated_days is None


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
    changed = differences(default, make_train_config(preset=preset, data="demo"))
    assert {item.option: item.second for item in changed} == expected
    assert all(item.matters for item in changed)


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


def test_a_recipe_makes_data_unnecessary(capsys):
    config = dry_run(capsys, "--recipe", "horse2zebra")
    assert config == make_train_config("horse2zebra")
    assert config.dataset.data == "tfds:cycle_gan/horse2zebra"


def test_flags_replace_recipe_and_preset(capsys):
    options = ("--recipe=monet2photo", "--preset", "tf-tutorial")
    config = dry_run(capsys, *options)
    assert config == make_train_config("monet2photo", "tf-tutorial")
    given = ("--identity-weight", "1", "--pool-size=7", "--data", "demo", "--no-flip")
    changed = dry_run(capsys, *given, *options)
    assert (changed.objective.identity_weight, changed.objective.pool_size) == (1, 7)
    assert (changed.dataset.data, changed.dataset.flip) == ("demo", False)
    assert changed.networks == config.networks


def test_own_folders_need_data(capsys):
    assert "--data" in fails(capsys, "train", "--recipe", "own-folders")
    config = dry_run(capsys, "--recipe", "own-folders", "--data", "cats2dogs")
    assert config == make_train_config("own-folders", data="cats2dogs")


def test_mistakes(tmp_path, capsys):
    assert "invalid choice 'lion2zebra'" in fails(
        capsys, "train", "--data", "demo", "--recipe", "lion2zebra"
    )
    assert "--recipe" in fails(capsys, "train", "--recipe")
    resume = ("train", "--resume", tmp_path, "--recipe", "maps")
    assert "goes on with the options of that run" in fails(capsys, *resume)
    assert "There is no recipe or preset 'lion'" in fails(capsys, "recipes", "lion")
    with pytest.raises(InputError, match="no recipe or preset 'lion'.*horse2zebra"):
        make_train_config("lion")
    with pytest.raises(InputError, match="Nothing names the images of own-folders"):
        make_train_config("own-folders")
    with pytest.raises(InputError, match="Nothing names the images of this training"):
        make_train_config(preset="paper")


def test_explain(capsys):
    assert cli.main(["train", "--preset", "paper", "--explain", "tf-tutorial"]) == 0
    text = capsys.readouterr().out
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    assert rows[0] == ["option", "paper", "tf-tutorial", "why it matters"]
    values = {row[0]: row[1:3] for row in rows[2:]}
    assert values["--generator"] == ["resnet", "unet"]
    assert values["--identity-weight"] == ["0.0", "5.0"]
    assert "--learning-rate" not in values and "--data" not in values
    for preset in ("paper", "tf-tutorial"):
        for sentence in PRESETS[preset].differs:
            assert sentence in text


def test_explain_takes_recipe_and_flags_into_account(capsys):
    options = ["--recipe", "monet2photo", "--preset", "paper", "--pool-size", "7"]
    assert cli.main(["train", *options, "--explain", "paper"]) == 0
    text = capsys.readouterr().out
    assert "| --pool-size | 7     | 50    |" in text
    assert "| option      | yours | paper |" in text
    # Of the recipe on both sides.
    assert "--identity-weight" not in text
    assert (
        cli.main(["train", "--preset", "pytorch-2024", "--explain", "pytorch-2024"])
        == 0
    )
    assert "All options are those of pytorch-2024" in capsys.readouterr().out


def test_the_list_and_each_description(capsys):
    assert cli.main(["recipes"]) == 0
    text = capsys.readouterr().out
    for name, item in {**RECIPES, **PRESETS}.items():
        assert f"  {name} " in text and item.title in text
    assert cli.main(["recipes", "horse2zebra"]) == 0
    text = capsys.readouterr().out
    assert "tfds:cycle_gan/horse2zebra" in text and "an estimate: 1 to 2 days" in text
    assert "FID 62.111, X to Y, identity weight 5 (MMEditing" in text


def test_the_documentation_is_what_the_command_prints():
    path = pathlib.Path(__file__).parents[2] / "docs/recipes.md"
    assert path.read_text() == catalogue.to_markdown(), (
        f"Write it anew: cyclegan recipes --markdown > {path}"
    )


def test_a_difference_of_every_option_is_seen():
    default = make_train_config(data="demo")
    longer = dataclasses.replace(
        default,
        optimization=dataclasses.replace(default.optimization, seed=3),
        record=dataclasses.replace(default.record, sample_images=9),
    )
    found = differences(default, longer)
    assert [(item.option, item.first, item.second) for item in found] == [
        ("seed", 0, 3),
        ("sample_images", 4, 9),
    ]
