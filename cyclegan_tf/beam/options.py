"""The options of `cyclegan translate-beam`."""

import dataclasses
from typing import Annotated, Literal

import tyro

from cyclegan_tf._shared.errors import InputError, check_positive
from cyclegan_tf.translation.options import Size, check_size

ImageFormat = Literal["images", "tfrecords"]


@dataclasses.dataclass(frozen=True)
class TranslateBeamConfig:
    """Translate images in bulk on Apache Beam: Flink, Spark, Dataflow.

    Run the same command again to continue a job that was stopped. Options of Beam come
    after a lone --, for example -- --runner=FlinkRunner --flink_master=host:8081.

    Attributes:
        source: A run folder on this machine, the name of a model, or a generator's
            .keras file on any file system that Beam supports.
        inputs: Files, folders, and patterns such as 'photos/**.jpg' or
            'gs://bucket/photos/*', on any file system that Beam supports.
        out: Folder for the translations and their manifest.jsonl. All workers need
            access to it.
        direction: Generator of a run: g translates X to Y, f translates Y to X. Or name
            the domains, as in zebra2horse. Default: g.
        size: Scale larger images down until their shorter side has so many pixels.
            trained means twice the size of the training images, full keeps every size.
        overwrite: Replace existing translations instead of keeping them.
        tile: Translate images with a side longer than this many pixels in tiles of this
            size, as in cyclegan translate. Intermediate results go to the temporary
            folder of a worker.
        input_format: Image files, or TFRecord files of images.
        output_format: Image files, or TFRecord files of images.
        shards: Number of TFRecord files for the translations of image files.
            Translations of TFRecord files go into as many files as there were.
        pipeline_options: Options of Beam, such as --runner=FlinkRunner.
    """

    source: Annotated[str, tyro.conf.Positional]
    inputs: Annotated[tuple[str, ...], tyro.conf.Positional]
    out: str = "translated"
    direction: str | None = None
    size: Size = "trained"
    overwrite: bool = False
    tile: int | None = None
    input_format: ImageFormat = "images"
    output_format: ImageFormat = "images"
    shards: int = 16
    pipeline_options: Annotated[tuple[str, ...], tyro.conf.Suppress] = ()

    def check(self) -> None:
        """Check the ranges of the numbers and the name of the output folder.

        Raises:
            InputError: if one is invalid.
        """
        check_size(self.size)
        check_positive(tile=self.tile, shards=self.shards)
        if set(self.out) & set("*?["):
            raise InputError(
                f"`out={self.out}` contains *, ? or [, which Beam reads as a pattern; "
                "choose another folder."
            )
