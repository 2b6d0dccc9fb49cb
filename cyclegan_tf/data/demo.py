"""Two small image domains drawn by code, to try everything without a download.

A scene shows one or two objects on a meadow under the sky. The objects are plain in
domain X and striped in domain Y. The training splits show different scenes, as
unpaired data does; the test splits show the same scenes, so that translations can be
compared with the truth.
"""

import numpy as np

from cyclegan_tf.images.pixels import Image

IMAGE_SIDE = 48
TRAIN_IMAGES = 400
TEST_IMAGES = 32

_STRIPE_WIDTH = 5
_LARGEST_OBJECT = 30
_PLAIN = np.array([196, 120, 48])
_LIGHT = np.array([244, 240, 232])
_DARK = np.array([36, 28, 28])
# The seed of the first scene of each split.
_FIRST_SCENE = {
    "trainA": 0,
    "trainB": 1_000_000,
    "testA": 2_000_000,
    "testB": 2_000_000,
}


def demo_images(split: str, paired: bool = False) -> list[Image]:
    """Draw one split of the demo domains.

    Args:
        split: `"trainA"` or `"testA"` (plain objects), `"trainB"` or `"testB"`
            (striped ones). The i-th images of both test splits show the same scene.
        paired: bool. Let the training splits show the same scenes, too. Defaults to
            `False`.

    Returns:
        uint8 arrays (48, 48, 3): 400 for training, 32 for testing; the same at every
        call.
    """
    count = TRAIN_IMAGES if split.startswith("train") else TEST_IMAGES
    first = _FIRST_SCENE["trainA" if paired and split == "trainB" else split]
    return [
        draw_scene(seed, striped=split.endswith("B"))
        for seed in range(first, first + count)
    ]


def draw_scene(seed: int, striped: bool) -> Image:
    """Draw one scene.

    Args:
        seed: int. It determines everything but the stripes.
        striped: bool. Whether the objects are striped (domain Y) or plain (X).

    Returns:
        uint8 array (48, 48, 3).
    """
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:IMAGE_SIDE, :IMAGE_SIDE]
    scene = _draw_landscape(random, rows)
    # One object per half, or one in all, so that objects never overlap.
    num_objects = random.integers(1, 3)
    room = IMAGE_SIDE // num_objects
    for i in range(num_objects):
        half_width = random.integers(8, room // 2 - 1)
        half_height = random.integers(8, 15)
        x = i * room + random.integers(half_width, room - half_width)
        y = random.integers(half_height + 2, IMAGE_SIDE - half_height - 1)
        dx, dy = abs(columns - x) / half_width, abs(rows - y) / half_height
        # A superellipse: between a disk (power 2) and a rectangle.
        inside = dx**4 + dy**4 < 1
        depth = rows - (y - half_height)
        dark = striped & (depth // _STRIPE_WIDTH % 2 == 0)
        light = striped & ~dark
        color = np.select([dark[..., None], light[..., None]], [_DARK, _LIGHT], _PLAIN)
        # Light from above gives each row of a plain object its own shade, so that a
        # network can learn where the stripes belong.
        shade = 1.0 - 0.6 * depth[..., None] / _LARGEST_OBJECT
        scene = np.where(inside[..., None], color * shade, scene)
    noise = random.normal(0.0, 1.0, scene.shape)
    return np.clip(scene + noise, 0, 255).round().astype(np.uint8)


def _draw_landscape(random: np.random.Generator, rows: np.ndarray) -> np.ndarray:
    """Draw sky above a meadow, each a vertical gradient of a random shade."""
    sky = np.array([120, 170, 225]) + random.integers(-5, 6, size=3)
    meadow = np.array([90, 150, 70]) + random.integers(-5, 6, size=3)
    horizon = random.integers(9, 24)
    depth = (rows - horizon)[..., None] / IMAGE_SIDE
    return np.where(depth < 0, sky - 60 * depth, meadow - 50 * depth)
