"""The options of `cyclegan report`."""

import dataclasses
import pathlib

from cyclegan_tf._shared.errors import InputError


@dataclasses.dataclass(frozen=True)
class ReportConfig:
    """Write a page that shows what a run is and what it came to, in one HTML file.

    Attributes:
        run_dir: The folder of the run.
        out: The HTML file to write, which replaces an earlier one; report.html in the
            run folder if not given.
        images: Show so many test images of each domain; all if not given, 0 for none.
    """

    run_dir: pathlib.Path
    out: pathlib.Path | None = None
    images: int | None = None

    def check(self) -> None:
        """Check the number of images, and the name of the file.

        Raises:
            InputError: if one is not fit for it.
        """
        if self.images is not None and self.images < 0:
            raise InputError(f"--images must be at least 0, not {self.images}.")
        if self.out is not None and self.out.suffix not in (".html", ".htm"):
            raise InputError(
                f"--out {self.out} does not name an HTML file, and a file there would "
                "be replaced; end the name in .html."
            )
