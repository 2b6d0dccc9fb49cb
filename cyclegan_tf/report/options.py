"""The options of `cyclegan report`."""

import dataclasses
import pathlib
from typing import Annotated

import tyro

from cyclegan_tf._shared.errors import InputError


@dataclasses.dataclass(frozen=True)
class ReportConfig:
    """Write an HTML page about a run: images, curves, scores, options.

    Attributes:
        run_dir: The run folder.
        out: HTML file to write or replace. Defaults to report.html in the run folder.
        images: Number of test images of each domain to show. Defaults to all.
    """

    run_dir: Annotated[pathlib.Path, tyro.conf.Positional]
    out: pathlib.Path | None = None
    images: int | None = None

    def check(self) -> None:
        """Check the number of images and the name of the file.

        Raises:
            InputError: if one is invalid.
        """
        if self.images is not None and self.images < 0:
            raise InputError(f"`images` must be at least 0, not {self.images}.")
        if self.out is not None and self.out.suffix not in (".html", ".htm"):
            raise InputError(
                f"`out={self.out}` does not name an HTML file; choose a name that ends "
                "in .html."
            )
