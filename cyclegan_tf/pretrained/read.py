"""Read a network of any format: Keras 3, Keras 2, PyTorch."""

import dataclasses
import hashlib
import logging
import pathlib
import re

from cyclegan_tf._shared.archives import open_zip, read_json_entry, reading
from cyclegan_tf._shared.errors import InputError, first_line
from cyclegan_tf._shared.files import check_downloaded
from cyclegan_tf.config.directions import DIRECTIONS
from cyclegan_tf.models.cyclegan import CycleGAN
from cyclegan_tf.models.networks.graph import normalization_of
from cyclegan_tf.pretrained.keras2.files import (
    Keras2Model,
    read_h5,
    read_keras_zip,
    read_saved_model,
)
from cyclegan_tf.pretrained.keras2.layers import build_keras2_model
from cyclegan_tf.pretrained.keras3 import (
    Pretrained,
    load_network,
    read_facts,
    write_network,
)
from cyclegan_tf.pretrained.options import StateDictNorm
from cyclegan_tf.pretrained.pytorch.files import (
    STATE_DICT_SUFFIXES,
    read_state_dict,
    require_reader,
)
from cyclegan_tf.pretrained.pytorch.weights import network_from_state_dict
from cyclegan_tf.pretrained.zoo import NamedModel, download, find_model
from cyclegan_tf.runs.run import Run

_LOG = logging.getLogger(__name__)

# Our name for each of theirs. D_A judges the output of G_A, which is in domain Y.
# G and D: models with one generator.
PYTORCH_NAMES = {
    "G_A": "generator_g",
    "G_B": "generator_f",
    "D_A": "discriminator_y",
    "D_B": "discriminator_x",
    "G": "generator_g",
    "D": "discriminator_y",
}
_PYTORCH_FILE = re.compile(r"(latest|\d+)_net_(G_A|G_B|D_A|D_B|G|D)\.(pth|safetensors)")


def find_networks(
    source: pathlib.Path, norm: StateDictNorm | None = None
) -> dict[str, Pretrained]:
    """Read the networks that a path holds, in any known format.

    Args:
        source: a run folder (its newest checkpoint is read), a checkpoint folder of
            the PyTorch reference (`latest_net_G_A.pth`, ...; without `latest` the
            highest epoch), a folder of `generator_g.keras` and so on, the name of a
            model, or what `read_network` reads.
        norm: as for `read_network`.

    Returns:
        The networks of a folder by our names, in the order of
        `CycleGAN.network_names`; a single network by the name of its file.

    Raises:
        InputError: if there is none; as `read_network`.
    """
    if model := find_model(source):
        _check_no_norm(source, norm)
        return {"generator_g": read_network(keras_file(model))}
    if not holds_networks(source):
        return {source.name: read_network(source, norm)}
    if Run.is_run(source):
        _check_no_norm(source, norm)
        return _networks_of(Run(source))
    names = CycleGAN.network_names
    paths = _pytorch_paths(source) or {
        name: path for name in names if (path := source / f"{name}.keras").is_file()
    }
    if not paths:
        raise InputError(
            f"{source} holds no networks; name a run, a folder with latest_net_G_A.pth "
            "and so on, or one with generator_g.keras and so on."
        )
    return {name: read_network(paths[name], norm) for name in names if name in paths}


def _networks_of(run: Run) -> dict[str, Pretrained]:
    """Read the newest checkpoint of a run; generators have averaged weights, if any."""
    checkpoint, model = run.checkpoints.load_newest()
    origin = {"format": "checkpoint of a run", "file": str(checkpoint)}
    networks = dict(model.networks)
    if run.config.optimization.ema and not model.normalizes_images_alone:
        for direction in DIRECTIONS:
            if (path := run.generator_path(direction)).is_file():
                networks[f"generator_{direction}"] = load_network(path)
    dataset = run.config.dataset
    translates = {f"generator_{name}": dataset.translates(name) for name in DIRECTIONS}
    return {
        name: Pretrained(network, origin, dataset.training_size, translates.get(name))
        for name, network in networks.items()
    }


def holds_networks(source: pathlib.Path) -> bool:
    """Whether a source is a folder of networks or a model's name, not one network."""
    if find_model(source):
        return True
    return source.is_dir() and not (source / "saved_model.pb").is_file()


def read_network(path: pathlib.Path, norm: StateDictNorm | None = None) -> Pretrained:
    """Read one network.

    Args:
        path: a `.keras` file of Keras 3 or 2, a `.pth` or `.safetensors` file of
            PyTorch, or an `.h5` file or SavedModel folder of Keras 2.
        norm: as for `network_from_state_dict`.

    Raises:
        InputError: if there is no such file, it is damaged, its network is unknown,
            or `norm` is given for a file that is not PyTorch's.
    """
    if path.suffix not in STATE_DICT_SUFFIXES:
        _check_no_norm(path, norm)
    if path.is_dir():
        return _from_saved_model(path)
    if not path.is_file():
        raise InputError(f"There is no file or folder {path}; check the name.")
    check_downloaded(path)
    if path.suffix == ".keras":
        return _from_keras(path)
    if path.suffix in (".h5", ".hdf5"):
        return _from_keras2(path, read_h5(path), "Keras 2 .h5")
    if path.suffix in STATE_DICT_SUFFIXES:
        return _from_state_dict(path, norm)
    raise InputError(
        f"{path} does not have the suffix of a network; name a .keras, .pth, .pt, "
        ".safetensors, .h5 or .hdf5 file, or a SavedModel folder."
    )


def keras_file(model: NamedModel) -> pathlib.Path:
    """Return a model's `.keras` file; download and convert it if need be."""
    file = model.file
    path = file.path.with_suffix(".keras")
    if not path.is_file():
        # Asked first, or the download would be for nothing.
        if file.path.suffix in STATE_DICT_SUFFIXES:
            require_reader(file.path)
        downloaded = download(file, read_network)
        if downloaded != path:
            network = read_network(downloaded)
            size = model.training_size
            write_network(path, dataclasses.replace(network, training_size=size))
    return path


def _pytorch_paths(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """Map our names to the files of the newest epoch."""
    found = [
        match
        for path in sorted(folder.iterdir())  # the later of two formats is taken
        if (match := _PYTORCH_FILE.fullmatch(path.name))
    ]

    def epoch(match: re.Match[str]) -> float:
        return float("inf") if match[1] == "latest" else int(match[1])

    newest = max(map(epoch, found), default=None)
    return {
        PYTORCH_NAMES[match[2]]: folder / match[0]
        for match in found
        if epoch(match) == newest
    }


def _check_no_norm(path: pathlib.Path, norm: StateDictNorm | None) -> None:
    if norm is not None:
        raise InputError(
            f"{path} records its normalization; leave out `norm`, which is for files "
            "of PyTorch."
        )


def _from_saved_model(path: pathlib.Path) -> Pretrained:
    if not (path / "saved_model.pb").is_file():
        raise InputError(
            f"{path} is not a SavedModel folder: it has no saved_model.pb; name a "
            "SavedModel folder or a file."
        )
    return _from_keras2(path, read_saved_model(path), "Keras 2 SavedModel")


def _from_keras(path: pathlib.Path) -> Pretrained:
    if _keras_version(path).startswith("2."):
        return _from_keras2(path, read_keras_zip(path), "Keras 2 .keras")
    return Pretrained(load_network(path), *read_facts(path))


def _from_keras2(path: pathlib.Path, model: Keras2Model, form: str) -> Pretrained:
    try:
        network = build_keras2_model(model)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as e:
        raise _unknown(path, e) from e
    return Pretrained(network, {"format": form, **_identity(path)})


def _from_state_dict(path: pathlib.Path, norm: StateDictNorm | None) -> Pretrained:
    try:
        network = network_from_state_dict(read_state_dict(path), norm=norm)
    except ValueError as e:
        raise _unknown(path, e) from e
    if norm is None and normalization_of(network)["norm"] == "none":
        _LOG.warning(
            "%s has no keys of a norm and no biases before one, so it is read as a "
            "network without norm. An instance norm can look the same: if the "
            "images are wrong, try `norm=instance`.",
            path,
        )
    return Pretrained(network, {"format": "PyTorch state dict", **_identity(path)})


def _unknown(path: pathlib.Path, error: Exception) -> InputError:
    if isinstance(error, InputError):
        return error
    return InputError(
        f"{path} fits no known network: {first_line(error)}; known are the PyTorch "
        "networks of CycleGAN, pix2pix, CUT and GAN Compression, and models of Keras 2."
    )


def _identity(path: pathlib.Path) -> dict[str, str]:
    """Identify a file by its name and hash."""
    content = path / "saved_model.pb" if path.is_dir() else path
    with content.open("rb") as file:
        return {
            "file": path.name,
            "sha256": hashlib.file_digest(file, "sha256").hexdigest(),
        }


def _keras_version(path: pathlib.Path) -> str:
    """Return the version of Keras that wrote a `.keras` file."""
    with reading(path, "a .keras file"), open_zip(path) as archive:
        return str(read_json_entry(archive, "metadata.json")["keras_version"])
