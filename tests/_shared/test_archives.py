"""Archives from strangers: one sentence, whatever is in them, and little memory."""

import io
import json
import tracemalloc
import zipfile

import h5py
import keras
import numpy as np
import pytest
from command_line import fails

from cyclegan_tf._shared import archives
from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.evaluation.features import inception_features
from cyclegan_tf.photographs import PHOTOGRAPHS
from cyclegan_tf.pretrained.keras2.files import read_h5
from cyclegan_tf.pretrained.read import read_network
from cyclegan_tf.runs.checkpoints import Checkpoints, Position


@pytest.fixture(scope="module")
def entries(tmp_path_factory):
    """What is in a `.keras` file that Keras wrote, by name."""
    path = tmp_path_factory.mktemp("keras") / "small.keras"
    image = keras.Input((None, None, 3))
    keras.Model(image, keras.layers.Conv2D(3, 1)(image)).save(path)
    with zipfile.ZipFile(path) as archive:
        assert {entry.compress_type for entry in archive.infolist()} == {
            zipfile.ZIP_STORED
        }
        return {name: archive.read(name) for name in archive.namelist()}


def write_zip(path, entries, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def h5_bytes(fill):
    """An HDF5 file that `fill` writes."""
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        fill(file)
    return content.getvalue()


def refused(read, path):
    """Return the one sentence."""
    with pytest.raises(InputError) as error:
        read(path)
    message = str(error.value)
    assert message.startswith(str(path)) and "\n" not in message
    assert len(message) < 700
    return message


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
@pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
def test_nothing_is_inflated(entries, name, method, tmp_path):
    bomb = entries | {name: bytes(8_000_000)}
    path = write_zip(tmp_path / "bomb.keras", bomb, method)
    assert path.stat().st_size < 100_000
    tracemalloc.start()
    try:
        assert "is compressed" in refused(read_network, path)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("verb", ["inspect", "import", "export", "translate"])
def test_every_command_refuses_it(entries, verb, tmp_path, capsys):
    path = write_zip(tmp_path / "g.keras", entries, zipfile.ZIP_DEFLATED)
    arguments = PHOTOGRAPHS if verb == "translate" else ()
    out = [] if verb == "inspect" else ["--out", tmp_path / "out.keras"]
    assert "is compressed" in fails(capsys, verb, path, *arguments, *out)


def test_a_checkpoint_is_an_archive_too(entries, tmp_path):
    checkpoints = Checkpoints(tmp_path)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    path = checkpoints.save(model, Position(1, 1))
    write_zip(path / "model.keras", entries, zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match="is compressed"):
        checkpoints.load_newest()
    with pytest.raises(InputError, match="is compressed"):
        checkpoints.load_weights(model, path)
    (path / "state.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match="cannot be read as a checkpoint.*; remove it"):
        checkpoints.positions()


def gzipped(file):
    shape = (20_000, 20_000)
    file.create_dataset("a", shape, "f4", chunks=(1000, 1000), compression="gzip")


def repeated(file):
    file.create_group("first")["a"] = np.ones(9, np.float32)
    file["second"] = file["first"]


def linked(file):
    file["a"] = h5py.ExternalLink("/etc/passwd", "a")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config.json": b"[" * 100_000 + b"]" * 100_000}, "nested too deeply"),
        ({"config.json": b"[]"}, "unsupported operand"),
        ({"config.json": b"\xff"}, "decode"),
        ({"config.json": b" " * (archives.LARGEST_CONFIG + 1)}, "more than 4194304"),
        ({"metadata.json": b"{}"}, "'keras_version'"),
        ({"assets/a.txt": b""}, "also holds assets/a.txt"),
        ({"model.weights.h5": b"damaged"}, "cannot be read"),
        ({"model.weights.h5": h5_bytes(gzipped)}, "arrays claim 1600000000"),
        (
            {"model.weights.h5": h5_bytes(repeated)},
            "holds second, which points elsewhere",
        ),
        ({"model.weights.h5": h5_bytes(linked)}, "holds a, which points elsewhere"),
    ],
    ids=[
        *("nested", "list", "not UTF-8", "large", "no version", "assets", "damaged"),
        *("gzip", "repeated", "linked"),
    ],
)
def test_a_keras_file_made_by_hand(changes, message, entries, tmp_path):
    path = write_zip(tmp_path / "a.keras", entries | changes)
    with pytest.raises(InputError, match=message):
        read_network(path)
    refused(read_network, path)


def test_a_description_of_more_than_the_file_holds(entries, tmp_path):
    """Keras would first take 12 GB for the kernel."""
    config = json.loads(entries["config.json"])
    (conv,) = (
        layer for layer in config["config"]["layers"] if layer["class_name"] == "Conv2D"
    )
    conv["config"]["filters"] = 10**9
    changes = {"config.json": json.dumps(config)}
    path = write_zip(tmp_path / "a.keras", entries | changes)
    assert "its layers claim 4000000000" in refused(read_network, path)


def test_an_encrypted_entry(entries, tmp_path):
    path = write_zip(tmp_path / "a.keras", entries)
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1  # the flags in the directory
    path.write_bytes(content)
    assert "is encrypted (metadata.json)" in refused(read_network, path)


def test_a_name_twice(entries, tmp_path):
    path = write_zip(tmp_path / "a.keras", entries)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning):
        archive.writestr("config.json", "{}")
    assert "holds config.json 2 times" in refused(read_network, path)


def test_weights_of_inception(tmp_path):
    path = tmp_path / "inception.h5"
    path.write_bytes(h5_bytes(gzipped))
    with pytest.raises(InputError, match="its arrays claim 1600000000"):
        inception_features(path)


def test_one_changed_byte_of_the_weights(entries, tmp_path):
    """The zip file has a checksum of each entry."""
    path = write_zip(tmp_path / "a.keras", entries)
    content = bytearray(path.read_bytes())
    content[content.index(b"\x89HDF") + 2000] ^= 1
    path.write_bytes(content)
    assert "Bad CRC-32" in refused(read_network, path)


def endless(fill):
    """An HDF5 file on whose strings libhdf5 does not come to an end."""
    content = h5_bytes(fill)
    heap = content.index(b"GCOL")  # which begins with a header of 16 bytes
    return content[: heap + 16] + bytes(16) + content[heap + 32 :]


def test_strings_without_an_end(tmp_path, monkeypatch):
    def fill(file):
        file.attrs["layer_names"] = ["conv"]

    monkeypatch.setattr(archives, "_SECONDS_FOR_STRINGS", 5)
    (tmp_path / "a.h5").write_bytes(endless(fill))
    assert "cannot read its strings" in refused(read_h5, tmp_path / "a.h5")


def test_a_dtype_without_an_end(entries, tmp_path, monkeypatch):
    """Keras reads it of arrays in bfloat16."""

    def fill(file):
        file["vars/0"] = np.zeros(3, np.float32)
        file["vars/0"].attrs["dtype"] = "bfloat16"

    monkeypatch.setattr(archives, "_SECONDS_FOR_STRINGS", 5)
    changed = {**entries, "model.weights.h5": endless(fill)}
    path = write_zip(tmp_path / "a.keras", changed)
    assert "cannot read its strings" in refused(read_network, path)
