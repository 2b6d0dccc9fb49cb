"""Photographs at the scale of the training: what a size means, on every way."""

import csv
import logging

import numpy as np
import PIL.Image
import pytest
import tiny

import cyclegan_tf
from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.cli import main as cli
from cyclegan_tf.config.options import DatasetConfig
from cyclegan_tf.images import read_image, resize_image, write_image
from cyclegan_tf.translation.options import TranslateConfig
from cyclegan_tf.translation.scaling import SizeLimit
from cyclegan_tf.translation.tiled.translator import TiledTranslator
from cyclegan_tf.translation.translate import translate
from cyclegan_tf.translation.translator import Translator


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """A run that was trained on crops of 16 pixels."""
    return tiny.untrained_run(tmp_path_factory.mktemp("run") / "run", load_size=16)


@pytest.fixture
def photos(tmp_path):
    """A lying photo of 90x70 pixels that stands 70x90, a gray and a small one."""
    random = np.random.default_rng(0)
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    photo = PIL.Image.fromarray(random.integers(0, 256, (70, 90, 3), dtype=np.uint8))
    (tmp_path / "in").mkdir()
    photo.save(tmp_path / "in/exif.png", exif=exif)
    write_image(tmp_path / "in/gray.png", *tiny.noise(1, 41, channels=1))
    write_image(tmp_path / "in/small.png", *tiny.noise(1, 32))
    return tmp_path / "in"


def test_what_a_size_means():
    assert SizeLimit.of("trained", 128).side == 256
    assert "twice the 128 of the training" in SizeLimit.of("trained", 128).describe(2)
    assert SizeLimit.of("trained", None).side == 512
    assert "256, which is assumed" in SizeLimit.of("trained", None).describe(1)
    assert SizeLimit.of("full", 128).side is None
    assert SizeLimit.of(300, 128).side == 300
    with pytest.raises(InputError, match="`size` must be at least 1, not 0"):
        SizeLimit.of(0, 128)
    with pytest.raises(InputError, match="'trained' or 'full', not 'huge'"):
        SizeLimit.of("huge", 128)


@pytest.mark.parametrize(
    ("preprocess", "size"),
    [("resize_and_crop", 286), ("crop", None), ("scale_width", 286), ("none", None)],
)
def test_the_training_size_of_a_run(preprocess, size):
    config = DatasetConfig("demo", preprocess=preprocess, crop_size=16)
    assert config.training_size == size


def test_large_photos_are_scaled_and_small_ones_are_not(
    run_dir, photos, tmp_path, caplog
):
    config = TranslateConfig(run_dir.folder, (photos,), tmp_path / "out")
    with caplog.at_level(logging.INFO):
        translate(config)
    assert (
        "Scaled 2 images down to a shorter side of 32 pixels, twice the 16 of the "
        "training images; `size=full` keeps the size." in caplog.messages
    )
    with (tmp_path / "out/manifest.csv").open() as file:
        rows = [
            [row["width"], row["height"], row["scaled_from"], row["size"]]
            for row in csv.DictReader(file)
        ]
    assert rows == [
        ["32", "41", "70x90", "32"],
        ["32", "32", "41x41", "32"],
        ["32", "32", "", "32"],
    ]
    exact = Translator(run_dir.generator_path("g"), size="full")
    for name, size in {"exif": (41, 32), "gray": (32, 32), "small": (32, 32)}.items():
        photo = resize_image(read_image(photos / f"{name}.png"), *size)
        written = read_image(tmp_path / f"out/{name}.png")
        np.testing.assert_array_equal(written, exact(photo))


def test_the_size_belongs_to_the_job(run_dir, photos, tmp_path):
    def command(*options):
        paths = (run_dir.folder, photos, "--out", tmp_path / "out")
        return cli.main(["translate", *map(str, (*paths, *options))])

    assert command() == 0
    before = read_image(tmp_path / "out/exif.png")
    assert command() == 0
    assert command("--size", "full") == 2
    assert (read_image(tmp_path / "out/exif.png") == before).all()
    assert command("--size", "full", "--overwrite") == 0
    assert read_image(tmp_path / "out/exif.png").shape == (90, 70, 3)
    assert command("--size", "0") == command("--size", "huge") == 2


def test_in_tiles(run_dir, photos, tmp_path):
    """By libvips, which scales nearly as Pillow, to one tile and to several."""
    y, x, c = np.ogrid[:300, :200, :3]
    waves = np.sin(y / 40 + c) + np.cos(x / 30 - c)
    write_image(photos / "wave.png", np.round(63 * waves + 127).astype(np.uint8))
    for size in (24, 50):
        outs = [tmp_path / f"{size}", tmp_path / f"{size}_tiled"]
        for out, tile in zip(outs, (None, 32)):
            config = TranslateConfig(
                run_dir.folder, (photos,), out, size=size, tile=tile
            )
            rows = {row.input.stem: row for row in translate(config)}
            assert rows["exif"].scaled_from == "70x90"
            assert (rows["wave"].width, rows["wave"].scaled_from) == (size, "200x300")
        whole, tiled = (read_image(out / "wave.png").astype(int) for out in outs)
        assert whole.shape == tiled.shape
        assert np.abs(whole - tiled).mean() < 2


def test_in_python(run_dir, photos):
    path = run_dir.generator_path("g")
    translate = Translator(path)
    expected = translate(photos / "exif.png")
    assert expected.shape == (41, 32, 3)
    with PIL.Image.open(photos / "exif.png") as photo:
        np.testing.assert_array_equal(translate(photo), expected)
    np.testing.assert_array_equal(translate(read_image(photos / "exif.png")), expected)
    tiled = TiledTranslator(path, tile=32, size=40)
    assert tiled(photos / "exif.png").shape == (51, 40, 3)
    assert Translator(translate.generator).limit.side == 512
    with pytest.raises(InputError, match="`size` must be at least 1"):
        cyclegan_tf.Translator(path, size=-1)
