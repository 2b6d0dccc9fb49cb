"""Read and write image files strip by strip with libvips.

Pillow, which reads all other images, decodes whole files. Needs the extra `large`.
"""

import pathlib
from typing import TYPE_CHECKING, Any

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf._shared.files import replacing
from cyclegan_tf.images.reading import (
    TooLargeImageError,
    UnknownRangeError,
    UnreadableImageError,
)
from cyclegan_tf.translation.tiled.rasters import RasterFile

if TYPE_CHECKING:
    import pyvips

# libvips holds some rows in memory, 61 bytes a pixel. A TIFF of 200 bytes can claim
# rows of 4 GB.
_LONGEST_SIDE = 1_000_000
# Pillow's weights of red, green and blue (ITU-R BT.601).
_LUMINANCE = [0.299, 0.587, 0.114]
# Quality and chroma subsampling of `write_image`.
_JPEG = {"Q": 95, "subsample_mode": "on"}
_SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".jpe": _JPEG,
    ".jfif": _JPEG,
    ".webp": {"Q": 95},
    ".tif": {"bigtiff": True},
    ".tiff": {"bigtiff": True},
}


def require_libvips() -> None:
    """Check that libvips is installed.

    Raises:
        InputError: if it is not installed.
    """
    if not has_libvips():
        raise InputError(
            "Large images need libvips, which is not installed; "
            "pip install 'cyclegan_tf[large]'."
        )


def has_libvips() -> bool:
    """Say whether libvips is installed."""
    try:
        import pyvips  # noqa: F401
    except (ImportError, OSError):
        return False
    return True


def large_image_size(path: pathlib.Path) -> tuple[int, int]:
    """Return the upright height and width of an image file, without decoding it.

    Raises:
        UnreadableImageError: if libvips does not know the format.
        TooLargeImageError: if a side has more than a million pixels.
    """
    image = _open(path, "sequential")
    size = image.height, image.width
    return size if _orientation(image) < 5 else size[::-1]


def decode(
    path: pathlib.Path,
    channels: int,
    pixels: pathlib.Path,
    size: tuple[int, int] | None = None,
) -> RasterFile:
    """Write the pixels of an image file into a raw file, equal to `read_image`.

    Progressive JPEG and interlaced PNG do not store their rows in order, and are still
    decoded as a whole.

    Args:
        path: a JPEG, PNG, TIFF, WebP or GIF file (the first frame).
        channels: int. 3 or 1.
        pixels: the file to write.
        size: (height, width) to scale the upright image down to, nearly as
            `resize_image` does. Defaults to its own size.

    Returns:
        The written file: uint8 (height, width, channels).

    Raises:
        UnreadableImageError: if the format is unknown, or the file is damaged.
        UnknownRangeError: if it has other numbers than 8 or 16 bits.
        TooLargeImageError: if a side has more than a million pixels.
    """
    import pyvips

    image = _open(path, "sequential")
    if _orientation(image) > 2:  # the upright image starts elsewhere
        image = _open(path, "random")
    try:
        image = _in_channels(image.autorot(), channels)
        if size not in (None, (image.height, image.width)):
            image = _resized(image, *size)
        image.rawsave(str(pixels))
    except pyvips.Error as e:
        raise _unreadable(path, e) from e
    return RasterFile(pixels, (image.height, image.width, channels), "uint8")


def encode(path: pathlib.Path, pixels: RasterFile) -> None:
    """Write an image file in the format of the name's suffix, JPEG in quality 95.

    libvips maps the raw file into memory: the process seems to grow by its size, but
    the system can reclaim these pages.

    Args:
        path: the file; missing folders are created.
        pixels: uint8 (height, width, 1 or 3).

    Raises:
        InputError: if libvips cannot write that format in that size.
    """
    import pyvips

    height, width, channels = pixels.shape
    image = pyvips.Image.rawload(str(pixels.path), width, height, channels).copy(
        interpretation="b-w" if channels == 1 else "srgb"
    )
    with replacing(path) as temporary:
        try:
            image.write_to_file(
                str(temporary), **_SAVE_OPTIONS.get(path.suffix.lower(), {})
            )
        except pyvips.Error as e:
            raise InputError(
                f"{path} cannot be written in {width}x{height} pixels "
                f"({_reason(e)}); use the suffix of another format."
            ) from e


def _open(path: pathlib.Path, access: str) -> "pyvips.Image":
    import pyvips

    try:
        image = pyvips.Image.new_from_file(
            str(path), access=access, fail_on="truncated"
        )
    except pyvips.Error as e:
        raise _unreadable(path, e) from e
    if max(image.width, image.height) > _LONGEST_SIDE:
        raise TooLargeImageError(
            f"{path} claims {image.width}x{image.height} pixels, with a side of more "
            f"than {_LONGEST_SIDE:,}; cut it into smaller images."
        )
    if image.format not in ("uchar", "ushort"):
        raise UnknownRangeError(
            f"{path} has {image.format} numbers, and nothing says which are black and "
            "white; convert it to 8 or 16 bits."
        )
    return image


def _orientation(image: "pyvips.Image") -> int:
    """Return EXIF's number: 3 and above reorder rows, 5 and above swap the sides."""
    known = "orientation" in image.get_fields()
    return int(image.get("orientation")) if known else 1


def _in_channels(image: "pyvips.Image", channels: int) -> "pyvips.Image":
    if image.format == "ushort" and image.bands == 1:  # libvips would drop 8 bits
        image = (image / 257).rint().cast("uchar").copy(interpretation="b-w")
    image = image.colourspace("srgb" if image.bands > 2 else "b-w")
    image = image.extract_band(0, n=3 if image.bands > 2 else 1)  # without alpha
    if channels == 3:
        return image if image.bands == 3 else image.bandjoin([image, image])
    if image.bands == 3:
        image = image.recomb([_LUMINANCE]).rint()
    return image.cast("uchar")


def _resized(image: "pyvips.Image", height: int, width: int) -> "pyvips.Image":
    # The gap would shrink by whole numbers first, which is faster and another filter.
    return image.resize(
        width / image.width, vscale=height / image.height, kernel="cubic", gap=0
    )


def _unreadable(path: pathlib.Path, error: "pyvips.Error") -> UnreadableImageError:
    return UnreadableImageError(
        f"{path} cannot be read as a large image ({_reason(error)}); make it a JPEG, "
        "PNG or TIFF file."
    )


def _reason(error: "pyvips.Error") -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "; ".join(lines)
