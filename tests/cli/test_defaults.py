"""What the flags of train default to: a recipe, a preset, a run."""

import json

from command_line import fails

from cyclegan_tf.cli import main as cli
from cyclegan_tf.config.options import TrainConfig
from cyclegan_tf.config.recipes import make_train_config
from cyclegan_tf.config.stored import from_dict


def dry_run(capsys, *options):
    assert cli.main(["train", *options, "--dry-run"]) == 0
    return from_dict(TrainConfig, json.loads(capsys.readouterr().out))


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
    assert "continues with the options of that run" in fails(capsys, *resume)
    plan = ("plan", "--resume", tmp_path)
    assert "looks ahead at new runs only" in fails(capsys, *plan)
