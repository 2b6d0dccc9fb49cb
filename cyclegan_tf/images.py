"""Images outside the networks: value range, files, resizing, contact sheets.

An image is a uint8 array (height, width, channels) in [0, 255] with 1 or 3 channels.
The networks see float32 in [-1, 1]; only `normalize` and `denormalize` convert
between the two.
"""

import contextlib
import io
import pathlib
import struct
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import PIL.ExifTags
import PIL.Image
import PIL.ImageOps

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf._shared.files import natural_key, replacing

Image: TypeAlias = np.ndarray

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm"}
)

# Pillow's errors for files that are damaged or not images.
_DAMAGES = (
    OSError,
    ValueError,
    SyntaxError,
    struct.error,
    PIL.Image.DecompressionBombError,
)

# EXIF orientations that swap height and width.
_QUARTER_TURNS = (5, 6, 7, 8)


class UnreadableImageError(InputError):
    """A file is not an image, or is damaged."""


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


def read_image(source: pathlib.Path | bytes, channels: int = 3) -> Image:
    """Read an image file that Pillow knows, upright.

    The EXIF orientation is applied, an alpha channel is dropped, color profiles are
    ignored, 16-bit gray is scaled to 8 bits, and only the first frame is read.

    Args:
        source: a path, or the bytes of a file.
        channels: int. 3 (gray is repeated) or 1 (color is converted to luminance).
            Defaults to `3`.

    Returns:
        uint8 array (height, width, channels).

    Raises:
        UnreadableImageError: if the file is damaged, not an image, or larger than
            Pillow's limit for decompression bombs.
        InputError: if there is no such file.
    """
    with _open(source) as file:
        upright = PIL.ImageOps.exif_transpose(file)
    return from_pillow(upright, channels)


def from_pillow(image: PIL.Image.Image, channels: int = 3) -> Image:
    """Convert a Pillow image of any mode, as `read_image` does."""
    if image.mode.startswith("I"):  # 16-bit gray: convert() would clip it
        image = PIL.Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
    if image.mode == "P":  # Pillow warns if it converts transparent palettes directly
        image = image.convert("RGBA")
    pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    return pixels.reshape(*pixels.shape[:2], channels)


def read_size(source: pathlib.Path | bytes) -> tuple[int, int]:
    """Return the height and width of an image file, upright, from its header.

    Raises:
        UnreadableImageError, InputError: as `read_image`, except for damaged pixels.
    """
    with _open(source) as file:
        width, height = file.size
        # For EXIF data behind the pixels of a PNG, Pillow would decode these.
        exif = file.getexif() if file.format != "PNG" or "exif" in file.info else {}
        turned = exif.get(PIL.ExifTags.Base.Orientation, 1) in _QUARTER_TURNS
    return (width, height) if turned else (height, width)


@contextlib.contextmanager
def _open(source: pathlib.Path | bytes) -> Iterator[PIL.Image.Image]:
    """Open an image file, and report what Pillow cannot read in this block."""
    name = "the image" if isinstance(source, bytes) else str(source)
    try:
        with PIL.Image.open(
            io.BytesIO(source) if isinstance(source, bytes) else source
        ) as file:
            yield file
    except FileNotFoundError:
        raise InputError(f"There is no file {name}; check the name.") from None
    except _DAMAGES as e:
        raise UnreadableImageError(f"{name} cannot be read as an image ({e}).") from e


def in_channels(image: Image, channels: int) -> Image:
    """Convert an image (height, width, 1 or 3) to 1 or 3 channels, as `read_image`."""
    if image.shape[-1] == channels:
        return image
    pixels = to_pillow(image).convert("L" if channels == 1 else "RGB")
    return np.asarray(pixels).reshape(*image.shape[:2], channels)


def is_larger_than(path: pathlib.Path, side: int) -> bool:
    """Say whether an image file's longer side exceeds so many pixels, without decoding.

    An image beyond Pillow's limit counts as larger, an unreadable file does not.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)
            with PIL.Image.open(path) as file:
                return max(file.size) > side
    except PIL.Image.DecompressionBombError:
        return True
    except (OSError, ValueError, SyntaxError):
        return False


def write_image(path: pathlib.Path, image: Image) -> None:
    """Write an image in the format of the name's suffix, JPEG in quality 95.

    Args:
        path: the file; missing folders are created.
        image: uint8 array (height, width, 1 or 3).
    """
    with replacing(path) as temporary:
        to_pillow(image).save(temporary, quality=95)


def to_pillow(image: Image) -> PIL.Image.Image:
    """Return an image (height, width, 1 or 3) as Pillow's mode L or RGB."""
    return PIL.Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def resize_image(image: Image, height: int, width: int) -> Image:
    """Resize an image with an antialiased bicubic filter, as the reference does."""
    if image.shape[:2] == (height, width):
        return image
    resized = to_pillow(image).resize((width, height), PIL.Image.Resampling.BICUBIC)
    return np.asarray(resized).reshape(height, width, image.shape[-1])


def color_square(image: Image, side: int) -> Image:
    """Resize an image to (side, side, 3), the form in which images are compared."""
    return np.broadcast_to(resize_image(image, side, side), (side, side, 3))


def find_images(folder: pathlib.Path) -> list[pathlib.Path]:
    """List the image files in a folder and its subfolders, in natural order."""
    return sorted(
        (
            path
            for path in folder.rglob("*")
            if path.suffix.lower() in SUFFIXES
            and path.is_file()
            and not path.name.startswith(".")
        ),
        key=natural_key,
    )


def write_contact_sheet(
    path: pathlib.Path, rows: Sequence[Sequence[Image]], headings: Sequence[str]
) -> None:
    """Write a PNG with rows of images under headings.

    Args:
        path: the PNG file.
        rows: one image per heading in each row. Small images are enlarged by a whole
            factor.
        headings: titles of the columns.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    cell_height = max(image.shape[0] for row in rows for image in row)
    cell_width = max(image.shape[1] for row in rows for image in row)
    zoom = max(1, 192 // cell_width)
    gap, header, dpi = 8, 32, 100
    width = len(headings) * (cell_width * zoom + gap) + gap
    height = len(rows) * (cell_height * zoom + gap) + header
    figure = Figure(figsize=(width / dpi, height / dpi), dpi=dpi)
    FigureCanvasAgg(figure)
    for column, heading in enumerate(headings):
        left = gap + column * (cell_width * zoom + gap)
        figure.text(
            (left + cell_width * zoom / 2) / width,
            1 - header / 2 / height,
            heading,
            ha="center",
            va="center",
        )
        for i, row in enumerate(rows):
            image = np.broadcast_to(row[column], (*row[column].shape[:2], 3))
            enlarged = image.repeat(zoom, axis=0).repeat(zoom, axis=1)
            bottom = height - header - i * (cell_height * zoom + gap)
            figure.figimage(enlarged, left, bottom - enlarged.shape[0])
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=dpi, format="png")
