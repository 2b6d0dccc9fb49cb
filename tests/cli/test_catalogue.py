"""The recipes and presets as text."""

import pytest
from command_line import fails

from cyclegan_tf.cli import main as cli
from cyclegan_tf.config.presets import PRESETS
from cyclegan_tf.config.recipes import RECIPES


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
        ("horse2zebra", "Training images: 1,067 of X, 1,334 of Y"),
        ("horse2zebra", "FID 62.111 X to Y and 138.646 Y to X, with identity weight 5"),
        ("own-folders", "cyclegan train --recipe own-folders --data FOLDER"),
        ("paper", "--norm instance_affine, --identity-weight 0.0"),
        ("pytorch-2024", "differ from the defaults: none"),
        ("pix2pix", "--method pix2pix, --adversarial-loss bce, --l1-weight 100.0"),
        ("cut", "--method cut, --nce-weight 1.0, --nce-identity, "),
        ("fastcut", "--nce-weight 10.0, --no-nce-identity, "),
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
