"""A .pth file is a pickle: it is read as data, or refused in one sentence."""

import argparse
import os
import pickle
import re
import sys
import warnings
import zipfile

import numpy as np
import pytest
import torch

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.pretrained.pytorch.files import read_state_dict, write_state_dict

TENSORS = {
    "model.1.weight": torch.arange(24, dtype=torch.float32).reshape(2, 3, 2, 2),
    "model.1.bias": torch.ones(2),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "latest_net_G.pth"


def refused(path):
    """Return the one sentence."""
    with pytest.raises(InputError) as error:
        read_state_dict(path)
    message = str(error.value)
    assert message.startswith(str(path)) and "\n" not in message
    return message


@pytest.mark.parametrize("new_format", [True, False])
def test_files_of_every_version(new_format, path):
    torch.save(TENSORS, path, _use_new_zipfile_serialization=new_format)
    found = read_state_dict(path)
    assert list(found) == list(TENSORS)
    for key, tensor in TENSORS.items():
        np.testing.assert_array_equal(found[key], tensor.numpy())


def test_round_trip(path):
    arrays = {key: tensor.numpy() for key, tensor in TENSORS.items()}
    write_state_dict(path, arrays)
    loaded = torch.load(path, weights_only=True)
    assert all(torch.equal(loaded[key], TENSORS[key]) for key in TENSORS)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_half_precision_becomes_float32(path):
    torch.save({"a": torch.ones(2, dtype=torch.bfloat16)}, path)
    assert read_state_dict(path)["a"].dtype == np.float32


@pytest.mark.parametrize("name", ["state_dict", "model", "netG"])
def test_a_training_checkpoint(name, path):
    """The state dict is found beside the step, the optimizer's state and others."""
    network = torch.nn.Conv2d(2, 3, 1)
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 2, 4, 4)).sum().backward()
    optimizer.step()
    content = {"epoch": 3, "loss": torch.ones(()), name: network.state_dict()}
    torch.save({**content, "optimizer": optimizer.state_dict()}, path)
    found = read_state_dict(path)
    assert list(found) == ["weight", "bias"]
    np.testing.assert_array_equal(found["bias"], network.bias.detach())


def test_a_checkpoint_of_several_networks(path):
    torch.save({"netG_A": TENSORS, "netG_B": TENSORS, "epoch": 3}, path)
    assert "holds several state dicts ('netG_A', 'netG_B'); save" in refused(path)


class Hostile:
    """What it says is done when it is unpickled freely."""

    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("new_format", [True, False])
def test_a_hostile_pickle(new_format, path, tmp_path):
    mark = tmp_path / "executed"
    content = {"model.1.weight": Hostile(os.system, f"touch {mark}")}
    torch.save(content, path, _use_new_zipfile_serialization=new_format)
    assert "which is unsafe to load" in refused(path)
    assert not mark.exists()


def test_a_bare_hostile_pickle(path, tmp_path):
    mark = tmp_path / "executed"
    path.write_bytes(pickle.dumps(Hostile(os.system, f"touch {mark}")))
    assert "cannot be read as a PyTorch state dict" in refused(path)
    assert not mark.exists()


def advised(path):
    return re.search("weights_only|safe_globals|trust", refused(path))


@pytest.mark.parametrize("new_format", [True, False])
def test_the_advice_to_load_unsafely_is_not_repeated(new_format, path):
    for content in (
        {"options": argparse.Namespace(epoch=3), "model": TENSORS},
        torch.nn.Linear(2, 2),
        {"a": np.ones(2)},
    ):
        torch.save(content, path, _use_new_zipfile_serialization=new_format)
        assert not advised(path)
    assert "it names numpy" in refused(path)
    path.write_bytes(pickle.dumps({"a": 1}))
    assert not advised(path)


def test_a_torchscript_archive(path):
    """PyTorch gives its advice in another error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated
        torch.jit.save(torch.jit.script(torch.nn.ReLU()), path)
    assert not advised(path)


def test_a_zip_bomb(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
        archive.writestr("archive/data/0", bytes(50_000_000))
    assert path.stat().st_size < 100_000
    assert "is compressed" in refused(path)


def test_a_tensor_that_repeats_itself(path):
    """One stored number, shown as ten billion."""
    torch.save({"model.1.weight": torch.zeros(1).expand(100_000, 100_000)}, path)
    assert "its tensors claim 40000000000" in refused(path)


@pytest.mark.parametrize("new_format", [True, False])
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9])
def test_a_truncated_file(kept, new_format, path):
    torch.save(TENSORS, path, _use_new_zipfile_serialization=new_format)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    assert "cannot be read as a PyTorch state dict" in refused(path)


def test_a_wrong_magic_number(path):
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    assert "cannot be read as a PyTorch state dict" in refused(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.ones(2)], "holds an object of type list instead of tensors by name"),
        ({}, "instead of tensors by name"),
        (torch.ones(2), "holds an object of type Tensor instead of tensors by name"),
        ({"epoch": 3}, "type int under 'epoch' instead of a dense tensor"),
        ({"a": torch.ones(2, 2).to_sparse()}, "under 'a' instead of a dense tensor"),
        ({"a": torch.ones(2, device="meta")}, "under 'a' instead of a dense tensor"),
        ({1: torch.ones(2)}, "under 1 instead of a dense tensor"),
    ],
    ids=["list", "empty", "tensor", "number", "sparse", "meta", "key"],
)
def test_something_else_in_it(content, message, path):
    torch.save(content, path)
    assert message in refused(path)


def test_no_such_file(path):
    with pytest.raises(InputError, match="There is no file"):
        read_state_dict(path)


def test_without_pytorch(path, monkeypatch):
    torch.save(TENSORS, path)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match=r"pip install 'cyclegan_tf\[pytorch\]'"):
        read_state_dict(path)
