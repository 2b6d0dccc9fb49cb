"""Weights of PyTorch in .safetensors files, which need no PyTorch and no pickle."""

import json
import struct
import sys

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.models.networks.generators import resnet_generator
from cyclegan_tf.pretrained.convert import export_pytorch, import_network
from cyclegan_tf.pretrained.options import ExportPytorchConfig, ImportConfig
from cyclegan_tf.pretrained.pytorch.files import read_state_dict, write_state_dict
from cyclegan_tf.pretrained.pytorch.weights import state_dict_of
from cyclegan_tf.pretrained.read import find_networks, read_network


@pytest.fixture
def path(tmp_path):
    return tmp_path / "latest_net_G.safetensors"


def test_values_of_every_precision(path):
    values = torch.tensor([0.5, -2.0])
    types = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64)
    tensors = {str(dtype): (values * 2).to(dtype) for dtype in types}
    safetensors.torch.save_file(tensors, path)
    found = read_state_dict(path)
    assert found.keys() == tensors.keys()
    for array in found.values():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, [1.0, -4.0])


def test_what_is_written(path):
    arrays = {"model.1.weight": np.arange(6, dtype=np.float32).reshape(2, 3)}
    write_state_dict(path, arrays)
    with safetensors.safe_open(path, framework="pt") as file:
        assert file.metadata() == {"format": "pt"}
        np.testing.assert_array_equal(
            file.get_tensor("model.1.weight"), arrays["model.1.weight"]
        )
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_there_and_back_without_pytorch(path, tmp_path, monkeypatch):
    """A folder of both formats is read from this one."""
    generator = resnet_generator(2, 1)
    source, out = tmp_path / "g.keras", tmp_path / "again.keras"
    generator.save(source)
    monkeypatch.setitem(sys.modules, "torch", None)
    export_pytorch(ExportPytorchConfig(source, tmp_path, format="safetensors"))
    import_network(ImportConfig(path, out))
    again = read_network(out).network
    for found, expected in zip(again.weights, generator.weights, strict=True):
        np.testing.assert_array_equal(found, expected)

    path.with_suffix(".pth").write_bytes(b"damaged")
    (found,) = find_networks(tmp_path).values()
    assert found.origin["file"] == path.name
    assert state_dict_of(found.network).keys() == read_state_dict(path).keys()


def header(shape, dtype="F32"):
    content = {"a": {"dtype": dtype, "shape": shape, "data_offsets": [0, 4]}}
    encoded = json.dumps(content).encode()
    return struct.pack("<Q", len(encoded)) + encoded + b"1234"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK",
        struct.pack("<Q", 10**12),
        header([10**5] * 2),
        header([4], "F8_E4M3"),
    ],
    ids=["empty", "short", "long header", "claims", "float8"],
)
def test_a_damaged_file(content, path):
    path.write_bytes(content)
    with pytest.raises(InputError, match="cannot be read as a safetensors file") as e:
        read_state_dict(path)
    assert "\n" not in str(e.value)


def test_without_the_library(path, monkeypatch):
    write_state_dict(path, {"a": np.ones(2, np.float32)})
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(InputError, match=r"pip install 'cyclegan_tf\[safetensors\]'"):
        read_state_dict(path)
