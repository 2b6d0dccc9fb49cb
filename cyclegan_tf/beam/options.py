"""The options of `cyclegan translate-beam`."""

import dataclasses
import pathlib
from typing import Literal

from cyclegan_tf._shared.errors import InputError

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
