"""Find the generators or networks that a path or name stands for, for every command."""

import dataclasses
import hashlib
import logging
import pathlib
import re
from typing import Any

import keras

from cyclegan_tf._shared.archives import open_zip, read_json_entry, reading
from cyclegan_tf._shared.errors import InputError, first_line
from cyclegan_tf._shared.files import check_downloaded, parse_json, versions_in
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
    read_generator,
    write_network,
)
from cyclegan_tf.pretrained.options import StateDictNorm
from cyclegan_tf.pretrained.pytorch.files import (
    SUFFIXES,
    read_state_dict,
    require_reader,
)
from cyclegan_tf.pretrained.pytorch.weights import network_from_state_dict
from cyclegan_tf.pretrained.zoo import NamedModel, did_you_mean, download, find_model
from cyclegan_tf.runs.run import Run, generator_file

_LOG = logging.getLogger(__name__)

# The reference's names and ours: A is X, G_A is G, and D_A judges images of G_A. A
# one-way model calls its generator G.
PYTORCH_NAMES = {
    "G_A": "generator_g",
    "G_B": "generator_f",
    "D_A": "discriminator_y",
    "D_B": "discriminator_x",
    "G": "generator_g",
    "D": "discriminator_y",
}
_PYTORCH_FILE = re.compile(r"(latest|\d+)_net_(G_A|G_B|D_A|D_B|G|D)\.(pth|safetensors)")


@dataclasses.dataclass(frozen=True)
class StoredGenerator:
    """A generator that a path or name stands for.

    Attributes:
        direction: `"g"` (X to Y) or `"f"` (Y to X); `None` if the path does not say.
        path: a `.keras` file, or the SavedModel folder of `cyclegan export`.
        training_size: side in pixels of the images that it was trained on; `None` if
            nothing says.
        translates: what it turns into what, such as `"horse to zebra"`; `None` if
            nothing says.
    """

    direction: str | None
    path: pathlib.Path
    training_size: int | None = None
    translates: str | None = None

    @property
    def title(self) -> str:
        """Its title, such as `"G: horse to zebra"`."""
        if self.direction:
            return DIRECTIONS[self.direction].title(self.translates)
        return self.translates or "Translation"

    def load(self) -> keras.Model:
        """Load it; see `load_generator`."""
        if self.is_exported:
            raise InputError(
                f"{self.path} is a SavedModel, which is no Keras model; name the run "
                "or the .keras file that it was exported from."
            )
        return read_generator(self.path)

    def is_called(self, direction: str) -> bool:
        """Whether `"g"`, `"f"`, or what it translates stands for it.

        That is `"horse2zebra"` or `"horse to zebra"`, also for horses and zebras: both
        names may be beginnings.
        """
        if direction == self.direction:
            return True
        return any(
            re.search(
                rf"(?<!\w){re.escape(direction[: middle.start()])}.* to (.*\W)?"
                rf"{re.escape(direction[middle.end() :])}",
                self.translates or "",
                re.IGNORECASE,
            )
            for middle in re.finditer("(?<=.)(2| to )(?=.)", direction)
        )

    def __str__(self) -> str:
        name = (self.translates or "").replace(" to ", "2")
        if self.direction and name:
            return f"{self.direction} ({name})"
        return self.direction or name or "one of unknown direction"

    @property
    def is_exported(self) -> bool:
        return self.path.is_dir()


def find_generators(source: pathlib.Path) -> list[StoredGenerator]:
    """Find the generators that a path or name stands for.

    Args:
        source: a run folder, a generator's `.keras` file, a folder with
            `generator_g.keras` and so on, a folder that `cyclegan export` wrote, one
            of its SavedModels, or the name of a model, which is downloaded if need be.

    Returns:
        At least one, G before F.

    Raises:
        InputError: if there is none, or a download fails.
    """
    if model := find_model(source):
        return [_generator_of(model)]
    if source.is_file() or (source / "saved_model.pb").is_file():
        directions = {"generator_g": "g", "generator_f": "f"}
        return [stored_generator(source, directions.get(source.stem))]
    found = generators_in(source) or _exported_in(source)
    if found:
        return found
    if not source.exists():
        advice = did_you_mean(str(source), "check the name, or see cyclegan models.")
        raise InputError(f"There is no file, folder or model {source}; {advice}")
    if Run.is_run(source):
        raise InputError(
            f"{source} has no generators yet; wait for the first checkpoint of its "
            "training."
        )
    raise InputError(
        f"{source} holds no generators; name a run, a generator's .keras file, or a "
        "folder that cyclegan import or cyclegan export (with its SavedModels) wrote."
    )


def choose_generator(
    source: pathlib.Path, direction: str | None = None
) -> StoredGenerator:
    """Find the generator of one direction.

    Args:
        source: as for `find_generators`.
        direction: `"g"` (X to Y), `"f"` (Y to X), or the names of the domains or their
            beginnings, such as `"horse2zebra"`. Defaults to the only generator, or G of
            two.

    Raises:
        InputError: if there is none, or `direction` stands for both.
    """
    found = find_generators(source)
    if direction is None:
        return found[0]
    called = [generator for generator in found if generator.is_called(direction)]
    if len(called) == 1:
        return called[0]
    if len(found) == 1 and found[0].direction is None and direction in DIRECTIONS:
        return found[0]  # a file that does not say which it is
    raise InputError(
        f"{source} has {'more than one' if called else 'no'} generator of direction "
        f"{direction}; it has {' and '.join(map(str, found))}."
    )


def load_generator(
    source: str | pathlib.Path, direction: str | None = None
) -> keras.Model:
    """Load a generator.

    Args:
        source: as for `find_generators`, except for a SavedModel.
        direction: as for `choose_generator`.

    Returns:
        A functional model from float images (batch, height, width, channels) in
        [-1, 1] to images of the same size in [-1, 1].

    Raises:
        InputError: if there is no such generator, or a download fails.

    Example:
    ```python
    paint = cyclegan_tf.load_generator("pytorch:style_monet")
    ```
    """
    return choose_generator(pathlib.Path(source), direction).load()


def generators_in(folder: pathlib.Path) -> list[StoredGenerator]:
    """List the `generator_*.keras` in a folder, which need not exist."""
    return [
        stored_generator(path, direction)
        for direction in DIRECTIONS
        if (path := generator_file(folder, direction)).is_file()
    ]


def _generator_of(model: NamedModel) -> StoredGenerator:
    """Return a model's generator; download and convert its file if need be."""
    file = model.file
    path = file.path.with_suffix(".keras")
    if not path.is_file():
        if file.path.suffix in SUFFIXES:  # or the download would be for nothing
            require_reader(file.path)
        downloaded = download(file, read_network)
        if downloaded != path:
            network = read_network(downloaded)
            size = model.training_size
            write_network(path, dataclasses.replace(network, training_size=size))
    return StoredGenerator("g", path, model.training_size, model.translates)


def stored_generator(
    path: pathlib.Path, direction: str | None = None
) -> StoredGenerator:
    """Describe a generator by what its file, its run or its export says.

    Args:
        path: a file or a SavedModel.
        direction: what its name says of its direction.
    """
    if path.is_dir():
        folder = path.resolve().parent
        about = folder.with_name(f"{folder.name}.json")
        if about.is_file():
            return StoredGenerator(path=path, **_about_exported(about))
        return StoredGenerator(direction, path)
    _, size, translates = read_facts(path)
    # The first runs had no notes in their files.
    if None in (size, translates) and Run.is_run(path.parent):
        dataset = Run(path.parent).config.dataset
        size = size or dataset.training_size
        if direction:
            translates = translates or dataset.translates(direction)
    return StoredGenerator(direction, path, size, translates)


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
        return {"generator_g": read_network(_generator_of(model).path)}
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
        for generator in generators_in(run.folder):
            networks[f"generator_{generator.direction}"] = load_network(generator.path)
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
    if path.suffix not in SUFFIXES:
        _check_no_norm(path, norm)
    if path.is_dir():
        if not (path / "saved_model.pb").is_file():
            raise InputError(
                f"{path} is not a SavedModel folder: it has no saved_model.pb; name a "
                "SavedModel folder or a file."
            )
        return _from_keras2(path, read_saved_model(path), "Keras 2 SavedModel")
    if not path.is_file():
        raise InputError(f"There is no file or folder {path}; check the name.")
    check_downloaded(path)
    if path.suffix in (".h5", ".hdf5"):
        return _from_keras2(path, read_h5(path), "Keras 2 .h5")
    if path.suffix == ".keras":
        if _keras_version(path).startswith("2."):
            return _from_keras2(path, read_keras_zip(path), "Keras 2 .keras")
        return Pretrained(load_network(path), *read_facts(path))
    if path.suffix in SUFFIXES:
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
    raise InputError(
        f"{path} does not have the suffix of a network; name a .keras, .pth, .pt, "
        ".safetensors, .h5 or .hdf5 file, or a SavedModel folder."
    )


def _exported_in(folder: pathlib.Path) -> list[StoredGenerator]:
    """List the SavedModels of `cyclegan export`, by the JSON file of each."""
    if not (folder / "report.json").is_file():
        return []
    found = []
    for path in folder.glob("*.json"):
        if versions := versions_in(path.with_suffix("")):
            newest = versions[max(versions)]
            found.append(StoredGenerator(path=newest, **_about_exported(path)))
    return sorted(found, key=lambda generator: generator.direction == "f")


def _about_exported(path: pathlib.Path) -> dict[str, Any]:
    """Read what `cyclegan export` wrote about a generator: all but its path."""
    with reading(path, "what cyclegan export writes", "export again"):
        content = parse_json(path.read_text())
        return {
            "direction": content["direction"],
            "training_size": content.get("training_size"),
            "translates": content.get("translates"),
        }


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
