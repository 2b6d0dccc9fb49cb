"""Recipes: complete, and laid over presets."""

import dataclasses
import json
import pathlib

import pytest

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.config.options import DatasetConfig, TrainConfig
from cyclegan_tf.config.presets import PRESETS
from cyclegan_tf.config.recipes import RECIPES, make_train_config
from cyclegan_tf.config.stored import from_dict, to_dict

FOLDER = pathlib.Path("photos")


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
    of_cyclegan = [name for name, recipe in RECIPES.items() if recipe.preset is None]
    assert {weight(recipe, None) for recipe in of_cyclegan} == {5}


def test_mistakes():
    with pytest.raises(InputError, match="no recipe or preset 'lion'.*horse2zebra"):
        make_train_config("lion")
    with pytest.raises(InputError, match="Nothing names the images of own-folders"):
        make_train_config("own-folders")
    with pytest.raises(InputError, match="Nothing names the images of this training"):
        make_train_config(preset="paper")


def test_options_that_json_cannot_hold_are_refused():
    config = make_train_config(data="demo")
    record = dataclasses.replace(config.record, checkpoint_minutes=float("inf"))
    with pytest.raises(InputError, match="`checkpoint_minutes` must be a finite"):
        dataclasses.replace(config, record=record).check()


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ({}, "Nothing names the images"),
        ({"data_x": FOLDER}, "give `data`, or both `data_x` and `data_y`"),
        ({"data": "demo", "data_x": FOLDER}, "names the images of both domains"),
        (
            {"data_x": FOLDER, "data_y": FOLDER, "direction": "BtoA"},
            "leave out `direction=BtoA`",
        ),
    ],
)
def test_images_are_named_in_one_way(dataset, message):
    with pytest.raises(InputError, match=message):
        TrainConfig(DatasetConfig(**dataset)).check()
