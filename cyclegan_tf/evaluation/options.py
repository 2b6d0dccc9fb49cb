"""The options of `cyclegan evaluate`."""

import dataclasses
import pathlib
from typing import Literal

from cyclegan_tf._shared.errors import InputError


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
