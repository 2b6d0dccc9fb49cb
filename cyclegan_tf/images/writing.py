"""Image files and contact sheets, written whole or not at all."""

import io
import pathlib
from collections.abc import Sequence

import numpy as np
import PIL.Image

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf._shared.files import replacing
from cyclegan_tf.images.pixels import Image, resize_image, to_pillow
from cyclegan_tf.images.reading import MAX_PIXELS, SUFFIXES


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


def _write(path: pathlib.Path, content: io.BytesIO) -> None:
    """Write a file that Pillow wrote to memory.

    On a full disk Pillow itself would write a part of it, and raise nothing.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(content.getbuffer())
