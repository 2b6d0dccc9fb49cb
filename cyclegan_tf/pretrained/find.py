"""Networks from elsewhere: found in files and folders of any known format."""

import hashlib
import json
import pathlib
import re
import zipfile

from cyclegan_tf._shared.errors import InputError, first_line
from cyclegan_tf.models.cyclegan import NETWORKS
from cyclegan_tf.pretrained.keras2.files import (
    Keras2Model,
    read_h5,
    read_keras_zip,
    read_saved_model,
)
from cyclegan_tf.pretrained.keras2.layers import build_keras2_model
from cyclegan_tf.pretrained.keras3 import Pretrained, _read_origin, load_network
from cyclegan_tf.pretrained.pytorch.files import read_state_dict
from cyclegan_tf.pretrained.pytorch.weights import network_from_state_dict
from cyclegan_tf.runs.run import Run

# The reference's names and ours: its A is our X, its G_A our G, and its D_A judges
# what G_A makes. Where it translates one way only, the network is called G.
PYTORCH_NAMES = {
    "G_A": "generator_g",
    "G_B": "generator_f",
    "D_A": "discriminator_y",
    "D_B": "discriminator_x",
    "G": "generator_g",
}
_PTH = re.compile(r"(latest|\d+)_net_(G_A|G_B|D_A|D_B|G)\.pth")


def read_network(path: pathlib.Path) -> Pretrained:
    """Read one network.

    Args:
        path: a `.keras` file of Keras 3 or 2, a `.pth` file, or an `.h5` file or
            SavedModel folder of Keras 2.

    Raises:
        InputError: if there is no such file, it is damaged, or it holds a network that
            is not known here.
    """
    if path.is_dir():
        if not (path / "saved_model.pb").is_file():
            raise InputError(
                f"{path} is no SavedModel folder, it has no saved_model.pb; name one, "
                "or a file."
            )
        return _from_keras2(path, read_saved_model(path), "Keras 2 SavedModel")
    if not path.is_file():
        raise InputError(f"There is no file or folder {path}; check the name.")
    if path.suffix in (".h5", ".hdf5"):
        return _from_keras2(path, read_h5(path), "Keras 2 .h5")
    if path.suffix == ".keras":
        if _keras_version(path).startswith("2."):
            return _from_keras2(path, read_keras_zip(path), "Keras 2 .keras")
        origin = _read_origin(path) or {"format": "Keras 3"}
        return Pretrained(load_network(path), origin)
    if path.suffix in (".pth", ".pt"):
        try:
            network = network_from_state_dict(read_state_dict(path))
        except ValueError as e:
            raise _unknown(path, e) from e
        return Pretrained(network, {"format": "PyTorch state dict", **_identity(path)})
    raise InputError(
        f"{path} has no suffix of a network; known are .keras, .pth, .pt, .h5, .hdf5 "
        "and SavedModel folders."
    )


def read_networks(folder: pathlib.Path) -> dict[str, Pretrained]:
    """Read all networks of a folder.

    Args:
        folder: a run folder (its newest checkpoint is read), a checkpoint folder of
            the PyTorch reference (`latest_net_G_A.pth`, ...; without `latest` the
            highest epoch), or a folder of `generator_g.keras` and so on.

    Returns:
        Networks by our names, in the order of `cyclegan_tf.models.cyclegan.NETWORKS`.

    Raises:
        InputError: if there are none, or as `read_network`.
    """
    if (folder / "config.json").is_file():
        return _run_networks(Run(folder))
    paths = _pytorch_paths(folder) or {
        name: folder / f"{name}.keras"
        for name in NETWORKS
        if (folder / f"{name}.keras").is_file()
    }
    if not paths:
        raise InputError(
            f"{folder} holds no networks; name a run, a folder with latest_net_G_A.pth "
            "and so on, or one with generator_g.keras and so on."
        )
    return {name: read_network(paths[name]) for name in NETWORKS if name in paths}


def holds_networks(folder: pathlib.Path) -> bool:
    """Tell a folder of several networks from a SavedModel, which is one network."""
    return folder.is_dir() and not (folder / "saved_model.pb").is_file()


def _run_networks(run: Run) -> dict[str, Pretrained]:
    checkpoint, model = run.load_newest()
    origin = {"format": "checkpoint of a run", "file": str(checkpoint)}
    return {name: Pretrained(getattr(model, name), origin) for name in NETWORKS}


def _pytorch_paths(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """Find the files of the newest epoch by our names."""
    found = [
        match for path in folder.glob("*.pth") if (match := _PTH.fullmatch(path.name))
    ]

    def age(match: re.Match[str]) -> float:
        return float("inf") if match[1] == "latest" else int(match[1])

    newest = max(map(age, found), default=None)
    return {
        PYTORCH_NAMES[match[2]]: folder / match[0]
        for match in found
        if age(match) == newest
    }


def _from_keras2(path: pathlib.Path, model: Keras2Model, form: str) -> Pretrained:
    try:
        network = build_keras2_model(model)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as e:
        raise _unknown(path, e) from e
    return Pretrained(network, {"format": form, **_identity(path)})


def _unknown(path: pathlib.Path, error: Exception) -> InputError:
    if isinstance(error, InputError):
        return error
    return InputError(
        f"{path} fits no known network: {first_line(error)}; known are those of the "
        "CycleGAN authors and of GAN Compression in PyTorch, and models of Keras 2."
    )


def _identity(path: pathlib.Path) -> dict[str, str]:
    """What tells one file from another of the same name."""
    content = path / "saved_model.pb" if path.is_dir() else path
    with content.open("rb") as file:
        return {
            "file": path.name,
            "sha256": hashlib.file_digest(file, "sha256").hexdigest(),
        }


def _keras_version(path: pathlib.Path) -> str:
    """Return which Keras wrote a `.keras` file; nothing if it is none."""
    try:
        with zipfile.ZipFile(path) as archive:
            return str(json.loads(archive.read("metadata.json"))["keras_version"])
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError):
        return ""
