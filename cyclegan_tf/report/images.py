"""Translate the test images of a report, and encode them for the page."""

import base64
import dataclasses
import io
import math
import pathlib
import sys
from collections.abc import Iterable

import numpy as np
import rich.console
import rich.progress

from cyclegan_tf._shared.files import natural_key, relative_name
from cyclegan_tf.data.domains import Domain, StillImages
from cyclegan_tf.evaluation import metrics
from cyclegan_tf.images.pixels import Image, resize_image, to_pillow
from cyclegan_tf.images.reading import UnreadableImageError, read_image
from cyclegan_tf.translation.translator import Translator

# Most pixels per side of a picture on the page.
LONGEST_SIDE = 256
LONGEST_SHEET_SIDE = 1200

# Of pairs that are shown two in a row.
LARGER_SIDE = 480

# The page enlarges pictures up to this side, so they need a lossless format.
ENLARGED_SIDE = 64

# A quarter smaller than JPEG of the same quality, for pages sent by mail.
_WEBP_QUALITY = 75


@dataclasses.dataclass(frozen=True)
class ShownPair:
    """An image and its translation, as the page shows them.

    Attributes:
        name: the image's name in its data set.
        input: `data:` URL of the generator's input, as of `translated`.
        width: pixels of each picture on the page, as `height`.
    """

    name: str
    input: str
    translated: str
    width: int
    height: int

    @property
    def is_enlarged(self) -> bool:
        """Whether the page shows it pixel by pixel."""
        return max(self.width, self.height) <= ENLARGED_SIDE


@dataclasses.dataclass(frozen=True)
class CycledImage(ShownPair):
    """Also the translation back.

    Attributes:
        cycled: `data:` URL.
        cycle_error: mean absolute difference of input and cycled image, for values in
            [-1, 1], so 0 to 2; before compression for the page.
    """

    cycled: str
    cycle_error: float


@dataclasses.dataclass(frozen=True)
class Sheet:
    """The picture of samples after an epoch, counted from 1, as a `data:` URL."""

    epoch: int
    url: str
    width: int
    height: int


def translate_images(
    domain: Domain,
    count: int | None,
    data: str,
    there: Translator,
    back: Translator | None,
) -> list[ShownPair]:
    """Translate the first images of a domain to the other domain and back.

    A terminal shows a bar of the progress and the time left.

    Args:
        domain: test images without damaged ones, cropped at the center if the run
            crops.
        count: int. The most images. `None` for all.
        data: the run's data set; names are relative to it.
        there: generator from this domain.
        back: generator to this domain; `None` if there is none.

    Returns:
        A `CycledImage` of each image if there is a way back.
    """
    stills = StillImages(domain, count)
    images: list[ShownPair] = []
    for name, image in rich.progress.track(
        zip(domain.names, stills),
        "Translating",
        total=len(stills),
        console=rich.console.Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    ):
        translated = there(image)
        small = _at_most(image, LONGEST_SIDE)
        shown = ShownPair(
            relative_name(name, data),
            data_url(small),
            data_url(_at_most(translated, LONGEST_SIDE)),
            small.shape[1],
            small.shape[0],
        )
        if back:
            cycled = back(translated)
            [(_, error)] = metrics.cycle_error([image], [cycled])
            url = data_url(_at_most(cycled, LONGEST_SIDE))
            shown = CycledImage(**vars(shown), cycled=url, cycle_error=error)
        images.append(shown)
    return images


def shown_pairs(files: Iterable[tuple[pathlib.Path, pathlib.Path]]) -> list[ShownPair]:
    """Read images and their translations for the page.

    Args:
        files: of each pair.
    """
    pairs = []
    for files_of_pair in files:
        before, after = (
            _at_most(read_image(file), LARGER_SIDE) for file in files_of_pair
        )
        height, width = after.shape[:2]
        pairs.append(
            ShownPair(
                files_of_pair[0].stem, data_url(before), data_url(after), width, height
            )
        )
    return pairs


def best_and_worst(
    images: Iterable[CycledImage], count: int
) -> tuple[list[CycledImage], list[CycledImage]]:
    """Return the images of the smallest and of the largest cycle error.

    Args:
        images: any number of images.
        count: int. At most so many of each; no image is in both lists.

    Returns:
        The best images, best first, and the worst, worst first.
    """
    ranked = sorted(images, key=lambda image: image.cycle_error)
    count = min(count, len(ranked) // 2)
    return ranked[:count], ranked[::-1][:count]


def sample_sheets(folder: pathlib.Path, count: int) -> tuple[list[Sheet], list[str]]:
    """Read the pictures of samples of a training.

    Args:
        folder: folder of `epoch-0001.png` and so on, which need not exist.
        count: int. At most so many pictures, evenly spread, with the first and last.

    Returns:
        The pictures in order, and a sentence for each unreadable one.
    """
    paths = sorted(folder.glob("epoch-[0-9]*.png"), key=natural_key)
    chosen = np.linspace(0, len(paths) - 1, min(count, len(paths))).round().astype(int)
    sheets, problems = [], []
    for path in (paths[i] for i in chosen):
        try:
            sheet = _at_most(read_image(path), LONGEST_SHEET_SIDE)
        except UnreadableImageError as e:
            problems.append(f"A picture of samples is left out: {e}")
            continue
        epoch = int(path.stem.removeprefix("epoch-"))
        sheets.append(Sheet(epoch, data_url(sheet), sheet.shape[1], sheet.shape[0]))
    return sheets, problems


def data_url(image: Image) -> str:
    """Return an image as a WebP `data:` URL, lossless if it is small."""
    file = io.BytesIO()
    to_pillow(image).save(
        file,
        format="WEBP",
        quality=_WEBP_QUALITY,
        lossless=max(image.shape[:2]) <= ENLARGED_SIDE,
    )
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"


def _at_most(image: Image, longest_side: int) -> Image:
    """Shrink an image whose longer side is larger."""
    height, width = image.shape[:2]
    scale = longest_side / max(height, width)
    if scale >= 1:
        return image
    return resize_image(image, math.ceil(height * scale), math.ceil(width * scale))
