"""Images as arrays."""

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest

from cyclegan_tf.images import (
    denormalize,
    normalize,
    read_image,
    resize_image,
    write_image,
)
from cyclegan_tf.images.pixels import in_channels


def test_value_range_round_trip():
    values = np.arange(256, dtype=np.float32)
    assert normalize(values).min() == -1 and normalize(values).max() == 1
    np.testing.assert_array_equal(denormalize(normalize(values)), values)
    np.testing.assert_array_equal(denormalize(np.array([-1.5, 1.5])), [0, 255])


@pytest.mark.parametrize("channels", [1, 3])
def test_arrays_change_their_channels_as_files_do(photo, tmp_path, channels):
    for image in (photo, photo[..., :1]):
        write_image(tmp_path / "photo.png", image)
        expected = read_image(tmp_path / "photo.png", channels)
        np.testing.assert_array_equal(in_channels(image, channels), expected)


def test_resize_is_antialiased_bicubic(photo):
    expected = PIL.Image.fromarray(photo).resize((10, 8), PIL.Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(resize_image(photo, 8, 10), expected)
    assert resize_image(photo[..., :1], 8, 10).shape == (8, 10, 1)
    checkerboard = np.indices((64, 64)).sum(0)[..., None] % 2 * np.uint8(255)
    assert resize_image(checkerboard.astype(np.uint8), 8, 8).std() < 10
