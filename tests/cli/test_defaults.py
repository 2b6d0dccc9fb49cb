"""What the flags of train default to: a recipe, a preset, a run."""

import json

import pytest
from command_line import fails

import cyclegan_tf
from cyclegan_tf.cli import main as cli
from cyclegan_tf.config.options import TrainConfig
from cyclegan_tf.config.recipes import make_train_config
from cyclegan_tf.config.stored import from_dict


@pytest.fixture(autouse=True)
def unchecked(monkeypatch):
    """The check of a training builds networks of the full size."""
    monkeypatch.setattr(
        cyclegan_tf, "check_training", lambda config, *_, **__: config, raising=False
    )


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


def test_underscores_in_the_names_of_flags(capsys):
    config = dry_run(capsys, "--data_x", "cats", "--data_y=my_dogs")
    assert config.dataset.domain_names == ("cats", "my_dogs")
    both = ("train", "--data", "demo", "--epochs", "40", "--constant_epochs", "3")
    assert "--epochs 40 sets both" in fails(capsys, *both)


def test_own_folders_need_data(capsys):
    assert "--data" in fails(capsys, "train", "--recipe", "own-folders")
    config = dry_run(capsys, "--recipe", "own-folders", "--data", "cats2dogs")
    assert config == make_train_config("own-folders", data="cats2dogs")


def test_mistakes(tmp_path, capsys):
    assert "--recipe" in fails(capsys, "train", "--recipe")
    resume = ("train", "--resume", tmp_path, "--recipe", "maps")
    assert "continues with the options of that run" in fails(capsys, *resume)
    plan = ("plan", "--resume", tmp_path)
    assert "forecasts new runs only; remove --resume" in fails(capsys, *plan)


def test_epochs_are_halved(capsys):
    """The learning rate is constant in the one half, and falls in the other."""
    for epochs, constant, decay in ((1, 1, 0), (5, 3, 2), (40, 20, 20)):
        options = dry_run(
            capsys, "--data", "demo", "--epochs", str(epochs)
        ).optimization
        assert (options.constant_epochs, options.decay_epochs) == (constant, decay)
    both = ("train", "--data", "demo", "--epochs", "5", "--decay-epochs", "1")
    assert "--epochs 5 sets both --constant-epochs and --decay" in fails(capsys, *both)
    assert "--epochs must be at least 1" in fails(
        capsys, "plan", "--data", "demo", "--epochs", "0"
    )


def test_the_learning_rate_has_a_short_name(capsys):
    for flag in ("--lr", "--learning-rate"):
        config = dry_run(capsys, "--data", "demo", flag, "0.25")
        assert config.optimization.learning_rate == 0.25
