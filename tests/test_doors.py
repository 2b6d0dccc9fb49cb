"""Files of strangers come in through one door for each kind."""

import pathlib

import pytest

import cyclegan_tf

PACKAGE = pathlib.Path(cyclegan_tf.__file__).parent


@pytest.mark.parametrize(
    ("opening", "door"),
    [
        ("PIL.Image.open(", "images/reading.py"),
        ("pyvips.Image.new_from_file(", "translation/tiled/vips.py"),
        ("zipfile.ZipFile(", "_shared/archives.py"),
        ("h5py.File(", "_shared/archives.py"),
        ("torch.load(", "pretrained/pytorch/files.py"),
        ("load_model(", "runs/keras_files.py"),
    ],
)
def test_one_module_opens_them(opening, door):
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for line in path.read_text().splitlines()
        if opening in line and "`" not in line
    }
    assert found == {door}
