"""Read the layer descriptions and the weights of models saved by Keras 2.

It reads data only: it deserializes no Lambda layer and loads no SavedModel function.
"""

import collections
import dataclasses
import math
import pathlib
import re
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np
import tensorflow as tf

from cyclegan_tf._shared.archives import (
    KERAS_CONFIG,
    KERAS_WEIGHTS,
    check_claim,
    open_h5,
    open_zip,
    read_json_entry,
    reading,
)
from cyclegan_tf._shared.errors import InputError
from cyclegan_tf._shared.files import parse_json

# Arrays by layer, then by attribute: {"conv2d": {"kernel": ...}}.
Weights = Mapping[str, Mapping[str, np.ndarray]]

_VARIABLE = "/.ATTRIBUTES/VARIABLE_VALUE"


@dataclasses.dataclass(frozen=True)
class Keras2Model:
    """The content of a model's file.

    Attributes:
        config: the description of a functional or sequential model in the JSON of
            Keras 2: `{"class_name": ..., "config": {"layers": [...], ...}}`. `None` if
            the file holds weights only.
        weights: float32 arrays by layer and attribute, in the order of the layers.
    """

    config: dict[str, Any] | None
    weights: Weights


def read_h5(path: pathlib.Path) -> Keras2Model:
    """Read what `model.save("x.h5")` or `model.save_weights("x.h5")` wrote.

    Raises:
        InputError: if the file is damaged or claims more data than its size.
    """
    with reading(path, "a Keras .h5 file"), open_h5(path) as file:
        description = file.attrs.get("model_config")
        root = file["model_weights"] if description is not None else file
        weights = _h5_weights(root)
        config = None if description is None else parse_json(description)
    return Keras2Model(config, weights)


def read_keras_zip(path: pathlib.Path) -> Keras2Model:
    """Read what `model.save("x.keras")` of Keras 2.13 or newer wrote.

    Raises:
        InputError: if the file is damaged or claims more data than its size.
    """
    with reading(path, "a .keras file of Keras 2"), open_zip(path) as archive:
        config = read_json_entry(archive, KERAS_CONFIG)
        with open_h5(path, archive.read(KERAS_WEIGHTS)) as file:
            weights = _zip_weights(config["config"]["layers"], file)
    return Keras2Model(config, weights)


def read_saved_model(folder: pathlib.Path) -> Keras2Model:
    """Read what `model.save("folder")` of Keras 2 wrote.

    Args:
        folder: a folder with `saved_model.pb`, `keras_metadata.pb` and `variables/`.

    Raises:
        InputError: if it is damaged, or not written by Keras 2.
    """
    # Keras 3 lacks this protocol buffer; TensorFlow keeps it for old models.
    from tensorflow.python.keras.protobuf import saved_metadata_pb2

    metadata = saved_metadata_pb2.SavedMetadata()
    path = folder / "keras_metadata.pb"
    if not path.is_file():
        raise InputError(
            f"{folder} is a SavedModel without keras_metadata.pb, so its layers are "
            "unknown; import the model that it was exported from."
        )
    with reading(folder, "a SavedModel of Keras 2"):
        metadata.ParseFromString(path.read_bytes())
        described = {
            node.node_path: parse_json(node.metadata) for node in metadata.nodes
        }
        root = _without_tuples(described["root"])
        config = {"class_name": root["class_name"], "config": root["config"]}
        reader = tf.train.load_checkpoint(str(folder / "variables/variables"))
        types = reader.get_variable_to_dtype_map()
        shapes = reader.get_variable_to_shape_map()
        claimed = sum(types[key].size * math.prod(shapes[key]) for key in shapes)
        check_claim(folder, claimed, "arrays")
        weights: dict[str, dict[str, np.ndarray]] = {}
        for key in shapes:
            # layer_with_weights-0/kernel/.ATTRIBUTES/VARIABLE_VALUE
            layer, _, attribute = key.removesuffix(_VARIABLE).rpartition("/")
            node = described.get(f"root.{layer}")
            if node and key.endswith(_VARIABLE):
                name = node["config"]["name"]
                weights.setdefault(name, {})[attribute] = reader.get_tensor(key)
    return Keras2Model(config, weights)


def _h5_weights(root: h5py.Group) -> Weights:
    """Collect the arrays: `conv2d/conv2d/kernel:0` is the kernel of `conv2d`."""
    weights: dict[str, dict[str, np.ndarray]] = {}
    for layer in map(_text, root.attrs["layer_names"]):
        for name in map(_text, root[layer].attrs["weight_names"]):
            attribute = name.rpartition("/")[2].partition(":")[0]
            array = np.asarray(root[layer][name], np.float32)
            weights.setdefault(layer, {})[attribute] = array
    return weights


def _zip_weights(descriptions: list[dict[str, Any]], file: h5py.File) -> Weights:
    """Collect the arrays: `layers/conv2d_1/vars/0` is of the second `Conv2D`."""
    weights = {}
    counts: collections.Counter[str] = collections.Counter()
    for description in descriptions:
        kind = description["class_name"]
        base = re.sub("(?<=.)(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])", "_", kind)
        number = counts[kind]
        counts[kind] += 1
        folder = f"layers/{base.lower()}{f'_{number}' if number else ''}/vars"
        if folder in file:
            options = description["config"]
            arrays = {int(i): np.asarray(array) for i, array in file[folder].items()}
            names = [
                name
                for name in (
                    ("kernel", "bias")
                    if "Conv" in kind
                    else ("gamma", "beta", "moving_mean", "moving_variance")
                )
                if options.get({"gamma": "scale", "beta": "center"}.get(name, ""), True)
            ]
            name = description.get("name") or options["name"]
            weights[name] = {names[i]: arrays[i] for i in sorted(arrays)}
    return weights


def _without_tuples(value: Any) -> Any:
    """Undo how Keras writes tuples into the JSON of a SavedModel."""
    if isinstance(value, dict):
        if value.get("class_name") == "__tuple__":
            return _without_tuples(value["items"])
        return {key: _without_tuples(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_tuples(item) for item in value]
    return value


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name
