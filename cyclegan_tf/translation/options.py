"""The options of `cyclegan translate` and `cyclegan serve`."""

import dataclasses
import pathlib
from typing import Annotated, Literal, TypeAlias

import tyro

from cyclegan_tf._shared.errors import InputError, check_positive

# Pixels of the shorter side; see `SizeLimit.of` for the words. The number comes first,
# because the parser of the command line stops at a word that is not a choice.
Size: TypeAlias = int | Literal["trained", "full"]


def check_size(size: Size) -> None:
    """Check a size that may come from Python.

    Raises:
        InputError: if it is another word, or less than 1.
    """
    if not isinstance(size, str):
        check_positive(size=size)
    elif size not in ("trained", "full"):
        raise InputError(
            f"`size` must be a number of pixels, 'trained' or 'full', not {size!r}."
        )


@dataclasses.dataclass(frozen=True)
class TranslateConfig:
    """Translate images with a trained generator.

    Attributes:
        source: A run folder, a generator's .keras file, a folder written by cyclegan
            export, or the name of a model.
        inputs: Image files and folders. Folders are searched with their subfolders.
        out: Folder for the translations and their manifest.csv.
        direction: Generator of the source: g translates X to Y, f translates Y to X.
            Or name the domains, as in zebra2horse. Default: g.
        size: Scale larger images down until their shorter side has so many pixels.
            trained means twice the size of the training images, full keeps every size.
        overwrite: Replace existing files, and start anew. Without it, the same command
            goes on where it was stopped.
        tile: Translate images with a side longer than this many pixels in tiles of this
            size, such as 512. The result is the same, and needs little memory, but up
            to 262 bytes per pixel of temporary files in the output folder. By default,
            images that do not fit the memory, or have more than 16.8 megapixels after
            scaling, are translated in tiles of 512, if libvips is installed and the
            generator is not exported.
    """

    source: Annotated[pathlib.Path, tyro.conf.Positional]
    inputs: Annotated[tuple[pathlib.Path, ...], tyro.conf.Positional]
    out: pathlib.Path = pathlib.Path("translated")
    direction: str | None = None
    size: Size = "trained"
    overwrite: bool = False
    tile: int | None = None

    def check(self) -> None:
        """Check the sizes of the images and of the tiles.

        Raises:
            InputError: if one is less than 1.
        """
        check_size(self.size)
        check_positive(tile=self.tile)


@dataclasses.dataclass(frozen=True)
class ServeConfig:
    """Serve a web page on this computer that translates photos.

    Attributes:
        source: A run folder, a generator's .keras file, a folder written by cyclegan
            export, or the name of a model.
        host: Address to listen on. 0.0.0.0 admits other computers, without a password.
        port: Port to listen on.
    """

    source: Annotated[pathlib.Path, tyro.conf.Positional]
    host: str = "127.0.0.1"
    port: int = 7860

    def check(self) -> None:
        """Check the range of the port.

        Raises:
            InputError: if it is not from 1 to 65535.
        """
        if not 1 <= self.port <= 65535:
            raise InputError(f"`port` must be from 1 to 65535, not {self.port}.")
