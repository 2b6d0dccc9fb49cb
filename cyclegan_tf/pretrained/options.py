"""The options of `cyclegan import`, `export-pytorch` and `inspect`."""

import dataclasses
import pathlib
from typing import Annotated, Literal

import tyro

StateDictNorm = Literal["instance", "batch", "none"]


@dataclasses.dataclass(frozen=True)
class ImportConfig:
    """Convert a PyTorch or Keras 2 network to a Keras 3 file.

    Attributes:
        source: A PyTorch .pth or .safetensors file, a folder of them, or a model saved
            by Keras 2 (an .h5 or .keras file or a SavedModel), with or without
            TensorFlow Addons.
        out: The .keras file to write, or a folder for a folder of PyTorch files.
        norm: Normalization of a PyTorch network whose file does not show it, as that of
            an instance norm without weights. Defaults to what the CycleGAN authors'
            code would mean by such a file.
        overwrite: Replace existing files.
    """

    source: Annotated[pathlib.Path, tyro.conf.Positional]
    out: pathlib.Path
    norm: StateDictNorm | None = None
    overwrite: bool = False


@dataclasses.dataclass(frozen=True)
class ExportPytorchConfig:
    """Write networks as PyTorch files for the CycleGAN authors' code.

    Attributes:
        source: A run folder, a folder of .keras files, one generator's .keras file, or
            the name of a model.
        out: Folder for latest_net_G_A.pth and so on.
        format: pth, as PyTorch saves, or safetensors, which holds numbers only.
        overwrite: Replace existing files.
    """

    source: Annotated[pathlib.Path, tyro.conf.Positional]
    out: pathlib.Path
    format: Literal["pth", "safetensors"] = "pth"
    overwrite: bool = False


@dataclasses.dataclass(frozen=True)
class InspectConfig:
    """Describe the networks in a file or folder.

    Attributes:
        path: A network's file, a SavedModel, a run folder, or a folder of networks.
    """

    path: Annotated[pathlib.Path, tyro.conf.Positional]
