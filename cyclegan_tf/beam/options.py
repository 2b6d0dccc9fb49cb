"""The options of `cyclegan translate-beam`."""

import dataclasses
from typing import Annotated, Literal

import tyro

from cyclegan_tf._shared.errors import InputError

ImageFormat = Literal["images", "tfrecords"]


@dataclasses.dataclass(frozen=True)
class TranslateBeamConfig:
    """Translate images in bulk, on a runner of Apache Beam.

    Attributes:
        source: A run on this machine, or a generator's .keras file on any file system
            that Beam knows.
        inputs: Files, folders, and patterns such as 'photos/**.jpg' or
            'gs://bucket/photos/*', on any file system that Beam knows.
        out: The folder for the translations and their manifest.jsonl, which all
            workers see.
        direction: Which generator of a run: g from X to Y, f from Y to X.
        overwrite: Translate again what is translated, and replace it.
        tile: Translate images with a longer side than so many pixels in tiles of that
            size, as in cyclegan translate; the maps are kept where a worker's temporary
            files are.
        input_format: Image files, or TFRecord files with images in them.
        output_format: Image files, or TFRecord files with images in them.
        shards: Put the translations of image files into so many TFRecord files; those
            of TFRecord files go into as many as there were.
        pipeline_options: Options of Beam, such as --runner=FlinkRunner.
    """

    source: Annotated[str, tyro.conf.Positional]
    inputs: Annotated[tuple[str, ...], tyro.conf.Positional]
    out: str = "translated"
    direction: Literal["g", "f"] = "g"
    overwrite: bool = False
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
        for option, value in {"tile": self.tile, "shards": self.shards}.items():
            if value is not None and value < 1:
                raise InputError(f"`{option}` must be at least 1, not {value}.")
        if set(self.out) & set("*?["):
            raise InputError(
                f"`out={self.out}` has a *, ? or [ in it, which Beam would take for a "
                "pattern; choose another folder."
            )
