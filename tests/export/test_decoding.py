"""Files decoded in a graph: upright as Pillow reads them, whatever their EXIF says."""

import io

import exported
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from cyclegan_tf.export.decoding import decode_file, exif_orientation
from cyclegan_tf.images import read_image

# Squares that JPEG hardly changes, and no orientation leaves as they are.
PIXELS = exported.photo(3, 5, 3).repeat(16, axis=0).repeat(16, axis=1)


@pytest.fixture(scope="module")
def decode():
    file = tf.TensorSpec((), tf.string)
    graph = tf.function(
        lambda file: decode_file(tf.constant(0), file, 3), [file], autograph=False
    )
    return lambda file: graph(tf.constant(file)).numpy().astype(int)


@pytest.fixture(scope="module")
def find_orientation():
    file = tf.TensorSpec((), tf.string)
    graph = tf.function(exif_orientation, [file], autograph=False)
    return lambda file: int(graph(tf.constant(file)))


def with_exif(orientation, byte_order="<", kind="JPEG"):
    """A file as Pillow writes it, with some more EXIF than the orientation."""
    exif = PIL.Image.Exif()
    exif.endian = byte_order
    exif[0x010F], exif[0x0112], exif[0x0131] = "maker", orientation, "software"
    exif[0x8769] = {0x9003: "2026:01:02 03:04:05"}
    buffer = io.BytesIO()
    PIL.Image.fromarray(PIXELS).save(buffer, kind, quality=95, exif=exif.tobytes())
    content = buffer.getvalue()
    assert {"<": b"II*\0", ">": b"MM\0*"}[byte_order] in content
    return content


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("byte_order", ["<", ">"])
def test_all_orientations(decode, kind, byte_order):
    seen = []
    for orientation in range(1, 9):
        file = with_exif(orientation, byte_order, kind)
        decoded = decode(file)
        assert np.abs(decoded - read_image(file)).max() <= 1
        assert not any(np.array_equal(decoded, other) for other in seen)
        seen.append(decoded)


def test_orientations_that_do_not_exist(find_orientation, decode):
    for orientation in (0, 9, 65535):
        file = with_exif(orientation)
        assert find_orientation(file) == orientation
        assert np.abs(decode(file) - read_image(file)).max() <= 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_files_without_exif(find_orientation, kind):
    assert find_orientation(exported.encode(PIXELS, kind)) == 1


def test_what_comes_before_exif_is_passed_over(find_orientation):
    file = with_exif(6)
    at = file.index(b"\xff\xe1")
    decoy = b"\xff\xe1\x00\x10http://ns.ad.x" + b"\xff\xfe\x00\x0a\xff\xe1\0\0Exif"
    assert find_orientation(file[:at] + decoy + file[at:]) == 6


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_damaged_exif_never_fails(find_orientation, kind):
    file = with_exif(6, kind=kind)
    at = file.index(b"II*\0")
    random = np.random.default_rng(0)
    for i in range(at - 14, at + 150):
        find_orientation(file[:i])
        damaged = bytearray(file)
        damaged[i : i + 4] = random.bytes(4)
        find_orientation(bytes(damaged))
        damaged[i : i + 4] = b"\xff" * 4
        find_orientation(bytes(damaged))


def test_damaged_exif_leaves_the_image_as_it_lies(decode):
    file = with_exif(6)
    at = file.index(b"II*\0")
    plain = decode(with_exif(1))
    for broken in (
        file.replace(b"\x12\x01\x03\0", b"\x12\x01\x07\0"),  # of another type
        file[: at + 4] + b"\xff\xff\xff\x7f" + file[at + 8 :],  # a directory nowhere
        file.replace(b"Exif\0\0", b"Exjf\0\0"),
    ):
        assert broken != file
        np.testing.assert_array_equal(decode(broken), plain)


def test_a_file_of_tiny_blocks_is_not_searched_to_its_end(find_orientation):
    """Two million segments of no content, then an orientation."""
    file = with_exif(6)
    at = file.index(b"\xff\xe1")
    tiny_blocks = b"\xff\xe2\x00\x02"
    assert find_orientation(file[:at] + 90 * tiny_blocks + file[at:]) == 6
    assert find_orientation(file[:at] + 2_000_000 * tiny_blocks + file[at:]) == 1
