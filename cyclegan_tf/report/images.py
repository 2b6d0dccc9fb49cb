"""The test images of a report: translated, brought back, and put into the page."""

import base64
import dataclasses
import io
import logging
import math
import pathlib
import time
from collections.abc import Iterable

import numpy as np
import PIL.Image

from cyclegan_tf._shared.files import natural_key
from cyclegan_tf.data.domains import Domain, StillImages
from cyclegan_tf.evaluation import metrics
from cyclegan_tf.images import (
    Image,
    UnreadableImageError,
    read_image,
    resize_image,
)
from cyclegan_tf.translation.translator import Translator

_LOG = logging.getLogger(__name__)

# Pixels a side that a picture has on the page at most.
LONGEST_SIDE = 256
LONGEST_SHEET_SIDE = 1200

# Up to so many pixels a side, a page enlarges a picture pixel by pixel. What a lossy
# format does to it would be seen.
ENLARGED_SIDE = 64

# A quarter smaller than JPEG at the same looks; a page is often sent by mail.
_WEBP_QUALITY = 75

_SECONDS_BETWEEN_MESSAGES = 10


@dataclasses.dataclass(frozen=True)
class CycledImage:
    """An image, its translation and the way back, as the page shows them.

    Attributes:
        name: the image's name in its data set.
        input: `data:` address of the image as the generator gets it.
        translated: that of its translation.
        cycled: that of the translation's translation.
        width: pixels of each on the page.
        height: likewise.
        cycle_error: mean absolute difference of `cycled` to `input` over pixels and
            channels, in [-1, 1], so from 0 to 2; of the 8-bit images, before they
            were compressed for the page.
    """

    name: str
    input: str
    translated: str
    cycled: str
    width: int
    height: int
    cycle_error: float

    @property
    def is_enlarged(self) -> bool:
        """Whether the page shows it pixel by pixel."""
        return max(self.width, self.height) <= ENLARGED_SIDE


@dataclasses.dataclass(frozen=True)
class Sheet:
    """The picture of samples after an epoch.

    Attributes:
        epoch: int, from 1.
        url: its `data:` address.
        width: pixels on the page.
        height: likewise.
    """

    epoch: int
    url: str
    width: int
    height: int


class Progress:
    """Says now and then how many images are translated, and how long the rest takes.

    Args:
        total: int. Images to translate.
    """

    def __init__(self, total: int):
        self.total = total
        self.done = 0
        self._started = self._said = time.monotonic()

    def step(self) -> None:
        """Count one image."""
        self.done += 1
        now = time.monotonic()
        if now - self._said >= _SECONDS_BETWEEN_MESSAGES and self.done < self.total:
            self._said = now
            rest = (now - self._started) / self.done * (self.total - self.done)
            _LOG.info(
                "Translated %d of %d images, %d s to go.", self.done, self.total, rest
            )


def cycle_images(
    domain: Domain,
    count: int,
    data: str,
    there: Translator,
    back: Translator,
    progress: Progress,
) -> list[CycledImage]:
    """Translate the first images of a domain to the other one and back.

    Args:
        domain: test images; each is cropped at the centre, if the run crops.
        count: int. How many.
        data: the data set as `--data` names it; names are relative to it.
        there: the generator from this domain.
        back: the generator to it.
        progress: counts the images.

    Returns:
        The images in the order of the domain.
    """
    cycled_images = []
    for name, image in zip(domain.names, StillImages(domain, count)):
        translated = there(image)
        cycled = back(translated)
        [(_, error)] = metrics.cycle_error([image], [cycled])
        shown = _at_most(image, LONGEST_SIDE)
        cycled_images.append(
            CycledImage(
                _relative(name, data),
                data_url(shown),
                data_url(_at_most(translated, LONGEST_SIDE)),
                data_url(_at_most(cycled, LONGEST_SIDE)),
                shown.shape[1],
                shown.shape[0],
                error,
            )
        )
        progress.step()
    return cycled_images


def best_and_worst(
    images: Iterable[CycledImage], count: int
) -> tuple[list[CycledImage], list[CycledImage]]:
    """Return the images of the smallest and of the largest cycle error.

    Args:
        images: any number.
        count: int. At most so many of each; no image is both.

    Returns:
        The best, the best of all first; the worst, the worst of all first.
    """
    ranked = sorted(images, key=lambda image: image.cycle_error)
    count = min(count, len(ranked) // 2)
    return ranked[:count], ranked[::-1][:count]


def sample_sheets(folder: pathlib.Path, count: int) -> tuple[list[Sheet], list[str]]:
    """Read the pictures of samples that a training left.

    Args:
        folder: with `epoch-0001.png` and so on; it need not be there.
        count: int. At most so many, evenly spread, with the first and the last.

    Returns:
        The sheets in order, and a sentence for each that cannot be read.
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
    """Return an image as a `data:` address: WebP, without loss if it is small.

    Args:
        image: uint8 array (height, width, 1 or 3).
    """
    pixels = image[..., 0] if image.shape[-1] == 1 else image
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(
        file,
        format="WEBP",
        quality=_WEBP_QUALITY,
        lossless=max(image.shape[:2]) <= ENLARGED_SIDE,
    )
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"


def _at_most(image: Image, longest_side: int) -> Image:
    """Shrink an image that is larger."""
    height, width = image.shape[:2]
    scale = longest_side / max(height, width)
    if scale >= 1:
        return image
    return resize_image(image, math.ceil(height * scale), math.ceil(width * scale))


def _relative(name: str, data: str) -> str:
    """Shorten the path of an image to what says where it is in the data set."""
    path = pathlib.PurePath(name)
    return str(path.relative_to(data)) if path.is_relative_to(data) else name
