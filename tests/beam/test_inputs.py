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
        "photos/.git/annex/a.png",
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


def config_of(given, out="translated", **options):
    return TranslateBeamConfig("g.keras", (str(given),), out=str(out), **options)


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("photos", ["a.png", "b.jpg", "deep/a.PNG"]),
        ("photos/", ["a.png", "b.jpg", "deep/a.PNG"]),
        ("photos/**", ["a.png", "b.jpg", "deep/a.PNG"]),
        ("photos/*", ["a.png", "b.jpg"]),
        ("pho*/a.png", ["photos/a.png"]),
        ("odd*/*", ["odd [1]/a[1].png"]),
        ("photos/[ab].*", ["a.png", "b.jpg"]),
        ("photos/deep/a.PNG", ["a.PNG"]),
        ("odd [1]", ["a[1].png"]),
        ("odd [1]/a[1].png", ["a[1].png"]),
        ("./photos/../photos/b.jpg", ["b.jpg"]),
    ],
)
def test_names(given, names, folder, monkeypatch):
    monkeypatch.chdir(folder)
    config = config_of(given, folder / "photos/out")
    [pattern] = find_patterns(config)
    assert sorted(found.name for found in match(pattern, config)) == names
    assert all(found.path.startswith(f"{folder}/") for found in match(pattern, config))


def test_records(folder):
    for given in ("records", "records/*-of-*"):
        config = config_of(folder / given, input_format="tfrecords")
        [pattern] = find_patterns(config)
        [found] = match(pattern, config)
        assert found.name == "x.tfrecord-00000-of-00001"


def test_what_a_folder_leaves_out_is_named(folder, caplog):
    (folder / "photos/absent.png").symlink_to(folder / "nowhere")
    (folder / "photos/linked").symlink_to(folder / "odd [1]")
    (folder / "photos/round").symlink_to(folder / "photos")
    config = config_of(folder / "photos", folder / "photos/out")
    [pattern] = find_patterns(config)
    assert f"{folder}/photos, without an image suffix: 1 (c.txt)" in caplog.text
    assert "links without a target" in caplog.text and ": 1 (absent.png)" in caplog.text
    assert sorted(found.name for found in match(pattern, config)) == [
        *("a.png", "b.jpg", "deep/a.PNG", "linked/a[1].png")
    ]


def test_what_a_pattern_leaves_out_is_named(folder, caplog):
    """Links without a target become dead letters."""
    (folder / "photos/absent.png").symlink_to(folder / "nowhere")
    (folder / "photos/linked").symlink_to(folder / "odd [1]")
    config = config_of(folder / "photos/*")
    [pattern] = find_patterns(config)
    assert sorted(found.name for found in match(pattern, config)) == [
        *("a.png", "absent.png", "b.jpg")
    ]
    assert "photos/*, without an image suffix: 1, such as c.txt" in caplog.text


@pytest.mark.parametrize(
    ("given", "input_format", "message"),
    [
        ("empty", "images", "no images in .*/empty; name other"),
        ("photos/.git", "tfrecords", "no TFRecord files in .*/photos/.git;"),
        ("photos/*.txt", "images", r"no images in .*/photos/\*.txt;"),
        ("photos/out", "images", "no images in .*/photos/out;"),
        ("photos/[z-a]*", "images", r"\[z-a\]\* is not a valid pattern"),
    ],
)
def test_nothing_to_translate(given, input_format, message, folder):
    (folder / "empty").mkdir()
    config = config_of(folder / given, folder / "photos/out", input_format=input_format)
    with pytest.raises(InputError, match=message):
        find_patterns(config)
