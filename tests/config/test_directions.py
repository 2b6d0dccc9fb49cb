"""The names of the domains, which the images give."""

import pathlib

import pytest

from cyclegan_tf.config.directions import DIRECTIONS
from cyclegan_tf.config.options import DatasetConfig


@pytest.mark.parametrize(
    ("data", "names"),
    [
        ("tfds:cycle_gan/horse2zebra", ("horse", "zebra")),
        ("data/monet2photo_small", ("monet", "photo")),
        ("summer2winter_yosemite/", ("summer", "winter")),
        ("demo", ("plain", "striped")),
        ("data/maps", ("X", "Y")),
        ("photos2023", ("X", "Y")),
        ("v2", ("X", "Y")),
    ],
)
def test_the_data_set_names_the_domains(data, names):
    assert DatasetConfig(data).domain_names == names


def test_domains_change_places():
    names = DatasetConfig("horse2zebra", direction="BtoA").domain_names
    assert names == ("zebra", "horse")
    g, f = DIRECTIONS["g"], DIRECTIONS["f"]
    assert g.title(g.translates(names)) == "G: zebra to horse"
    assert f.title(f.translates(names)) == "F: horse to zebra"
    assert f.headings(names) == ["y: horse", "F(y)", "G(F(y))"]
    assert g.title() == "G: X to Y" and g.headings(("X", "Y"))[0] == "x"


def test_folders_name_the_domains(monkeypatch, tmp_path):
    (tmp_path / "dogs").mkdir()
    monkeypatch.chdir(tmp_path / "dogs")
    dataset = DatasetConfig(data_x=pathlib.Path("."), data_y=pathlib.Path("../cats"))
    assert dataset.domain_names == ("dogs", "cats")
