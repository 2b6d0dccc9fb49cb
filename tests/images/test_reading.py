"""Image files, read."""

import exported
import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
import tiny

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.images import (
    read_image,
    write_image,
)
from cyclegan_tf.images.reading import (
    TooLargeImageError,
    UnreadableImageError,
    is_larger_than,
    read_shrunk,
    read_size,
)


def test_first_frame_of_an_animation(tmp_path):
    frames = [PIL.Image.new("RGB", (8, 6), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert (read_image(tmp_path / "a.gif") == [255, 0, 0]).all()


def test_a_palette_with_transparency(photo, tmp_path):
    """Pillow warns if it converts these directly to RGB."""
    palette = PIL.Image.fromarray(photo).quantize(16)
    palette.save(tmp_path / "a.png", transparency=bytes(range(0, 256, 16)))
    found = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(found, np.asarray(palette.convert("RGB")))


def test_gray_becomes_color_and_color_gray(photo, tmp_path):
    PIL.Image.fromarray(photo).convert("L").save(tmp_path / "gray.png")
    gray = read_image(tmp_path / "gray.png")
    assert gray.shape == (24, 36, 3)
    np.testing.assert_array_equal(gray[..., 0], gray[..., 2])
    write_image(tmp_path / "color.png", photo)
    assert read_image(tmp_path / "color.png", channels=1).shape == (24, 36, 1)


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    values = np.array([[0, 257, 128 * 257, 65535]], np.uint16)
    PIL.Image.fromarray(values).save(tmp_path / "deep.png")
    expected = [[[0], [1], [128], [255]]]
    np.testing.assert_array_equal(read_image(tmp_path / "deep.png", 1), expected)


def test_alpha_and_palette(photo, tmp_path):
    PIL.Image.fromarray(photo).convert("RGBA").save(tmp_path / "alpha.png")
    np.testing.assert_array_equal(read_image(tmp_path / "alpha.png"), photo)
    PIL.Image.new("P", (4, 4)).save(tmp_path / "palette.png")
    assert read_image(tmp_path / "palette.png").shape == (4, 4, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation, photo, tmp_path):
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    PIL.Image.fromarray(photo).save(tmp_path / "turned.png", exif=exif)
    with PIL.Image.open(tmp_path / "turned.png") as file:
        expected = np.asarray(PIL.ImageOps.exif_transpose(file))
    found = read_image(tmp_path / "turned.png")
    np.testing.assert_array_equal(found, expected)
    if orientation == 6:
        np.testing.assert_array_equal(found, np.rot90(photo, -1))


def test_lab_becomes_color_and_gray(shared):
    for channels in (1, 3):
        image = read_image(shared / "cases/lab.tif", channels)
        assert image.shape[-1] == channels and image.std() > 10


def test_damaged_files_are_named(photo, tmp_path):
    (tmp_path / "text.jpg").write_text("not an image")
    write_image(tmp_path / "whole.jpg", photo)
    content = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "half.jpg").write_bytes(content[: len(content) // 2])
    (tmp_path / "empty.png").write_bytes(b"")
    for name in ("text.jpg", "half.jpg", "empty.png"):
        with pytest.raises(UnreadableImageError, match=name):
            read_image(tmp_path / name)
    with pytest.raises(InputError, match="no file"):
        read_image(tmp_path / "absent.png")


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("exif_bad.png", (48, 64, 3)),
        ("badexif.jpg", (20, 24, 3)),
        ("damaged_2.jpg", (20, 24, 3)),
        ("badcrc_text.png", (48, 64, 3)),
        ("bigicc.png", (48, 64, 3)),
        ("photo.jfif", (48, 64, 3)),
    ],
)
def test_sound_pixels_are_read_whatever_the_metadata(name, shape, shared):
    assert read_image(shared / "cases" / name).shape == shape
    assert read_size(shared / "cases" / name) == shape[:2]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("eps_named.jpg", "cannot identify image file"),  # never for Ghostscript
        ("damaged_0.tif", "cannot be read as an image"),
        ("int16HU.tif", "32-bit numbers from -1000 to 3048, and nothing says which"),
        ("float01.tif", "floating-point numbers from 0 to 0.996078"),
    ],
)
def test_other_files_are_refused_in_a_sentence(name, message, shared):
    with pytest.raises(UnreadableImageError, match=message) as error:
        read_image(shared / "cases" / name)
    assert name in str(error.value) and "\n" not in str(error.value)


def test_sixteen_bits_are_rounded(shared):
    path = shared / "cases/gray12in16.png"
    with PIL.Image.open(path) as file:
        values = np.asarray(file)
    expected = np.rint(values / 257)[..., None]
    np.testing.assert_array_equal(read_image(path, 1), expected)


def test_sixteen_bit_pgm(tmp_path):
    content = b"P5 2 1 65535\n" + np.array([257, 65535], ">u2").tobytes()
    (tmp_path / "deep.pgm").write_bytes(content)
    assert read_image(tmp_path / "deep.pgm", 1).ravel().tolist() == [1, 255]


def test_floats_of_a_pfm_are_refused(tmp_path):
    content = b"Pf 2 1 -1.0\n" + np.array([0.5, 1], "<f4").tobytes()
    (tmp_path / "floats.ppm").write_bytes(content)
    with pytest.raises(UnreadableImageError, match="numbers from 0.5 to 1"):
        read_image(tmp_path / "floats.ppm")


def test_too_many_pixels_are_refused_from_the_header(photo, tmp_path, monkeypatch):
    for claim in ((4097, 4096), (10_000, 10_000), (50_000, 50_000)):
        (tmp_path / "bomb.png").write_bytes(exported.png_that_claims(*claim))
        for read in (read_image, read_size):
            with pytest.raises(
                TooLargeImageError, match=r"bomb\.png has more than 16.8"
            ):
                read(tmp_path / "bomb.png")
        assert is_larger_than(tmp_path / "bomb.png", 10**6)
    (tmp_path / "largest.png").write_bytes(exported.png_that_claims(4096, 4096))
    assert read_size(tmp_path / "largest.png") == (4096, 4096)
    assert not is_larger_than(tmp_path / "largest.png", 4096)
    # The user's own code may hold Pillow to a lower limit.
    write_image(tmp_path / "photo.png", photo)
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(TooLargeImageError, match=r"photo\.png"):
        read_image(tmp_path / "photo.png")


def test_an_image_that_is_read_smaller_may_have_more_pixels(tmp_path, monkeypatch):
    monkeypatch.setattr("cyclegan_tf.images.reading.MAX_PIXELS", 1000)
    path = tmp_path / "photo.png"
    write_image(path, *tiny.noise(1, 60))
    image, size = read_shrunk(path, 1, 30, 1)
    assert image.shape == (30, 30, 1) and size == (60, 60)
    write_image(tmp_path / "strip.png", tiny.noise(1, 60)[0][:20])
    for name, side in [("photo.png", None), ("strip.png", 30), ("photo.png", 40)]:
        with pytest.raises(TooLargeImageError, match=f"{name} has more than"):
            read_shrunk(tmp_path / name, 3, side, 1)
    bomb = exported.png_that_claims(20_000, 20_000)
    with pytest.raises(TooLargeImageError, match="134.2 megapixels.*by a run or"):
        read_shrunk(bomb, 3, 30, 1)


def test_free_memory_limits_the_pixels(tmp_path, monkeypatch):
    monkeypatch.setattr("cyclegan_tf.images.reading.free_memory", lambda: 1_000_000)
    path = tmp_path / "photo.png"
    write_image(path, *tiny.noise(1, 60))
    read_shrunk(path, 3, None, 1_000_000 / 60**2)
    with pytest.raises(TooLargeImageError, match="photo.png has more than"):
        read_shrunk(path, 3, None, 1_000_001 / 60**2)
    assert read_shrunk(path, 3, 30, 1_000_000 / 30**2)[0].shape == (30, 30, 3)
