"""The options of `cyclegan export`."""

import dataclasses
import pathlib
import re
from typing import Annotated, Literal

import tyro

from cyclegan_tf._shared.errors import InputError, check_positive

ExportFormat = Literal["savedmodel", "litert", "onnx"]
LiteRTVariant = Literal["float32", "float16", "dynamic_range", "int16x8", "int8"]
InputSize = Literal["fixed", "any"]


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """Export generators for servers, phones and browsers, and check the files.

    Attributes:
        source: A run folder (both generators), or one generator's .keras file.
        out: Folder for the exported files and their report.
        formats: savedmodel for TensorFlow Serving, litert for phones and browsers,
            onnx for everything else.
        name: Name of the exported generators: NAME_g and NAME_f for a run, NAME for a
            file. Defaults to the name of the run folder or file.
        variants: Number formats of the LiteRT files. Defaults to all; int16x8 and int8
            of a single generator need --calibration.
        sizes: LiteRT files for images of one fixed size, best for phones, or any size.
        image_size: Height and width of the fixed size. Defaults to the size of the
            run's images, or to 256 256 for a single generator.
        calibration: Folder of input images for a single generator, to choose the number
            ranges of int16x8 and int8 and for the report. A run uses its own images.
        calibration_images: Number of training images to choose those ranges with.
        report_images: Number of test images to compare on.
        threads: Processor threads for the latencies in the report. Defaults to all
            processors.
        overwrite: Replace an earlier export in the folder.
    """

    source: Annotated[pathlib.Path, tyro.conf.Positional]
    out: pathlib.Path
    formats: tuple[ExportFormat, ...] = ("savedmodel", "litert")
    name: str | None = None
    variants: tuple[LiteRTVariant, ...] | None = None
    sizes: tuple[InputSize, ...] = ("fixed", "any")
    image_size: tuple[int, int] | None = None
    calibration: pathlib.Path | None = None
    calibration_images: int = 32
    report_images: int = 10
    threads: int | None = None
    overwrite: bool = False

    def check(self) -> None:
        """Check the ranges of the numbers and the name.

        Raises:
            InputError: if one is invalid.
        """
        check_positive(
            image_size=min(self.image_size or (1,)),
            calibration_images=self.calibration_images,
            report_images=self.report_images,
            threads=self.threads,
        )
        if self.name is not None and not re.fullmatch(r"[A-Za-z0-9][\w.-]*", self.name):
            raise InputError(
                f"`name` {self.name!r} cannot name files and models; use letters, "
                "digits, '_', '-' and '.'."
            )
        name_of_file = self.name or self.source.stem
        if self.source.suffix == ".keras" and name_of_file == "report":
            raise InputError(
                f"The description of {self.source} and the parity report would both be "
                "report.json; choose another `name`."
            )
