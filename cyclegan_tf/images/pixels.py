"""Images as arrays: their value range, channels and size.

An image is a uint8 array (height, width, channels) in [0, 255] with 1 or 3 channels.
The networks see float32 in [-1, 1]; only `normalize` and `denormalize` convert
between the two.
"""

from typing import Any, TypeAlias

import numpy as np
import PIL.Image

Image: TypeAlias = np.ndarray


def normalize(image: Any) -> Any:
    """Map [0, 255] to [-1, 1], the range of the networks.

    Args:
        image: float array or tensor in [0, 255].

    Returns:
        The same type, in [-1, 1].
    """
    return image / 127.5 - 1.0


def denormalize(image: Any) -> Image:
    """Map [-1, 1], the range of the networks, to rounded uint8.

    Args:
        image: float array or tensor; values outside [-1, 1] are clipped.

    Returns:
        uint8 array of the same shape.
    """
    values = (np.asarray(image, np.float32) + 1.0) * 127.5
    return np.clip(values, 0, 255).round().astype(np.uint8)


def in_channels(image: Image, channels: int) -> Image:
    """Convert an image (height, width, 1 or 3) to 1 or 3 channels, as `read_image`."""
    if image.shape[-1] == channels:
        return image
    pixels = to_pillow(image).convert("L" if channels == 1 else "RGB")
    return np.asarray(pixels).reshape(*image.shape[:2], channels)


def to_pillow(image: Image) -> PIL.Image.Image:
    """Return an image (height, width, 1 or 3) as Pillow's mode L or RGB."""
    return PIL.Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def resize_image(image: Image, height: int, width: int) -> Image:
    """Resize an image with an antialiased bicubic filter, as the reference does."""
    if image.shape[:2] == (height, width):
        return image
    resized = to_pillow(image).resize((width, height), PIL.Image.Resampling.BICUBIC)
    return np.asarray(resized).reshape(height, width, image.shape[-1])


def shrunk_size(height: int, width: int, shorter_side: int | None) -> tuple[int, int]:
    """Return the height and width that `shrink_image` gives an image."""
    shorter = min(height, width)
    if shorter_side is None or shorter <= shorter_side:
        return height, width
    return (
        round(height * shorter_side / shorter),
        round(width * shorter_side / shorter),
    )


def shrink_image(image: Image, shorter_side: int | None) -> Image:
    """Scale an image down, so that its shorter side has at most `shorter_side` pixels.

    Args:
        image: uint8 array (height, width, channels).
        shorter_side: int or None. `None` leaves every image as it is.

    Returns:
        uint8 array of the same proportions, resized by `resize_image`; a smaller image
        as it is.
    """
    height, width, _ = image.shape
    return resize_image(image, *shrunk_size(height, width, shorter_side))


def color_square(image: Image, side: int) -> Image:
    """Resize an image to (side, side, 3), the form in which images are compared."""
    return np.broadcast_to(resize_image(image, side, side), (side, side, 3))
