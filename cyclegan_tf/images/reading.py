"""Image files, read upright: the one place that opens them, and its limits."""

import contextlib
import functools
import io
import math
import pathlib
import struct
import warnings
from collections.abc import Iterator

import numpy as np
import PIL.ExifTags
import PIL.Image
import PIL.ImageFile

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf._shared.machine import free_memory
from cyclegan_tf.images.pixels import Image, shrink_image, shrunk_size

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

# What errors call an image without a path.
_NO_NAME = "the image"

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class UnreadableImageError(InputError):
    """A file is not an image, or is damaged."""


class UnknownRangeError(UnreadableImageError):
    """An image has pixel values, such as floats, with no known black and white."""


class TooLargeImageError(UnreadableImageError):
    """An image has more pixels than are read at once."""


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
