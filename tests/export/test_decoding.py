"""Files decoded in a graph, after a look at their headers."""

import io

import exported
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from cyclegan_tf.export.decoding import MAX_PIXELS, decode_file
from cyclegan_tf.images import read_image


@pytest.fixture(scope="module")
def decode():
    graphs = {
        channels: tf.function(
            lambda file, channels=channels: decode_file(tf.constant(7), file, channels),
            [tf.TensorSpec((), tf.string)],
            autograph=False,
        )
        for channels in (1, 3)
    }
    return lambda file, channels=3: graphs[channels](tf.constant(file)).numpy()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", [(5, 9, 1), (20, 30, 3), (1, 2, 4)])
def test_png_as_pillow_reads_it(decode, shape, channels):
    file = exported.encode(exported.photo(*shape))
    # The weights of luminance are rounded in other places.
    tolerance = 1 if channels == 1 and shape[-1] > 1 else 0
    expected = read_image(file, channels).astype(int)
    assert np.abs(decode(file, channels) - expected).max() <= tolerance


def test_jpeg_as_pillow_reads_it(decode, shared):
    path = sorted((shared / "data/horse2zebra/testA").glob("*.jpg"))[0]
    photo = read_image(path).astype(int)
    assert np.abs(decode(path.read_bytes()) - photo).max() <= 1
    gray = exported.encode(exported.photo(20, 30, 1), "JPEG")
    assert np.abs(decode(gray) - read_image(gray).astype(int)).max() <= 1


@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bit_gray_as_pillow_reads_it(decode, channels):
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    buffer = io.BytesIO()
    PIL.Image.fromarray(levels).save(buffer, "PNG")
    file = buffer.getvalue()
    np.testing.assert_array_equal(decode(file, channels), read_image(file, channels))
    with pytest.raises(tf.errors.InvalidArgumentError, match="Invalid PNG"):
        decode(file[:500], channels)


@pytest.mark.parametrize(
    "name", ["gray12in16.png", "bigicc.png", "badcrc_text.png", "exif_bad.png"]
)
def test_strange_png_files_as_pillow_reads_them(decode, name, shared):
    file = (shared / "cases" / name).read_bytes()
    for channels in (1, 3):
        found = decode(file, channels).astype(int)
        assert np.abs(found - read_image(file, channels)).max() <= (channels == 1)


def test_the_orientation_is_left_to_the_client(decode):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    lying = exported.photo(10, 24, 3)
    buffer = io.BytesIO()
    PIL.Image.fromarray(lying).save(buffer, "PNG", exif=exif)
    np.testing.assert_array_equal(decode(buffer.getvalue()), lying)


# What is said of the file; the sentences of damaged ones are TensorFlow's.
BAD_FILES = {
    "text": (b"no image", "is not a JPEG or PNG image"),
    "nothing": (b"", "is not a JPEG or PNG image"),
    "JPEG magic alone": (b"\xff\xd8\xff", "Invalid JPEG"),
    "half a header": (
        exported.encode(exported.photo(9, 9, 3))[:18],
        "is not a JPEG or PNG image",
    ),
    "GIF": (exported.encode(exported.photo(9, 9, 3), "GIF"), "is not a JPEG or PNG"),
    "BMP": (exported.encode(exported.photo(9, 9, 3), "BMP"), "is not a JPEG or PNG"),
    "cut PNG": (exported.encode(exported.photo(90, 90, 3))[:500], "Invalid PNG"),
    "cut JPEG": (
        exported.encode(exported.photo(90, 90, 3), "JPEG")[:900],
        "Invalid JPEG",
    ),
    "bomb": (exported.png_that_claims(50_000, 50_000), f"more than {MAX_PIXELS} pix"),
    "largest bomb": (exported.png_that_claims(2**31 - 1, 2**31 - 1), "more than"),
    "no pixels": (exported.png_that_claims(0, 10), "is not a JPEG or PNG image"),
    "negative": (exported.png_that_claims(2**32 - 1, 10), "is not a JPEG or PNG"),
}


@pytest.mark.parametrize(("file", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_files_are_refused(decode, file, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message) as refusal:
        decode(file)
    assert "image_bytes[7]" in str(refusal.value) or "Invalid" in message
