"""The options of `cyclegan import` and `cyclegan export-pytorch`."""

import dataclasses
import pathlib


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
