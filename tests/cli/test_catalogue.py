"""The recipes and presets as text."""

import pytest
from command_line import fails

from cyclegan_tf.cli import main as cli
from cyclegan_tf.config.presets import PRESETS
from cyclegan_tf.config.recipes import RECIPES


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


def test_the_list(capsys):
    assert cli.main(["recipes"]) == 0
    text = capsys.readouterr().out
    for name, recipe in RECIPES.items():
        assert f"  {name} " in text and recipe.domain_x in text
    for name, preset in PRESETS.items():
        assert f"  {name} " in text and preset.title in text


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("horse2zebra", "tfds:cycle_gan/horse2zebra"),
        ("horse2zebra", "an estimate: 1 to 2 days"),
        ("horse2zebra", "FID 62.111 X to Y and 138.646 Y to X, with identity weight 5"),
        ("own-folders", "cyclegan train --recipe own-folders --data FOLDER"),
        ("paper", "--norm instance_affine, --identity-weight 0.0"),
        ("pytorch-2024", "differ from the defaults: none"),
    ],
)
def test_descriptions(name, expected, capsys):
    assert cli.main(["recipes", name]) == 0
    printed = capsys.readouterr()
    assert expected in printed.out + printed.err


def test_unknown_name(capsys):
    assert "There is no recipe or preset 'lion'; choose one of horse2zebra, " in fails(
        capsys, "recipes", "lion"
    )
    message = fails(capsys, "recipes", "monet2foto")
    assert message.endswith("did you mean monet2photo?")
