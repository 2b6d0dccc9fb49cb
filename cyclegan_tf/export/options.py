"""The options of `cyclegan export`."""

import dataclasses
import pathlib
import re
from typing import Literal

from cyclegan_tf._shared.errors import InputError

ExportFormat = Literal["savedmodel", "litert", "onnx"]


LiteRTVariant = Literal["float32", "float16", "dynamic_range", "int16x8", "int8"]


InputSize = Literal["fixed", "any"]


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """Export generators for servers, phones and browsers, and check the result.

    Attributes:
        source: A run folder, for both of its generators, or one generator's .keras
            file.
        out: The folder for the exported files and their report.
        formats: savedmodel for TensorFlow Serving, litert for phones and browsers,
            onnx for everything else.
        name: What the exported generators are called: NAME_g and NAME_f of a run, NAME
            of a single one. The name of the run folder or file if not given.
        variants: Number formats of the LiteRT files. All of them if not given, but
            int16x8 and int8 of a single generator only with --calibration.
        sizes: LiteRT files for images of one size, which phones want, and of any size.
        image_size: Height and width of that one size. That of the run's images if not
            given, 256 256 for a single generator.
        calibration: A folder with images of what a single generator translates: to
            choose the ranges of int16x8 and int8, and for the report. A run has its
            own.
        calibration_images: Use so many training images to choose those ranges.
        report_images: Compare so many test images.
        threads: Processor threads for the report's latencies; all processors if not
            given.
        overwrite: Write over an earlier export in that folder.
    """

    source: pathlib.Path
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
        """Check the ranges of the numbers, and the name.

        Raises:
            InputError: if one is out of its range.
        """
        positive = {
            "--image-size": min(self.image_size or (1,)),
            "--calibration-images": self.calibration_images,
            "--report-images": self.report_images,
            "--threads": self.threads,
        }
        for option, value in positive.items():
            if value is not None and value < 1:
                raise InputError(f"{option} must be at least 1, not {value}.")
        if self.name is not None and not re.fullmatch(r"[A-Za-z0-9][\w.-]*", self.name):
            raise InputError(
                f"--name {self.name!r} cannot name files and models; use letters, "
                "digits, '_', '-' and '.'."
            )
        name_of_file = self.name or self.source.stem
        if self.source.suffix == ".keras" and name_of_file == "report":
            raise InputError(
                f"{self.source} would be described in report.json, where the parity "
                "report is; choose another --name."
            )


@dataclasses.dataclass(frozen=True)
class BenchmarkConfig:
    """Measure how fast a LiteRT file is on this machine, and how much memory it needs.

    Attributes:
        file: The .tflite file.
        threads: Processor threads.
        runs: Report the median of so many runs.
        image_size: Height and width of the image, for a file that takes any size.
    """

    file: pathlib.Path
    threads: int = 1
    runs: int = 20
    image_size: tuple[int, int] = (256, 256)

    def check(self) -> None:
        """Check the ranges of the numbers.

        Raises:
            InputError: if one is out of its range.
        """
        positive = {
            "--threads": self.threads,
            "--runs": self.runs,
            "--image-size": min(self.image_size),
        }
        for option, value in positive.items():
            if value < 1:
                raise InputError(f"{option} must be at least 1, not {value}.")
