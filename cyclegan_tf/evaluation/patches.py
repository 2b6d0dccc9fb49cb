"""Patches of images at several scales, from their Laplacian pyramids."""

from collections.abc import Iterator, Sequence

import numpy as np
import scipy.ndimage

from cyclegan_tf.images.pixels import Image, color_square, normalize

SIDE = 128
LEVELS = 4
COUNT = 16384
_PATCH_SIDE = 7
_BINOMIAL = np.array([1, 4, 6, 4, 1], np.float32) / 16


def laplacian_patches(images: Sequence[Image]) -> list[np.ndarray]:
    """Draw 7x7 patches from the Laplacian pyramids of images.

    Args:
        images: uint8 (height, width, 1 or 3); resized to 128x128.

    Returns:
        float32 (16384, 3, 7, 7) for each of four levels, the finest first.
    """
    random = np.random.default_rng(0)
    of_image = random.integers(len(images), size=COUNT)
    drawn: list[list[np.ndarray]] = [[] for _ in range(LEVELS)]
    for i, image in enumerate(images):
        count = np.count_nonzero(of_image == i)
        pixels = color_square(image, SIDE).astype(np.float32)
        for level, band in enumerate(_laplacian_pyramid(normalize(pixels))):
            windows = np.lib.stride_tricks.sliding_window_view(
                band, (_PATCH_SIDE, _PATCH_SIDE), axis=(0, 1)
            )
            rows, columns = random.integers(windows.shape[0], size=(2, count))
            drawn[level].append(windows[rows, columns])
    return [np.concatenate(level) for level in drawn]


def _laplacian_pyramid(image: np.ndarray) -> Iterator[np.ndarray]:
    """Yield bands, each half as large, and the remaining image (Burt, 1983)."""
    for _ in range(LEVELS - 1):
        smaller = _blur(image)[::2, ::2]
        enlarged = np.zeros_like(image)
        enlarged[::2, ::2] = 4 * smaller
        yield image - _blur(enlarged)
        image = smaller
    yield image


def _blur(image: np.ndarray) -> np.ndarray:
    for axis in (0, 1):
        image = scipy.ndimage.convolve1d(image, _BINOMIAL, axis, mode="mirror")
    return image
