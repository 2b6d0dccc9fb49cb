"""Networks saved by Keras 3, and what is noted about them in their files."""

import dataclasses
import pathlib

import keras

from cyclegan_tf._shared.archives import read_note, reading, write_note
from cyclegan_tf._shared.errors import InputError
from cyclegan_tf._shared.files import check_downloaded, replacing
from cyclegan_tf._version import __version__
from cyclegan_tf.models.networks.graph import size_multiple
from cyclegan_tf.runs.keras_files import load_keras


def load_generator_file(path: pathlib.Path) -> keras.Model:
    """Load a generator from a `.keras` file.

    Raises:
        InputError: as `load_network`; if its output differs in size from its input.
    """
    network = load_network(path)
    advice = "name a generator's file, such as generator_g.keras"
    with reading(path, "a generator that keeps the size of images", advice):
        size_multiple(network)
    return network


def check_image_channels(channels: int, output_channels: int, name: object) -> None:
    """Check that image files can hold the input and output of a generator.

    Raises:
        InputError: if a number of channels is neither 1 nor 3.
    """
    if not {1, 3}.issuperset((channels, output_channels)):
        raise InputError(
            f"{name} translates images of {channels} channels to {output_channels}, "
            "but image files have 1 or 3; name another generator."
        )


def load_network(path: pathlib.Path) -> keras.Model:
    """Load a network that Keras 3 saved, without Lambda layers.

    Args:
        path: a `.keras` file of a functional model with one input and one output.

    Raises:
        InputError: if there is no such file, Keras cannot load it, or it holds
            another kind of model, such as a whole `CycleGAN`.
    """
    if not path.is_file():
        raise InputError(f"There is no network {path}; check the name.")
    check_downloaded(path)
    advice = "name a .keras file of a run, or convert another model by cyclegan import"
    with reading(path, "a network of Keras 3", advice):
        network = load_keras(path)
    if not _is_functional(network):
        raise InputError(
            f"{path} holds a {type(network).__name__}, not a network as a functional "
            "Keras model; name the file of a single network, such as "
            "generator_g.keras."
        )
    return network


def _is_functional(network: keras.Model) -> bool:
    """Whether a model is a graph of layers from one input to one output."""
    if isinstance(network, keras.Sequential):
        return False
    ends = [getattr(network, name, None) or [] for name in ("inputs", "outputs")]
    return [len(tensors) for tensors in ends] == [1, 1]


@dataclasses.dataclass(frozen=True)
class Pretrained:
    """A network, and what is known about it.

    Attributes:
        network: the model.
        origin: the `"format"` of its file, and `"file"` and `"sha256"` if imported.
        training_size: side of the training images in pixels; `None` if it is unknown.
        translates: what it turns into what, such as `"horse to zebra"`; `None` if it is
            unknown.
    """

    network: keras.Model
    origin: dict[str, str]
    training_size: int | None = None
    translates: str | None = None


def write_network(path: pathlib.Path, pretrained: Pretrained) -> None:
    """Write a `.keras` file with a note of where its network came from.

    Any Keras 3 loads it.
    """
    note = {
        **pretrained.origin,
        "imported_by": f"cyclegan_tf {__version__}",
        "training_size": pretrained.training_size,
        "translates": pretrained.translates,
    }
    with replacing(path) as temporary:
        pretrained.network.save(temporary)
        write_note(temporary, note)


def read_facts(path: pathlib.Path) -> tuple[dict[str, str], int | None, str | None]:
    """Read origin, training size and `translates` of a file; see `Pretrained`."""
    note = read_note(path)
    size, translates = (note.pop(key, None) for key in ("training_size", "translates"))
    return (
        note or {"format": "Keras 3"},
        size if isinstance(size, int) and size > 0 else None,
        translates if isinstance(translates, str) else None,
    )
