"""Examine one image file."""

import dataclasses
import hashlib
import pathlib
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import imagehash
import numpy as np
import PIL.Image

from cyclegan_tf.data.sources import Source
from cyclegan_tf.images.pixels import Image
from cyclegan_tf.images.reading import (
    MAX_PIXELS_TO_SHRINK,
    UnreadableImageError,
    open_image,
    orientation_of,
    read_image,
)

# Mean difference of a gray image's color channels, in levels of 255. In horse2zebra and
# monet2photo it is at most 0.5 in gray photographs, from a colored mark or JPEG
# rounding, and at least 2.5 in toned ones.
_GRAY_SPREAD = 1.0

# Standard deviation of a blank image's pixels, in levels of 255, from JPEG rounding.
_BLANK_DEVIATION = 1.0

# An image is narrow if its levels, of 255, lie closer together than this tenth.
_NARROW_RANGE = 25

# Pixels per side of the grid on which colors are judged, to save time on photographs.
_GRID = 256

# Side of the perceptual hash, which has side^2 bits. With the usual 8, different horses
# are as near to each other (8 of 64 bits) as two photographs of one scene. With 16, all
# pairs up to 64 of 256 bits in horse2zebra and monet2photo show one scene, and the
# nearest pair of two scenes is at 78.
_HASH_SIDE = 16


@dataclasses.dataclass(frozen=True, eq=False)
class ImageFacts:
    """Facts about one image of a data set.

    Attributes:
        name: file name.
        problem: why it cannot be read, which leaves the fields below unset; else empty.
        missing: whether a list names it, but it does not exist.
        width: pixels, upright.
        height: pixels, upright.
        gray: whether its pixels have no color, whatever the file's format.
        traits: peculiarities, among `"blank"` (of a single color), `"narrow"` (of less
            than a tenth of the range), `"alpha"`, `"cmyk"`, `"palette"`, `"deep"` (more
            than 8 bits), `"animated"`, `"rotated"` and `"suffix"` (of another format).
        bytes_digest: equal for equal files.
        pixels_digest: equal for equal pixels.
        fingerprint: bool (256,), a perceptual hash: similar images differ in few bits.
            It has no meaning for blank images.
    """

    name: str
    problem: str = ""
    missing: bool = False
    width: int = 0
    height: int = 0
    gray: bool = False
    traits: frozenset[str] = frozenset()
    bytes_digest: bytes = b""
    pixels_digest: bytes = b""
    fingerprint: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros(_HASH_SIDE**2, bool)
    )


# Facts by split; absent splits have no entry.
Splits: TypeAlias = Mapping[str, Sequence[ImageFacts]]


def examine(source: Source) -> ImageFacts:
    """Read an image as training does, and return facts about it, without its pixels."""
    name, content = source.name, source.content
    if isinstance(content, np.ndarray):
        return _describe(name, content, content.tobytes(), frozenset())
    try:
        encoded = content if isinstance(content, bytes) else content.read_bytes()
        image = read_image(encoded, max_pixels=MAX_PIXELS_TO_SHRINK)
        image = image[:, source.columns(image.shape[1])]
        traits = _traits(encoded, content)
    except FileNotFoundError:
        return ImageFacts(name, "it does not exist", missing=True)
    except UnreadableImageError as e:
        if isinstance(e.__cause__, PIL.UnidentifiedImageError):
            return ImageFacts(name, "unknown format")
        return ImageFacts(name, str(e.__cause__ or e))
    except (OSError, ValueError) as e:  # such as a name with a null byte
        return ImageFacts(name, getattr(e, "strerror", None) or str(e))
    return _describe(name, image, encoded, traits)


def _describe(
    name: str, image: Image, encoded: bytes, traits: frozenset[str]
) -> ImageFacts:
    rows, columns = (max(1, side // _GRID) for side in image.shape[:2])
    sample = image[::rows, ::columns]
    spread = sample.max(axis=-1) - sample.min(axis=-1)
    digest = hashlib.sha256(repr(image.shape).encode())
    digest.update(np.ascontiguousarray(image).data)
    if sample.std(axis=(0, 1)).max() < _BLANK_DEVIATION:
        traits |= {"blank"}
    elif int(image.max()) - int(image.min()) <= _NARROW_RANGE:
        traits |= {"narrow"}
    looks = imagehash.phash(PIL.Image.fromarray(image), hash_size=_HASH_SIDE)
    return ImageFacts(
        name,
        width=image.shape[1],
        height=image.shape[0],
        gray=bool(spread.mean() < _GRAY_SPREAD),
        traits=traits,
        bytes_digest=hashlib.sha256(encoded).digest(),
        pixels_digest=digest.digest(),
        fingerprint=looks.hash.ravel(),
    )


def _traits(encoded: bytes, content: pathlib.Path | bytes) -> frozenset[str]:
    with open_image(encoded) as file:
        # Some cameras write multi-picture JPEG: a photograph and its preview.
        file_format = "JPEG" if file.format == "MPO" else file.format
        frames = getattr(file, "is_animated", False) and file.format != "MPO"
        # Pillow opens 16-bit color as 8-bit; only its decoder's arguments show it.
        deep = file.mode[0] in "IF" or any(";16" in str(tile) for tile in file.tile)
        found = {
            "alpha": file.has_transparency_data,
            "cmyk": file.mode == "CMYK",
            "palette": file.mode in ("P", "PA"),
            "deep": deep,
            "animated": frames,
            "rotated": orientation_of(file) != 1,
            "suffix": isinstance(content, pathlib.Path)
            and PIL.Image.registered_extensions().get(content.suffix.lower())
            != file_format,
        }
    return frozenset(trait for trait, is_so in found.items() if is_so)
