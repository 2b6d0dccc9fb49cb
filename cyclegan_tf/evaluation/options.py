"""The options of `cyclegan evaluate`."""

import dataclasses
import pathlib
from typing import Annotated, Literal

import tyro

from cyclegan_tf._shared.errors import check_positive


@dataclasses.dataclass(frozen=True)
class EvaluateConfig:
    """Score the translations of a run or of one generator.

    Attributes:
        source: A run folder, one generator's .keras file, or the name of a model.
        data: Images to score on, as in cyclegan train. Defaults to those of the run.
        data_dir: Folder where TensorFlow Datasets stores its data.
        direction: BtoA makes B domain X and A domain Y, as in cyclegan train. Defaults
            to what the names of the images and of the translation say; without names,
            to that of the run or AtoB.
        image_size: Side in pixels that images are resized to, if the source is not a
            run. Defaults to the size of its training images, rounded to one that it
            takes; 256 if that size is unknown.
        features: Network that extracts the compared features: random, a fixed network
            without a download; inception, Keras's InceptionV3; or the path of a
            SavedModel.
        features_weights: File with the weights of inception, instead of a download.
        reference: Compare with the training images of the target domain, or with its
            test images as published FIDs of CycleGANs do.
        paired: The i-th test images of both domains show the same scene.
        images: Largest number of test images of each domain to translate.
        out: JSON file for the scores. Defaults to evaluation.json in the run folder.
    """

    source: Annotated[pathlib.Path, tyro.conf.Positional]
    data: str | None = None
    data_dir: pathlib.Path | None = None
    direction: Literal["AtoB", "BtoA"] | None = None
    image_size: int | None = None
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
        check_positive(image_size=self.image_size, images=self.images)
