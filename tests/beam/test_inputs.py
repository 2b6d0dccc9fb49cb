"""Input files of `translate-beam` and their names."""

import pytest

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.beam.inputs import find_patterns, match
from cyclegan_tf.beam.options import TranslateBeamConfig


@pytest.fixture
def folder(tmp_path):
    for name in (
        "photos/a.png",
        "photos/b.jpg",
        "photos/c.txt",
        "photos/.hidden.png",
        "photos/deep/a.PNG",
        "photos/out/a.png",
        "photos/old/.job/a.png",
        "odd [1]/a[1].png",
        "records/x.tfrecord-00000-of-00001",
        "records/manifest.jsonl",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("photos", ["a.png", "b.jpg", "deep/a.PNG"]),
        ("photos/", ["a.png", "b.jpg", "deep/a.PNG"]),
        ("photos/**", ["a.png", "b.jpg", "deep/a.PNG"]),
        ("photos/*", ["a.png", "b.jpg"]),
        ("pho*/a.png", ["photos/a.png"]),
        ("photos/[ab].*", ["a.png", "b.jpg"]),
        ("photos/deep/a.PNG", ["a.PNG"]),
        ("odd [1]", ["a[1].png"]),
        ("odd [1]/a[1].png", ["a[1].png"]),
        ("./photos/../photos/b.jpg", ["b.jpg"]),
    ],
)
def test_names(given, names, folder, monkeypatch):
    monkeypatch.chdir(folder)
    [pattern] = find_patterns([given], "images")
    config = TranslateBeamConfig("g.keras", (given,), out=str(folder / "photos/out"))
    assert sorted(found.name for found in match(pattern, config)) == names
    assert all(found.path.startswith(f"{folder}/") for found in match(pattern, config))


def test_records(folder):
    config = TranslateBeamConfig("g.keras", (), input_format="tfrecords")
    for given in ("records", "records/*-of-*"):
        [pattern] = find_patterns([str(folder / given)], "tfrecords")
        [found] = match(pattern, config)
        assert found.name == "x.tfrecord-00000-of-00001"


def test_an_empty_folder(folder):
    (folder / "empty").mkdir()
    with pytest.raises(InputError, match="empty has no image suffix"):
        find_patterns([str(folder / "empty")], "images")
