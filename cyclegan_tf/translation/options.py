"""The options of `cyclegan translate` and `cyclegan serve`."""

import dataclasses
import pathlib
from typing import Annotated, Literal

import tyro

from cyclegan_tf._shared.errors import InputError


@dataclasses.dataclass(frozen=True)
class TranslateConfig:
    """Translate images with a trained generator.

    Attributes:
        source: A run, a generator's .keras file, or a folder of cyclegan export.
        inputs: Image files and folders; folders are searched through, and their
            subfolders kept.
        out: The folder for the translations and their manifest.csv.
        direction: Which generator of the source: g from X to Y, f from Y to X.
        overwrite: Replace translations that are already there.
        tile: Translate images with a longer side than so many pixels in tiles of that
            size: the same result in little memory, but with up to 262 bytes for each
            pixel on the disk of --out meanwhile. 512 is a good size.
    """

    source: Annotated[pathlib.Path, tyro.conf.Positional]
    inputs: Annotated[tuple[pathlib.Path, ...], tyro.conf.Positional]
    out: pathlib.Path = pathlib.Path("translated")
    direction: Literal["g", "f"] = "g"
    overwrite: bool = False
    tile: int | None = None

    def check(self) -> None:
        """Check the size of the tiles.

        Raises:
            InputError: if it is none.
        """
        if self.tile is not None and self.tile < 1:
            raise InputError(f"`tile` must be at least 1, not {self.tile}.")


@dataclasses.dataclass(frozen=True)
class ServeConfig:
    """Serve a page on this computer that translates photos.

    Attributes:
        source: A run folder, a generator's .keras file, or a folder that cyclegan
            export wrote.
        host: Address to listen at. 0.0.0.0 lets other computers in; there is no log-in.
        port: Port to listen at.
    """

    source: pathlib.Path
    host: str = "127.0.0.1"
    port: int = 7860

    def check(self) -> None:
        """Check the range of the port.

        Raises:
            InputError: if it is none.
        """
        if not 1 <= self.port <= 65535:
            raise InputError(f"`port` must be from 1 to 65535, not {self.port}.")
