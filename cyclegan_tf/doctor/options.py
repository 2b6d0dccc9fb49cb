"""The options of `cyclegan doctor`."""

import dataclasses
import pathlib

from cyclegan_tf._shared.errors import InputError


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
