"""Image files and contact sheets."""

import resource

import numpy as np
import pytest
import tiny

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.images import (
    read_image,
    write_contact_sheet,
    write_image,
)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff", ".tif", ".ppm"])
def test_lossless_formats(photo, tmp_path, suffix):
    write_image(tmp_path / f"a{suffix}", photo)
    np.testing.assert_array_equal(read_image(tmp_path / f"a{suffix}"), photo)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp"])
def test_lossy_formats(photo, tmp_path, suffix):
    write_image(tmp_path / f"a{suffix}", photo)
    found = read_image(tmp_path / f"a{suffix}")
    assert np.abs(found.astype(int) - photo).mean() < 3


@pytest.mark.parametrize("name", ["a.xyz", "a", "a.pdf"])
def test_a_suffix_of_no_image(photo, tmp_path, name):
    with pytest.raises(InputError, match=rf"{name} does not .*known are .*\.jpg, .*"):
        write_image(tmp_path / name, photo)
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file(photo, tmp_path):
    path = tmp_path / "a.png"
    write_image(path, photo)
    with pytest.raises(TypeError):
        write_image(path, photo.astype("complex64"))
    np.testing.assert_array_equal(read_image(path), photo)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]


def test_contact_sheet_shows_the_pixels(tmp_path):
    red = np.full((64, 64, 3), [255, 0, 0], np.uint8)
    gray = np.full((64, 64, 1), 100, np.uint8)
    write_contact_sheet(tmp_path / "sheet.png", [[red, gray]], ["x", "G(x)"])
    sheet = read_image(tmp_path / "sheet.png")
    assert (sheet == [255, 0, 0]).all(axis=-1).sum() == (3 * 64) ** 2
    assert (sheet == 100).all(axis=-1).sum() >= (3 * 64) ** 2


def test_a_contact_sheet_of_large_images_can_be_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr("cyclegan_tf.images.writing.MAX_PIXELS", 200_000)
    rows = [[np.full((400, 300, 3), 100, np.uint8)] * 3] * 2
    write_contact_sheet(tmp_path / "sheet.png", rows, ["x", "G(x)", "F(G(x))"])
    sheet = read_image(tmp_path / "sheet.png")
    assert (sheet == 100).all(axis=-1).sum() > 100_000


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_a_disk_that_is_full_leaves_no_part_of_a_file(suffix, tmp_path):
    (noise,) = tiny.noise(1, side=128)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(OSError):
            write_image(tmp_path / f"photo{suffix}", noise)
        with pytest.raises(OSError):
            write_contact_sheet(tmp_path / "sheet.png", [[noise]], ["x"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())
