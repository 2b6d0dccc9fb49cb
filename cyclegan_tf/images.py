"""Images outside the networks: value range, files, resizing, contact sheets.

An image is a uint8 array (height, width, channels) in [0, 255] with 1 or 3 channels.
The networks see float32 in [-1, 1]; only `normalize` and `denormalize` convert
between the two.
"""

import contextlib
import functools
import io
import logging
import math
import os
import pathlib
import struct
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import PIL.ExifTags
import PIL.Image
import PIL.ImageFile

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf._shared.files import files_below, natural_key, replacing
from cyclegan_tf._shared.machine import free_memory

_LOG = logging.getLogger(__name__)

Image: TypeAlias = np.ndarray

# Formats that are given to Pillow, and their suffixes. It knows more, such as EPS,
# which it hands to other programs.
_FORMATS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "MPO": (),  # several pictures in a JPEG
    "PNG": (".png",),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm"),
    "AVIF": (".avif",),
    "JPEG2000": (".jp2",),
}
SUFFIXES = frozenset(suffix for suffixes in _FORMATS.values() for suffix in suffixes)

# The most pixels of an image that is decoded whole: ResNet-9 then takes 17 GB. A PNG of
# ten kilobytes can claim far more.
MAX_PIXELS = 4096 * 4096
# The most where images are made smaller before a network sees them, as in a training:
# 400 MB decoded.
MAX_PIXELS_TO_SHRINK = 2**27
# Pillow's own limit is higher: it warns first, of what `open_image` refuses anyway.
warnings.filterwarnings("ignore", category=PIL.Image.DecompressionBombWarning)

# What undoes each EXIF orientation; 1 is upright, 5 to 8 swap height and width.
_TURNS = {
    2: PIL.Image.Transpose.FLIP_LEFT_RIGHT,
    3: PIL.Image.Transpose.ROTATE_180,
    4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
    5: PIL.Image.Transpose.TRANSPOSE,
    6: PIL.Image.Transpose.ROTATE_270,
    7: PIL.Image.Transpose.TRANSVERSE,
    8: PIL.Image.Transpose.ROTATE_90,
}

# How many left-out files a line of the log names.
_NAMES_SHOWN = 5

# What errors call an image without a path.
_NO_NAME = "the image"

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class UnreadableImageError(InputError):
    """A file is not an image, or is damaged."""


class UnknownRangeError(UnreadableImageError):
    """An image has pixel values, such as floats, with no known black and white."""


class TooLargeImageError(UnreadableImageError):
    """An image has more pixels than are read at once."""


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


def read_image(
    source: pathlib.Path | bytes,
    channels: int = 3,
    max_pixels: int = MAX_PIXELS,
    name: str | None = None,
) -> Image:
    """Read an image file, upright.

    The EXIF orientation is applied, an alpha channel is dropped, color profiles are
    ignored, 16-bit gray is scaled to 8 bits by round(v / 257), and only the first frame
    is read. Damaged metadata are ignored.

    Args:
        source: a path, or the bytes of a file: JPEG, PNG, BMP, GIF, WebP, TIFF, PPM,
            and AVIF and JPEG 2000 if Pillow has them.
        channels: int. 3 (gray is repeated) or 1 (color is converted to luminance).
            Defaults to `3`.
        max_pixels: int. Defaults to `MAX_PIXELS`.
        name: what errors call the image. Defaults to its path, or `"the image"`.

    Returns:
        uint8 array (height, width, channels).

    Raises:
        UnreadableImageError: if the file is damaged, of another format, or of other
            numbers than 8 or 16 bits.
        TooLargeImageError: if its header claims more than `max_pixels` pixels.
        InputError: if there is no such file.
    """
    name = name or _name(source)
    with open_image(source, max_pixels, name) as file:
        return from_pillow(upright(file), channels, name)


def read_shrunk(
    source: pathlib.Path | bytes,
    channels: int,
    shorter_side: int | None,
    bytes_per_pixel: float,
) -> tuple[Image, tuple[int, int]]:
    """Read an image file for a generator, and scale it down.

    Args:
        source: as for `read_image`.
        channels: int. 3 or 1.
        shorter_side: as for `shrink_image`.
        bytes_per_pixel: float. What the generator needs of the memory.

    Returns:
        uint8 array (height, width, channels), and height and width in the file.

    Raises:
        UnreadableImageError, InputError: as `read_image`.
        TooLargeImageError: if there are more pixels afterwards than `MAX_PIXELS` or the
            free memory allow, or more than `MAX_PIXELS_TO_SHRINK` before.
    """
    max_pixels = min(MAX_PIXELS, int(free_memory() / bytes_per_pixel))
    most = max_pixels if shorter_side is None else MAX_PIXELS_TO_SHRINK
    size = read_size(source, most)
    if math.prod(shrunk_size(*size, shorter_side)) > max_pixels:
        raise _too_large(_name(source), max_pixels)
    return shrink_image(read_image(source, channels, most), shorter_side), size


def from_pillow(
    image: PIL.Image.Image, channels: int = 3, name: str = _NO_NAME
) -> Image:
    """Convert a Pillow image of any mode with 8 or 16 bits, as `read_image` does.

    Raises:
        UnknownRangeError: if it has other pixel values, whose range nobody knows.
    """
    _check_bit_depth(image, name)
    if image.mode.startswith("I"):  # 16 bits: convert() would clip them
        levels = np.rint(np.asarray(image) / 257)
        image = PIL.Image.fromarray(levels.astype(np.uint8))
    if image.mode == "LAB":  # Pillow knows no way to gray
        image = image.convert("RGB")
    if image.mode == "P":  # Pillow warns if it converts transparent palettes directly
        image = image.convert("RGBA")
    pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    return pixels.reshape(*pixels.shape[:2], channels)


def read_size(
    source: pathlib.Path | bytes,
    max_pixels: int = MAX_PIXELS,
    name: str | None = None,
) -> tuple[int, int]:
    """Return the height and width of an image file, upright, from its header.

    Raises:
        UnreadableImageError, InputError: as `read_image`, except for damaged pixels.
    """
    name = name or _name(source)
    with open_image(source, max_pixels, name) as file:
        _check_bit_depth(file, name)
        width, height = file.size
        return (width, height) if _is_turned(file) else (height, width)


@contextlib.contextmanager
def open_image(
    source: pathlib.Path | bytes,
    max_pixels: int = MAX_PIXELS,
    name: str | None = None,
) -> Iterator[PIL.ImageFile.ImageFile]:
    """Open an image file with Pillow: the only place that does.

    Its size is checked before anything is decoded. Whatever Pillow raises in this block
    becomes an `UnreadableImageError`: strangers' files make it raise nearly anything.

    Raises:
        UnreadableImageError, InputError: as `read_image`.
    """
    name = name or _name(source)
    try:
        with _open_with_pillow(source) as file:
            if file.width * file.height > max_pixels:
                raise _too_large(name, max_pixels)
            yield file
    except FileNotFoundError:
        raise InputError(f"There is no file {name}; check the name.") from None
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning) as e:
        raise _too_large(name, max_pixels) from e
    except InputError:
        raise
    except Exception as e:
        reason = str(e) or type(e).__name__
        raise UnreadableImageError(
            f"{name} cannot be read as an image ({reason})."
        ) from e


def _name(source: pathlib.Path | bytes) -> str:
    return _NO_NAME if isinstance(source, bytes) else str(source)


def _too_large(name: str, max_pixels: int) -> TooLargeImageError:
    return TooLargeImageError(
        f"{name} has more than {max_pixels / 1e6:.1f} megapixels, the limit of this "
        "program or of the free memory; make it smaller, or, to translate it by a run "
        "or a .keras file, install cyclegan_tf[large] and use `tile=512`."
    )


def _open_with_pillow(source: pathlib.Path | bytes) -> PIL.ImageFile.ImageFile:
    def opened(source: pathlib.Path | bytes) -> PIL.ImageFile.ImageFile:
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        return PIL.Image.open(file, formats=_known_formats())

    try:
        return opened(source)
    except (PIL.UnidentifiedImageError, ValueError):
        # Pillow refuses a PNG for damaged metadata.
        content = source if isinstance(source, bytes) else source.read_bytes()
        if not content.startswith(_PNG_SIGNATURE):
            raise
        return opened(_without_metadata(content))


@functools.cache
def _known_formats() -> tuple[str, ...]:
    PIL.Image.init()
    return tuple(name for name in _FORMATS if name in PIL.Image.OPEN)


def _without_metadata(png: bytes) -> bytes:
    """Drop the chunks of a PNG that no pixel needs, which Pillow also checks."""
    kept, place = [_PNG_SIGNATURE], len(_PNG_SIGNATURE)
    while place + 8 <= len(png):
        length, kind = struct.unpack_from(">I4s", png, place)
        end = place + 12 + length
        if kind[:1].isupper() or kind == b"tRNS":
            kept.append(png[place:end])
        place = end
    return b"".join(kept)


def _check_bit_depth(image: PIL.Image.Image, name: str) -> None:
    # Pillow scales the integers of a PPM to 16 bits.
    if image.mode == "F" or (image.mode == "I" and image.format != "PPM"):
        low, high = image.getextrema()
        kind = "floating-point" if image.mode == "F" else "32-bit"
        raise UnknownRangeError(
            f"{name} has {kind} numbers from {low:g} to {high:g}, and nothing says "
            "which are black and white; convert it to 8 or 16 bits."
        )


def orientation_of(file: PIL.Image.Image) -> int:
    """Return the EXIF orientation, 1 (upright) if there is none or it is damaged."""
    try:
        return int(file.getexif().get(PIL.ExifTags.Base.Orientation, 1))
    except Exception:
        return 1


def upright(image: PIL.Image.Image) -> PIL.Image.Image:
    """Turn an image as its EXIF orientation says.

    Not `PIL.ImageOps.exif_transpose`, which also rewrites the other EXIF data, and
    fails if these are damaged.
    """
    image.load()
    turn = _TURNS.get(orientation_of(image))
    return image if turn is None else image.transpose(turn)


def _is_turned(file: PIL.Image.Image) -> bool:
    # For EXIF data behind the pixels of a PNG, Pillow would decode these.
    if file.format == "PNG" and "exif" not in file.info:
        return False
    return orientation_of(file) >= 5


def in_channels(image: Image, channels: int) -> Image:
    """Convert an image (height, width, 1 or 3) to 1 or 3 channels, as `read_image`."""
    if image.shape[-1] == channels:
        return image
    pixels = to_pillow(image).convert("L" if channels == 1 else "RGB")
    return np.asarray(pixels).reshape(*image.shape[:2], channels)


def is_larger_than(path: pathlib.Path, side: int) -> bool:
    """Say whether an image file's longer side exceeds `side` pixels, without decoding.

    An image above `MAX_PIXELS` counts as larger, an unreadable file does not.
    """
    try:
        with open_image(path) as file:
            return max(file.size) > side
    except TooLargeImageError:
        return True
    except InputError:
        return False


def write_image(path: pathlib.Path, image: Image) -> None:
    """Write an image in the format of the name's suffix, JPEG in quality 95.

    Args:
        path: the file; missing folders are created.
        image: uint8 array (height, width, 1 or 3).

    Raises:
        InputError: if no image can be written under the suffix.
    """
    content = io.BytesIO()
    kinds = PIL.Image.registered_extensions()
    known = [suffix for suffix in SUFFIXES if kinds.get(suffix) in PIL.Image.SAVE]
    if path.suffix.lower() not in known:
        raise InputError(
            f"{path} does not have the suffix of an image to write; known are "
            f"{', '.join(sorted(known))}."
        )
    to_pillow(image).save(content, kinds[path.suffix.lower()], quality=95)
    _write(path, content)


def _write(path: pathlib.Path, content: io.BytesIO) -> None:
    """Write a file that Pillow wrote to memory.

    On a full disk Pillow itself would write a part of it, and raise nothing.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(content.getbuffer())


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


class FolderContents(NamedTuple):
    """The files in a folder and its subfolders, each kind in natural order.

    Attributes:
        images: files with an image suffix.
        others: other files, and subfolders that cannot be read.
        broken_links: links without a target.
    """

    images: list[pathlib.Path]
    others: list[pathlib.Path]
    broken_links: list[pathlib.Path]


def list_folder(folder: pathlib.Path) -> FolderContents:
    """List the files in a folder and its subfolders by kind.

    Hidden files and folders are left out; linked folders are listed once.
    """
    contents = FolderContents([], [], [])
    for path in sorted(files_below(folder), key=natural_key):
        # os.path: pathlib raises where a folder does not permit a look at its files.
        if os.path.islink(path) and not os.path.exists(path):
            contents.broken_links.append(path)
        elif path.suffix.lower() in SUFFIXES and os.path.isfile(path):
            contents.images.append(path)
        else:
            contents.others.append(path)
    return contents


def find_images(folder: pathlib.Path) -> list[pathlib.Path]:
    """List the images of `list_folder`; the log counts and names what is left out."""
    contents = list_folder(folder)
    _log_left_out(folder, contents.others, "without an image suffix")
    _log_left_out(
        folder,
        contents.broken_links,
        "links without a target, to fetch by git annex get or dvc pull",
    )
    return contents.images


def _log_left_out(folder: pathlib.Path, paths: list[pathlib.Path], what: str) -> None:
    if paths:
        names = [str(path.relative_to(folder)) for path in paths[:_NAMES_SHOWN]]
        more = len(paths) - len(names)
        names += [f"{more} more"] * bool(more)
        _LOG.warning(
            "Left out of %s, %s: %d (%s).", folder, what, len(paths), ", ".join(names)
        )


def write_contact_sheet(
    path: pathlib.Path, rows: Sequence[Sequence[Image]], headings: Sequence[str]
) -> None:
    """Write a PNG with rows of images under headings.

    Args:
        path: the PNG file.
        rows: one image per heading in each row. Small images are enlarged by a whole
            factor, and all are shrunk if the sheet had more than `MAX_PIXELS` pixels.
        headings: titles of the columns.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = _shrunk_to_one_sheet(rows)
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
    content = io.BytesIO()
    figure.savefig(content, dpi=dpi, format="png")
    _write(path, content)


def _shrunk_to_one_sheet(rows: Sequence[Sequence[Image]]) -> Sequence[Sequence[Image]]:
    heights, widths, _ = zip(*(image.shape for row in rows for image in row))
    pixels = len(heights) * max(heights) * max(widths)
    scale = (0.8 * MAX_PIXELS / pixels) ** 0.5  # the rest is for gaps and headings
    if scale >= 1:
        return rows
    return [
        [
            resize_image(
                image, *(max(1, int(side * scale)) for side in image.shape[:2])
            )
            for image in row
        ]
        for row in rows
    ]
