"""Reading and writing image files."""

import numpy as np
import PIL.Image
import pytest

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.images import (
    UnreadableImageError,
    denormalize,
    find_images,
    in_channels,
    normalize,
    read_image,
    resize_image,
    write_contact_sheet,
    write_image,
)


@pytest.fixture
def photo():
    """A smooth color gradient that lossy formats preserve."""
    rows, columns = np.mgrid[:24, :36]
    return np.stack([rows * 10, columns * 7, 250 - rows * 5], axis=-1).astype(np.uint8)


def test_value_range_round_trip():
    values = np.arange(256, dtype=np.float32)
    assert normalize(values).min() == -1 and normalize(values).max() == 1
    np.testing.assert_array_equal(denormalize(normalize(values)), values)
    np.testing.assert_array_equal(denormalize(np.array([-1.5, 1.5])), [0, 255])


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff", ".tif", ".ppm"])
def test_lossless_formats(photo, tmp_path, suffix):
    write_image(tmp_path / f"a{suffix}", photo)
    np.testing.assert_array_equal(read_image(tmp_path / f"a{suffix}"), photo)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp"])
def test_lossy_formats(photo, tmp_path, suffix):
    write_image(tmp_path / f"a{suffix}", photo)
    found = read_image(tmp_path / f"a{suffix}")
    assert np.abs(found.astype(int) - photo).mean() < 3


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


@pytest.mark.parametrize("channels", [1, 3])
def test_arrays_change_their_channels_as_files_do(photo, tmp_path, channels):
    for image in (photo, photo[..., :1]):
        write_image(tmp_path / "photo.png", image)
        expected = read_image(tmp_path / "photo.png", channels)
        np.testing.assert_array_equal(in_channels(image, channels), expected)


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


def test_exif_orientation(photo, tmp_path):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # rotated by 90 degrees
    PIL.Image.fromarray(photo).save(tmp_path / "turned.png", exif=exif)
    found = read_image(tmp_path / "turned.png")
    np.testing.assert_array_equal(found, np.rot90(photo, -1))


def test_damaged_files_are_named(photo, tmp_path):
    (tmp_path / "text.jpg").write_text("not an image")
    write_image(tmp_path / "whole.jpg", photo)
    content = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "half.jpg").write_bytes(content[: len(content) // 2])
    (tmp_path / "empty.png").write_bytes(b"")
    image = PIL.Image.fromarray(photo)
    image.save(tmp_path / "header.png", exif=b"II*\0")  # half of its EXIF header
    for name in ("text.jpg", "half.jpg", "empty.png", "header.png"):
        with pytest.raises(UnreadableImageError, match=name):
            read_image(tmp_path / name)
    with pytest.raises(InputError, match="no file"):
        read_image(tmp_path / "absent.png")


def test_decompression_bombs_are_unreadable(photo, tmp_path, monkeypatch):
    write_image(tmp_path / "bomb.png", photo)
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(UnreadableImageError, match=r"bomb\.png"):
        read_image(tmp_path / "bomb.png")


def test_resize_is_antialiased_bicubic(photo):
    expected = PIL.Image.fromarray(photo).resize((10, 8), PIL.Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(resize_image(photo, 8, 10), expected)
    assert resize_image(photo[..., :1], 8, 10).shape == (8, 10, 1)
    checkerboard = np.indices((64, 64)).sum(0)[..., None] % 2 * np.uint8(255)
    assert resize_image(checkerboard.astype(np.uint8), 8, 8).std() < 10


def test_find_images_in_natural_order(photo, tmp_path):
    for name in ("10.png", "2.png", "sub/1.PNG", "notes.txt", ".hidden.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    names = [str(path.relative_to(tmp_path)) for path in find_images(tmp_path)]
    assert names == ["2.png", "10.png", "sub/1.PNG"]


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
