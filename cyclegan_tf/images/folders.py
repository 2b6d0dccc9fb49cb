"""The images in a folder."""

import logging
import os
import pathlib
from typing import NamedTuple

from cyclegan_tf._shared.files import files_below, natural_key
from cyclegan_tf.images.reading import SUFFIXES

_LOG = logging.getLogger(__name__)
# How many left-out files a line of the log names.
_NAMES_SHOWN = 5


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
