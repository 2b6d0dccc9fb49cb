"""Sound files of each kind that strangers send, and what reads them.

`fuzzing.py` and `test_strangers.py` change them.
"""

import math
import pathlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import exported
import h5py
import numpy as np
import tensorflow as tf
import tiny

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.beam.records import decode_record, encode_record, read_records
from cyclegan_tf.cli.main import main as cyclegan
from cyclegan_tf.images import read_image
from cyclegan_tf.images.reading import MAX_PIXELS
from cyclegan_tf.pretrained.keras2.files import read_h5
from cyclegan_tf.pretrained.pytorch.files import read_state_dict, write_state_dict
from cyclegan_tf.pretrained.read import read_network
from cyclegan_tf.runs.checkpoints import Checkpoints, Position
from cyclegan_tf.runs.run import Run
from cyclegan_tf.translation.tiled.vips import decode, large_image_size


class Kind(NamedTuple):
    """Sound files, and a function that reads one or raises an `InputError`."""

    sound: list[bytes]
    read: Callable[[bytes], object]


def images(folder: pathlib.Path) -> Kind:
    """Images, as `translate`, `train` and `serve` read them."""
    return Kind(
        [*_encoded("PNG", "JPEG", "BMP", "GIF", "WebP", "TIFF", "PPM")], read_image
    )


def _encoded(*suffixes: str) -> Iterator[bytes]:
    for suffix in suffixes:
        yield exported.encode(exported.photo(9, 7, 3), suffix)


def large_images(folder: pathlib.Path) -> Kind:
    """Images, as `translate --tile` reads them, where the disk has room for few."""

    def read(path: pathlib.Path) -> object:
        if math.prod(large_image_size(path)) > MAX_PIXELS:
            raise InputError("refused")
        return decode(path, 3, folder / "pixels")

    sound = [*_encoded("PNG", "JPEG", "GIF", "WebP", "TIFF")]
    return Kind(sound, _of_a_path(folder / "changed", read))


def config(folder: pathlib.Path) -> Kind:
    """The config.json of a run."""
    tiny.untrained_run(folder / "run")
    path = folder / "run" / "config.json"
    return Kind([path.read_bytes()], _of_a_path(path, lambda path: Run(path.parent)))


def position(folder: pathlib.Path) -> Kind:
    """The state.json of a checkpoint."""
    checkpoints, path = _checkpoint(folder)

    def read(_: pathlib.Path) -> object:
        return checkpoints.newest, checkpoints.best

    return Kind([path.read_bytes()], _of_a_path(path, read))


def checkpoint(folder: pathlib.Path) -> Kind:
    """The model of a checkpoint, as `train --resume` reads it."""
    checkpoints, state = _checkpoint(folder)
    path = state.with_name("model.keras")
    model = _model()

    def read(path: pathlib.Path) -> object:
        return checkpoints.load_weights(model, path.parent)

    return Kind([path.read_bytes()], _of_a_path(path, read))


def _checkpoint(folder: pathlib.Path) -> tuple[Checkpoints, pathlib.Path]:
    checkpoints = Checkpoints(folder / "checkpoints")
    return checkpoints, checkpoints.save(_model(), Position(1, 1)) / "state.json"


def _model() -> object:
    model = tiny.cyclegan(filters=1)
    model.compile()
    return model


def keras(folder: pathlib.Path) -> Kind:
    """A generator of Keras 3."""
    path = folder / "sound.keras"
    exported.two_layer_generator().save(path)
    return Kind([path.read_bytes()], _of_a_path(path, read_network))


def h5(folder: pathlib.Path) -> Kind:
    """A model of Keras 2."""
    path = folder / "sound.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = ["conv"]
        file.create_group("conv").attrs["weight_names"] = ["conv/kernel:0"]
        file["conv/conv/kernel:0"] = np.ones((3, 3, 3, 2), np.float32)
    return Kind([path.read_bytes()], _of_a_path(path, read_h5))


def pytorch(folder: pathlib.Path, suffix: str = ".pth") -> Kind:
    """A checkpoint of PyTorch."""
    path = folder / f"sound{suffix}"
    write_state_dict(path, _tensors())
    return Kind([path.read_bytes()], _of_a_path(path, read_state_dict))


def old_pytorch(folder: pathlib.Path) -> Kind:
    """A checkpoint of PyTorch before 1.6."""
    import torch

    path = folder / "sound.pt"
    legacy = {key: torch.from_numpy(array) for key, array in _tensors().items()}
    torch.save(legacy, path, _use_new_zipfile_serialization=False)
    return Kind([path.read_bytes()], _of_a_path(path, read_state_dict))


def safetensors(folder: pathlib.Path) -> Kind:
    """A checkpoint of safetensors."""
    return pytorch(folder, ".safetensors")


def _tensors() -> dict[str, np.ndarray]:
    return {"model.1.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)}


def records(folder: pathlib.Path) -> Kind:
    """The TFRecords of a Beam job."""
    path = folder / "sound.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for name in ("a.png", "b.jpg"):
            writer.write(encode_record(name, b"an image"))

    def read(path: pathlib.Path) -> object:
        return [decode_record(record, "it") for record in read_records(path, "it")]

    return Kind([path.read_bytes()], _of_a_path(path, read))


def image_bytes(folder: pathlib.Path) -> Kind:
    """Images, as TensorFlow Serving reads them."""
    exported.two_layer_generator().save(folder / "g.keras")
    where = ("--for", "serving", "--out", folder / "exported")
    if cyclegan(["export", *map(str, (folder / "g.keras", *where))]):
        raise RuntimeError("the generator cannot be exported")
    (graph,) = (folder / "exported").rglob("saved_model.pb")
    loaded = tf.saved_model.load(str(graph.parent))

    def read(content: bytes) -> None:
        try:
            exported.translate_files(loaded, [content])
        except tf.errors.InvalidArgumentError as e:
            raise InputError("refused") from e

    return Kind([*_encoded("PNG", "JPEG")], read)


def _of_a_path(
    path: pathlib.Path, read: Callable[[pathlib.Path], object]
) -> Callable[[bytes], object]:
    """Return what writes bytes to a file, and reads it."""

    def read_changed(content: bytes) -> object:
        path.write_bytes(content)
        return read(path)

    return read_changed


KINDS: dict[str, Callable[[pathlib.Path], Kind]] = {
    kind.__name__: kind
    for kind in (
        *(images, large_images, image_bytes, records, config, position, checkpoint),
        *(keras, h5, pytorch, old_pytorch, safetensors),
    )
}
