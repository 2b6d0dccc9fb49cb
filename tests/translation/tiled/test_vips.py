"""Image files read and written strip by strip, and translated in tiles."""

import struct
import sys
import types
import warnings

import numpy as np
import PIL.Image
import pytest

import cyclegan_tf
from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.cli.main import main
from cyclegan_tf.images import read_image, resize_image, write_image
from cyclegan_tf.images.reading import TooLargeImageError, UnreadableImageError
from cyclegan_tf.translation.tiled.rasters import RasterFile
from cyclegan_tf.translation.tiled.vips import decode, encode, large_image_size


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    """The file of a small untrained generator."""
    path = tmp_path_factory.mktemp("generator") / "g.keras"
    cyclegan_tf.resnet_generator(4, 1).save(path)
    return path


def smooth(height, width, channels=3):
    """Like a photograph, JPEG does little to it."""
    y, x, c = np.ogrid[:height, :width, :channels]
    waves = np.sin(y / 9 + c) + np.cos(x / 7 - c)
    return np.round(63 * waves + 127).astype(np.uint8)


def read_by_libvips(path, channels=3):
    raster = decode(path, channels, path.with_name("pixels"))
    height, width, _ = raster.shape
    assert (height, width) == large_image_size(path)
    return raster[0:height, 0:width]


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_reads_what_read_image_reads(tmp_path, suffix, channels):
    path = tmp_path / f"image.{suffix}"
    write_image(path, smooth(45, 60))
    expected = read_image(path, channels).astype(int)
    found = read_by_libvips(path, channels)
    assert found.shape == expected.shape and found.dtype == np.uint8
    assert np.abs(found - expected).max() <= 1


def test_reads_16_bits_exactly_as_read_image(tmp_path):
    path = tmp_path / "image.png"
    levels = np.arange(2**16, dtype=np.uint16).reshape(256, 256)
    PIL.Image.fromarray(levels).save(path)
    for channels in (1, 3):
        found = read_by_libvips(path, channels)
        np.testing.assert_array_equal(found, read_image(path, channels))


@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_numbers_of_an_unknown_range_are_refused(tmp_path, dtype):
    path = tmp_path / "image.tif"
    PIL.Image.fromarray(np.ones((20, 30), dtype)).save(path)
    with pytest.raises(UnreadableImageError, match="convert it to 8 or 16 bits"):
        read_by_libvips(path)


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P"])
def test_reads_other_modes(tmp_path, mode):
    path = tmp_path / "image.png"
    PIL.Image.fromarray(smooth(20, 30)).convert(mode).save(path)
    difference = read_by_libvips(path).astype(int) - read_image(path)
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_reads_upright(tmp_path, orientation):
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "image.jpg"
    PIL.Image.fromarray(smooth(40, 64)).save(path, exif=exif, quality=95)
    difference = read_by_libvips(path).astype(int) - read_image(path)
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("size", [(30, 48), (13, 20), (40, 64)])
def test_scales_down_nearly_as_resize_image(tmp_path, size):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "image.png"
    PIL.Image.fromarray(smooth(64, 40)).save(path, exif=exif)
    raster = decode(path, 3, tmp_path / "pixels", size)
    expected = resize_image(read_image(path), *size).astype(int)
    assert raster.shape == expected.shape
    assert np.abs(raster[0 : size[0], 0 : size[1]] - expected).max() <= 2


@pytest.mark.parametrize("suffix", ["png", "tiff", "jpg"])
@pytest.mark.parametrize("channels", [1, 3])
def test_writes_what_write_image_writes(tmp_path, suffix, channels):
    pixels = smooth(45, 60, channels)
    raster = RasterFile(tmp_path / "pixels", pixels.shape, "uint8")
    raster[0:45, 0:60] = pixels
    path = tmp_path / "new" / f"image.{suffix}"
    encode(path, raster)
    write_image(tmp_path / path.name, pixels)
    expected = read_image(tmp_path / path.name, channels).astype(int)
    assert np.abs(read_image(path, channels) - expected).max() <= 1
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_formats_that_cannot_be_written(tmp_path):
    raster = RasterFile(tmp_path / "pixels", (4, 4, 3), "uint8")
    raster[0:4, 0:4] = smooth(4, 4)
    with pytest.raises(InputError, match=r"image\.bmp cannot be written in 4x4"):
        encode(tmp_path / "image.bmp", raster)


def test_rows_that_fill_the_memory_are_refused(tmp_path):
    """A TIFF of 200 bytes that claims 604 megapixels in 9 rows, found by fuzzing."""
    path = tmp_path / "wide.tif"
    PIL.Image.new("RGB", (7, 9)).save(path)
    content = path.read_bytes()
    width = struct.pack("<HHII", 256, 4, 1, 7)
    assert width in content
    path.write_bytes(content.replace(width, struct.pack("<HHII", 256, 4, 1, 2**26)))
    with pytest.raises(TooLargeImageError, match="67108864x9 pixels, with a side"):
        large_image_size(path)
    with pytest.raises(TooLargeImageError):
        decode(path, 3, tmp_path / "pixels")


def test_damaged_files(tmp_path):
    path = tmp_path / "cut.png"
    write_image(path, np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    path.write_bytes(path.read_bytes()[:6000])
    with pytest.raises(UnreadableImageError, match=r"cut\.png cannot be read as a lar"):
        decode(path, 3, tmp_path / "pixels")


def test_translate_writes_the_same_in_tiles(tmp_path, generator, capsys):
    folder = tmp_path / "in"
    write_image(folder / "large.png", smooth(70, 90))
    write_image(folder / "deep/photo.jpg", smooth(37, 33))
    write_image(folder / "small.bmp", smooth(20, 32))
    write_image(folder / "unknown.bmp", smooth(20, 33))
    options = ["translate", str(generator), str(folder), "--out"]
    assert main([*options, str(tmp_path / "whole")]) == 0
    assert main([*options, str(tmp_path / "tiled"), "--tile", "32"]) == 1
    printed = capsys.readouterr().out
    assert "unknown.bmp cannot be read as a large image" in printed

    for name in ("large.png", "small.bmp", "deep/photo.jpg"):
        whole = read_image(tmp_path / "whole" / name).astype(int)
        tiled = read_image(tmp_path / "tiled" / name).astype(int)
        # A gray level of rounding, which JPEG may make a few of.
        assert np.abs(tiled - whole).max() <= (4 if name.endswith("jpg") else 1)
    names = {path.name for path in (tmp_path / "tiled").rglob("*")}
    names -= {"manifest.csv", ".lock"}
    assert names == {"large.png", "small.bmp", "deep", "photo.jpg"}


def test_more_pixels_than_pillow_reads(tmp_path, generator, monkeypatch):
    write_image(tmp_path / "image.png", smooth(40, 40))
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 700)
    options = ["translate", str(generator), str(tmp_path / "image.png")]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert main([*options, "--out", str(tmp_path / "a"), "--tile", "32"]) == 0
        assert main([*options, "--out", str(tmp_path / "b")]) == 0
        monkeypatch.setitem(sys.modules, "pyvips", None)
        assert main([*options, "--out", str(tmp_path / "c")]) == 1
    monkeypatch.undo()
    for name in ("a", "b"):
        assert read_image(tmp_path / name / "image.png").shape == (40, 40, 3)


def test_without_room_or_libvips(tmp_path, generator, monkeypatch, capsys):
    write_image(tmp_path / "image.png", smooth(40, 40))
    out = tmp_path / "out"
    options = ["translate", str(generator), str(tmp_path / "image.png")]
    options += ["--out", str(out), "--tile"]
    assert main([*options, "0"]) == 2
    assert "--tile must be at least 1" in capsys.readouterr().err

    with monkeypatch.context() as patch:
        usage = types.SimpleNamespace(free=0)
        patch.setattr("shutil.disk_usage", lambda _: usage)
        # Smaller images of the same job may have room.
        assert main([*options, "32"]) == 1
    assert f"in {out}, where 0.0 GB are free" in capsys.readouterr().out
    assert {path.name for path in out.iterdir()} == {".lock", "manifest.csv"}

    monkeypatch.setitem(sys.modules, "pyvips", None)
    assert main([*options, "32"]) == 2
    assert "pip install 'cyclegan_tf[large]'" in capsys.readouterr().err
