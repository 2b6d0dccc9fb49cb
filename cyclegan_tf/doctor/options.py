"""The options of `cyclegan doctor`."""

import dataclasses
import pathlib
from typing import Annotated

import tyro


@dataclasses.dataclass(frozen=True)
class DoctorConfig:
    """Check a data set for problems that would spoil a training.

    Attributes:
        data: A folder with trainA and trainB, or with train for pairs side by side;
            tfds:NAME or demo; as in cyclegan train.
        data_dir: Folder where TensorFlow Datasets stores its data. Defaults to that of
            TensorFlow Datasets.
        crop_size: Side in pixels of the training crop. Smaller images are reported.
        json: Also write the findings, with all file names, to this JSON file.
    """

    data: Annotated[str, tyro.conf.Positional]
    data_dir: pathlib.Path | None = None
    crop_size: int = 256
    json: pathlib.Path | None = None
