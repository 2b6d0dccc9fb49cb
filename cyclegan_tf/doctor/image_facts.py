"""What can be known of one image file without training on it."""

import dataclasses
import hashlib
import io
import pathlib
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import imagehash
import numpy as np
import PIL.ExifTags
import PIL.Image

from cyclegan_tf.data.sources import Source
from cyclegan_tf.images import Image, UnreadableImageError, read_image

# Levels of 255 by which the colour channels of a pixel may differ on average in an
# image that counts as gray. In horse2zebra and monet2photo it is up to 0.5 in gray
# photographs, for a coloured mark or the rounding of JPEG, and from 2.5 in toned ones.
_GRAY_SPREAD = 1.0

# Levels by which the pixels of a blank image deviate, say for the rounding of JPEG.
_BLANK_DEVIATION = 1.0

# Pixels a side of the grid that colours are judged by.
_GRID = 256

# The side of the perceptual hash, which has its square of bits. With the usual 8,
# different horses come as near to one another (8 of 64 bits) as two photographs of one
# scene do; with 16, all pairs up to 64 of 256 bits show one scene, in horse2zebra and
# in monet2photo, and the first of two scenes is at 78.
_HASH_SIDE = 16

_ORIENTATION = PIL.ExifTags.Base.Orientation
_UPRIGHT = 1


@dataclasses.dataclass(frozen=True, eq=False)
class ImageFacts:
    """One image of a data set.

    Attributes:
        name: its name.
        problem: why it cannot be read; empty if it can. Nothing below holds then.
        missing: it is named in a list, but is not there.
        width: pixels, upright.
        height: pixels, upright.
        gray: it has no colour, whatever its file could hold.
        blank: it has one colour only.
        traits: what is particular about its file: of `"alpha"`, `"cmyk"`,
            `"palette"`, `"deep"` (more than 8 bits), `"animated"`, `"rotated"` and
            `"suffix"` (of another format).
        bytes_digest: equal for equal files.
        pixels_digest: equal for images of equal pixels.
        fingerprint: bool (256,), a perceptual hash: images that look alike differ in
            few bits. Of a blank one it says nothing.
    """

    name: str
    problem: str = ""
    missing: bool = False
    width: int = 0
    height: int = 0
    gray: bool = False
    blank: bool = False
    traits: frozenset[str] = frozenset()
    bytes_digest: bytes = b""
    pixels_digest: bytes = b""
    fingerprint: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros(_HASH_SIDE**2, bool)
    )


# The images of each split that there is, of trainA, trainB, testA and testB.
Splits: TypeAlias = Mapping[str, Sequence[ImageFacts]]


def examine(source: Source) -> ImageFacts:
    """Read an image as training does, and note what is particular about it.

    Args:
        source: the image.

    Returns:
        What is known of it; the pixels themselves are not kept.
    """
    name, content = source
    if isinstance(content, np.ndarray):
        return _describe(name, content, content.tobytes(), frozenset())
    try:
        encoded = content if isinstance(content, bytes) else content.read_bytes()
        image = read_image(encoded)
        traits = _traits(encoded, content)
    except FileNotFoundError:
        return ImageFacts(name, "it is not there", missing=True)
    except UnreadableImageError as e:
        if isinstance(e.__cause__, PIL.UnidentifiedImageError):
            return ImageFacts(name, "of no known format")
        return ImageFacts(name, str(e.__cause__))
    except OSError as e:
        return ImageFacts(name, e.strerror or str(e))
    return _describe(name, image, encoded, traits)


def _describe(
    name: str, image: Image, encoded: bytes, traits: frozenset[str]
) -> ImageFacts:
    # A grid of pixels will do to judge colours, and spares seconds on photographs.
    rows, columns = (max(1, side // _GRID) for side in image.shape[:2])
    sample = image[::rows, ::columns]
    spread = sample.max(axis=-1) - sample.min(axis=-1)
    digest = hashlib.sha256(repr(image.shape).encode())
    digest.update(np.ascontiguousarray(image).data)
    looks = imagehash.phash(PIL.Image.fromarray(image), hash_size=_HASH_SIDE)
    return ImageFacts(
        name,
        width=image.shape[1],
        height=image.shape[0],
        gray=bool(spread.mean() < _GRAY_SPREAD),
        blank=bool(sample.std(axis=(0, 1)).max() < _BLANK_DEVIATION),
        traits=traits,
        bytes_digest=hashlib.sha256(encoded).digest(),
        pixels_digest=digest.digest(),
        fingerprint=looks.hash.ravel(),
    )


def _traits(encoded: bytes, content: pathlib.Path | bytes) -> frozenset[str]:
    with PIL.Image.open(io.BytesIO(encoded)) as file:
        # Multi-picture JPEG is what some cameras write: a photograph and its preview.
        file_format = "JPEG" if file.format == "MPO" else file.format
        frames = getattr(file, "is_animated", False) and file.format != "MPO"
        # Pillow opens 16-bit colour as 8-bit; only its decoder's arguments tell.
        deep = file.mode[0] in "IF" or any(";16" in str(tile) for tile in file.tile)
        orientation = file.getexif().get(_ORIENTATION, _UPRIGHT)
        found = {
            "alpha": file.has_transparency_data,
            "cmyk": file.mode == "CMYK",
            "palette": file.mode in ("P", "PA"),
            "deep": deep,
            "animated": frames,
            "rotated": orientation != _UPRIGHT,
            "suffix": isinstance(content, pathlib.Path)
            and PIL.Image.registered_extensions().get(content.suffix.lower())
            != file_format,
        }
    return frozenset(trait for trait, is_so in found.items() if is_so)
