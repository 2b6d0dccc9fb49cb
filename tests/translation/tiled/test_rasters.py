"""Tiles, arrays in files, statistics in parts."""

import numpy as np
import pytest

from cyclegan_tf.translation.tiled.rasters import Box, Moments, RasterFile


def test_tiles_cover_every_pixel_once():
    times = np.zeros((70, 33), int)
    for tile in Box(0, 0, 70, 33).tiles(32):
        times[tile.slices] += 1
    assert (times == 1).all()


def test_a_grown_box_stays_inside():
    bounds = Box(0, 0, 64, 40)
    assert Box(0, 8, 32, 40).grown(4, bounds) == Box(0, 4, 36, 40)
    assert Box(8, 8, 16, 24).relative_to(Box(4, 4, 20, 28)) == Box(4, 4, 12, 20)
    assert Box(8, 8, 16, 24).at_scale(4) == Box(2, 2, 4, 6)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_file_holds_the_array(tmp_path, dtype):
    values = np.arange(7 * 5 * 3).reshape(7, 5, 3).astype(dtype)
    raster = RasterFile(tmp_path / "raster", values.shape, dtype)
    for tile in reversed(list(Box(0, 0, 7, 5).tiles(2))):
        raster[tile.slices] = values[tile.slices]
    assert raster.path.read_bytes() == values.tobytes()
    np.testing.assert_array_equal(raster[2:6, 1:4], values[2:6, 1:4])


def test_a_file_that_is_too_short(tmp_path):
    raster = RasterFile(tmp_path / "raster", (4, 4, 3), "uint8")
    raster.path.write_bytes(bytes(40))
    with pytest.raises(OSError, match="shorter than an image"):
        raster[0:4, 0:4]


def test_moments_of_parts_are_those_of_the_whole():
    random = np.random.default_rng(0)
    # Far from 0 and hardly varying, where squares and sums in float32 would fail.
    values = random.normal([0.0, 1000.0, -3.0], [1.0, 0.01, 100.0], (50, 41, 3))
    values = values.astype(np.float32)
    moments = Moments()
    for part in (values[:1], values[1:30], values[30:]):
        moments.add(part)
    exact = values.astype(np.float64)
    mean, variance = exact.mean((0, 1)), exact.var((0, 1))
    np.testing.assert_allclose(moments.mean[0, 0, 0], mean, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(moments.variance[0, 0, 0], variance, rtol=1e-6)
