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

# These variants need images to measure the range of every tensor on.
CALIBRATED: frozenset[LiteRTVariant] = frozenset({"int16x8", "int8"})


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """Export generators for servers, phones and browsers, and check the files.

    Attributes:
        source: A run folder, a generator's .keras file, or a folder with
            generator_g.keras and generator_f.keras.
        out: The folder for the exported files and their report.
        formats: savedmodel for TensorFlow Serving, litert for phones and browsers,
            onnx for other runtimes.
        name: Name of the exported generators: NAME_g and NAME_f for two, NAME for a
            single one. Default: the name of the run folder or file.
        variants: Number formats of the LiteRT files. int16x8 and int8 without a run
            need a calibration folder.
        sizes: Write LiteRT files for images of one size, which phones want, for any
            size, or both.
        image_size: Height and width of that one size. Default: the size of the run's
            images, or 256 256 without a run.
        calibration: Without a run, a folder of images to translate, for the report and
            to calibrate int16x8 and int8. A run has its own images.
        calibration_images: Number of training images to calibrate on.
        report_images: Number of test images to compare.
        threads: Processor threads for the report's latencies. Default: all processors.
        overwrite: Replace an earlier export in that folder.
    """

    source: Annotated[pathlib.Path, tyro.conf.Positional]
    out: pathlib.Path
    formats: tuple[ExportFormat, ...] = ("savedmodel", "litert")
    name: str | None = None
    variants: tuple[LiteRTVariant, ...] = ("float32", "float16", "dynamic_range")
    sizes: tuple[InputSize, ...] = ("fixed", "any")
    image_size: tuple[int, int] | None = None
    calibration: pathlib.Path | None = None
    calibration_images: int = 32
    report_images: int = 10
    threads: int | None = None
    overwrite: bool = False

    @property
    def calibrates(self) -> bool:
        """Whether a LiteRT variant to write needs calibration images."""
        return "litert" in self.formats and not CALIBRATED.isdisjoint(self.variants)

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
