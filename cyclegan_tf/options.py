"""The options of all commands but `train`: frozen dataclasses, as in `config.py`.

No run folder keeps them.
"""

import dataclasses
import pathlib
import re
from typing import Literal

from cyclegan_tf._shared.errors import InputError


@dataclasses.dataclass(frozen=True)
class TranslateConfig:
    """Translate images with a trained generator.

    Attributes:
        inputs: Image files and folders; folders are searched through, and their
            subfolders kept.
        run_dir: The run whose generator translates.
        out: The folder for the translations and their manifest.csv.
        direction: g translates X to Y, f translates Y to X: which generator of the run.
        overwrite: Replace translations that are already there.
        generator: A generator's .keras file, instead of a run.
        tile: Translate images with a longer side than so many pixels in tiles of that
            size: the same result in little memory, but with up to 262 bytes for each
            pixel on the disk of --out meanwhile. 512 is a good size.
    """

    inputs: tuple[pathlib.Path, ...]
    run_dir: pathlib.Path | None = None
    out: pathlib.Path = pathlib.Path("translated")
    direction: Literal["g", "f"] = "g"
    overwrite: bool = False
    generator: pathlib.Path | None = None
    tile: int | None = None

    def check(self) -> None:
        """Check the size of the tiles.

        Raises:
            InputError: if it is none.
        """
        if self.tile is not None and self.tile < 1:
            raise InputError(f"--tile must be at least 1, not {self.tile}.")


ImageFormat = Literal["images", "tfrecords"]


@dataclasses.dataclass(frozen=True)
class TranslateBeamConfig:
    """Translate images in bulk, on a runner of Apache Beam.

    Attributes:
        inputs: Files, folders, and patterns such as 'photos/**.jpg' or
            'gs://bucket/photos/*', on any file system that Beam knows.
        run_dir: The run whose generator translates.
        out: The folder for the translations and their manifest.jsonl, which all
            workers see.
        direction: g translates X to Y, f translates Y to X: which generator of the run.
        overwrite: Translate again what is translated, and replace it.
        generator: A generator's .keras file, instead of a run.
        tile: Translate images with a longer side than so many pixels in tiles of that
            size, as in cyclegan translate; the maps are kept where a worker's temporary
            files are.
        input_format: Image files, or TFRecord files with images in them.
        output_format: Image files, or TFRecord files with images in them.
        shards: Put the translations of image files into so many TFRecord files; those
            of TFRecord files go into as many as there were.
        pipeline_options: Options of Beam, such as --runner=FlinkRunner.
    """

    inputs: tuple[str, ...]
    run_dir: pathlib.Path | None = None
    out: str = "translated"
    direction: Literal["g", "f"] = "g"
    overwrite: bool = False
    generator: str | None = None
    tile: int | None = None
    input_format: ImageFormat = "images"
    output_format: ImageFormat = "images"
    shards: int = 16
    pipeline_options: tuple[str, ...] = ()

    def check(self) -> None:
        """Check the ranges of the numbers, and the output folder.

        Raises:
            InputError: if one is not fit for it.
        """
        for option, value in {"--tile": self.tile, "--shards": self.shards}.items():
            if value is not None and value < 1:
                raise InputError(f"{option} must be at least 1, not {value}.")
        if set(self.out) & set("*?["):
            raise InputError(
                f"--out {self.out} has a *, ? or [ in it, which Beam would take for a "
                "pattern; choose another folder."
            )


@dataclasses.dataclass(frozen=True)
class EvaluateConfig:
    """Score the translations of a run, or of one generator.

    Attributes:
        source: A run folder, or one generator's .keras file.
        data: Take the images from here, as in cyclegan train; a run's own if not given.
        data_dir: Where TensorFlow Datasets keeps its data.
        direction: What a generator's file does: g translates X to Y, f Y to X.
        image_size: For a generator's file, resize the images to so many pixels a side.
        features: What images are compared by: random, a fixed network that needs no
            download; inception, Keras's InceptionV3; or the path of a SavedModel.
        features_weights: The weights of inception, if Keras should not download them.
        reference: Compare with the training images of the target domain, or with its
            test images, as published FIDs of CycleGANs do.
        paired: The i-th test images of both domains show the same scene.
        images: Translate at most so many test images of each domain.
        out: Write the scores to this JSON file; evaluation.json in the run folder if
            not given.
    """

    source: pathlib.Path
    data: str | None = None
    data_dir: pathlib.Path | None = None
    direction: Literal["g", "f"] = "g"
    image_size: int = 256
    features: str = "random"
    features_weights: pathlib.Path | None = None
    reference: Literal["train", "test"] = "train"
    paired: bool = False
    images: int | None = None
    out: pathlib.Path | None = None

    def check(self) -> None:
        """Check the ranges of the numbers.

        Raises:
            InputError: if one is out of its range.
        """
        for option, value in {
            "--image-size": self.image_size,
            "--images": self.images,
        }.items():
            if value is not None and value < 1:
                raise InputError(f"{option} must be at least 1, not {value}.")


@dataclasses.dataclass(frozen=True)
class ImportConfig:
    """Turn a network of PyTorch or Keras 2 into a plain Keras 3 file.

    Attributes:
        source: A PyTorch .pth file, a folder of them, or a model that Keras 2 saved,
            with TensorFlow Addons or without: an .h5 or .keras file or a SavedModel.
        out: The .keras file to write; for a folder of .pth files a folder.
        overwrite: Replace files that are already there.
    """

    source: pathlib.Path
    out: pathlib.Path
    overwrite: bool = False


@dataclasses.dataclass(frozen=True)
class ExportPytorchConfig:
    """Write networks as PyTorch files that the CycleGAN authors' code loads.

    Attributes:
        source: A run, a folder of .keras files, or one generator's .keras file.
        out: The folder for latest_net_G_A.pth and so on.
        overwrite: Replace files that are already there.
    """

    source: pathlib.Path
    out: pathlib.Path
    overwrite: bool = False


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
            raise InputError(f"--port must be from 1 to 65535, not {self.port}.")


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


@dataclasses.dataclass(frozen=True)
class DoctorConfig:
    """Look through a data set for what would spoil a training.

    Attributes:
        data: A folder with trainA and trainB, tfds:NAME or demo, as cyclegan train
            takes it.
        data_dir: Where TensorFlow Datasets keeps its data; its own default if not
            given.
        crop_size: Pixels a side that training will crop, to tell which images are too
            small.
        json: Write what was found to this file, too, with all file names.
    """

    data: str
    data_dir: pathlib.Path | None = None
    crop_size: int = 256
    json: pathlib.Path | None = None

    def check(self) -> None:
        """Check the range of the size.

        Raises:
            InputError: if it is none.
        """
        if self.crop_size < 1:
            raise InputError(f"--crop-size must be at least 1, not {self.crop_size}.")
