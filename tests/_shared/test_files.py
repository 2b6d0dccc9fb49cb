"""Names of files."""

import pytest

from cyclegan_tf._shared.files import relative_name


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/data/trainA/1.png", "trainA/1.png"),
        ("/other/1.png", "/other/1.png"),
        ("train-00001.png", "train-00001.png"),
    ],
)
def test_names_relative_to_a_data_set(path, name):
    assert relative_name(path, "/data") == name
