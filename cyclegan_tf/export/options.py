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
Purpose = Literal["phone", "web", "serving", "all"]
ModelVersion = int | Literal["next"]

# These variants need images to measure the range of every tensor on.
CALIBRATED: frozenset[LiteRTVariant] = frozenset({"int16x8", "int8"})


@dataclasses.dataclass(frozen=True)
class Choice:
    """Which files to write of a generator; see the options of the same names."""

    formats: tuple[ExportFormat, ...] = ("savedmodel", "litert")
    variants: tuple[LiteRTVariant, ...] = ("float32", "float16", "dynamic_range")
    sizes: tuple[InputSize, ...] = ("fixed", "any")
    gpu_safe: bool = False


# Phones and browsers want one size, and half the bytes at hardly any difference. Files
# that are safe for GPUs are no slower on processors, so all purposes have those.
_ON_DEVICE = Choice(("litert",), ("float16",), ("fixed",), gpu_safe=True)
PURPOSES: dict[Purpose, Choice] = {
    "phone": _ON_DEVICE,
    "web": _ON_DEVICE,
    "serving": Choice(("savedmodel",)),
    "all": Choice(("savedmodel", "litert", "onnx"), gpu_safe=True),
}


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """Export generators for servers, phones and browsers, and check the files.

    Attributes:
        source: A run folder, a generator's .keras file, a folder with
            generator_g.keras and generator_f.keras, or the name of a model.
        out: The folder for the exported files and their report.
        purpose: Write what it takes for phone or web (LiteRT in float16 for one size,
            safe for GPUs), serving (a SavedModel) or all (every format). Formats,
            variants and sizes given beside it override it.
        formats: savedmodel for TensorFlow Serving, litert for phones and browsers,
            onnx for other runtimes. Default: savedmodel litert.
        name: Name of the exported generators: NAME_g and NAME_f for two, NAME for a
            single one. Default: the name of the run folder or file.
        variants: Number formats of the LiteRT files. Default: float32 float16
            dynamic_range. int16x8 and int8 without a run need a calibration folder.
        sizes: Write LiteRT files for images of one size, which phones want, for any
            size, or both. Default: both.
        image_size: Height and width of that one size. Default: the size of the run's
            images, or 256 256 without a run.
        calibration: Without a run, a folder of images to translate, for the report and
            to calibrate int16x8 and int8. A run has its own images.
        calibration_images: Number of training images to calibrate on.
        report_images: Number of test images to compare.
        threads: Processor threads for the report's latencies. Default: all processors.
        overwrite: Replace an earlier export in that folder. SavedModels get the next
            version, and the earlier ones go when it is complete.
        model_version: Version of the SavedModels, a new number or next, beside those
            that are there already and stay. Default: 1 in a new folder.
        gpu_safe: Write LiteRT files in floats and for one size in operations that old
            GPU runtimes know, and in numbers that half precision holds.
    """

    source: Annotated[pathlib.Path, tyro.conf.Positional]
    out: pathlib.Path
    formats: tuple[ExportFormat, ...] = ()
    name: str | None = None
    variants: tuple[LiteRTVariant, ...] = ()
    sizes: tuple[InputSize, ...] = ()
    image_size: tuple[int, int] | None = None
    calibration: pathlib.Path | None = None
    calibration_images: int = 32
    report_images: int = 10
    threads: int | None = None
    overwrite: bool = False
    model_version: ModelVersion | None = None
    purpose: Annotated[Purpose | None, tyro.conf.arg(name="for")] = None
    # A flag that cannot be turned off, so that it never contradicts the purpose.
    gpu_safe: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False

    @property
    def chosen(self) -> Choice:
        """What the purpose asks for, with the options given beside it."""
        choice = PURPOSES[self.purpose] if self.purpose else Choice()
        return Choice(
            self.formats or choice.formats,
            self.variants or choice.variants,
            self.sizes or choice.sizes,
            self.gpu_safe or choice.gpu_safe,
        )

    @property
    def translation_source(self) -> pathlib.Path:
        """What `cyclegan translate` takes of source and out: a SavedModel, if any."""
        return self.out if "savedmodel" in self.chosen.formats else self.source

    @property
    def adds_a_version(self) -> bool:
        """Whether the export only adds a version to SavedModels that may be there."""
        return self.model_version is not None and self.chosen.formats == ("savedmodel",)

    @property
    def calibrates(self) -> bool:
        """Whether a LiteRT variant to write needs calibration images."""
        choice = self.chosen
        return "litert" in choice.formats and not CALIBRATED.isdisjoint(choice.variants)

    def check(self) -> None:
        """Check the ranges of the numbers, the name, and what `gpu_safe` is for.

        Raises:
            InputError: if one is invalid.
        """
        check_positive(
            image_size=min(self.image_size or (1,)),
            calibration_images=self.calibration_images,
            report_images=self.report_images,
            threads=self.threads,
            model_version=1 if self.model_version == "next" else self.model_version,
        )
        if self.model_version and "savedmodel" not in self.chosen.formats:
            raise InputError(
                f"`model_version={self.model_version}` is for SavedModels, but none is "
                "written; add savedmodel to `formats`, or leave it out."
            )
        if self.gpu_safe and "fixed" not in self.chosen.sizes:
            raise InputError(
                "`gpu_safe` is for files of one size, but `sizes=any` leaves them out; "
                "add fixed, or leave out `gpu_safe`."
            )
        if self.name is not None and not re.fullmatch(r"[A-Za-z0-9][\w.-]*", self.name):
            raise InputError(
                f"`name` {self.name!r} cannot name files and models; use letters, "
                "digits, '_', '-' and '.'."
            )
