"""Names of files, and writing them."""

import errno
import os
import pathlib

import pytest

from cyclegan_tf._shared.files import (
    identity,
    natural_key,
    printable,
    relative_name,
    replacing,
    write_json,
)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/data/trainA/1.png", "trainA/1.png"),
        ("/other/1.png", "/other/1.png"),
        ("train-00001.png", "train-00001.png"),
    ],
)
def test_names_relative_to_a_data_set(path, name):
    assert relative_name(path, "/data") == name


def test_the_longest_name_is_written_and_keeps_its_suffixes(tmp_path):
    for name in ("a" * 246 + ".keras.h5", "\u00e4" * 124 + ".keras", "a.weights.h5"):
        with replacing(tmp_path / name) as temporary:
            assert temporary.name[-9:] == name[-9:]
            assert len(os.fsencode(temporary.name)) < 200
            temporary.write_text("written")
        assert (tmp_path / name).read_text() == "written"


def test_names_that_are_not_utf8_can_be_printed():
    assert printable(pathlib.Path(os.fsdecode(b"\xffa"))) == "\\udcffa"
    assert printable("\u00e4") == "\u00e4"


def test_two_names_of_one_file(tmp_path):
    (tmp_path / "a").write_text("")
    (tmp_path / "b").symlink_to("a")
    assert identity(tmp_path / "a") == identity(tmp_path / "b") is not None
    assert identity(tmp_path / "absent") is identity(tmp_path / "a\0") is None


def test_natural_order_of_digits_that_are_no_numbers():
    assert sorted(["1\u00b22", "1\u00b21"], key=natural_key)[0] == "1\u00b21"


def test_all_is_on_the_disk_before_the_rename_and_the_rename_after(
    tmp_path, monkeypatch
):
    done = []
    sync, replace = os.fsync, os.replace

    def record_sync(descriptor):
        done.append(os.fstat(descriptor).st_ino)
        sync(descriptor)

    def record_replace(old, new):
        replace(old, new)
        done.append("renamed")

    monkeypatch.setattr(os, "fsync", record_sync)
    monkeypatch.setattr(os, "replace", record_replace)
    with replacing(tmp_path / "step-1") as temporary:
        (temporary / "deep").mkdir(parents=True)
        (temporary / "deep/model").write_text("weights")
    final = tmp_path / "step-1"
    files = [final / "deep/model", final / "deep", final]
    expected = [path.stat().st_ino for path in files]
    assert done == [*expected, "renamed", tmp_path.stat().st_ino]


def test_a_disk_that_syncs_no_folders_or_fails(tmp_path, monkeypatch):
    def fail(number):
        def sync(descriptor):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, "fsync", sync)

    fail(errno.EINVAL)
    write_json(tmp_path / "a.json", 1)
    fail(errno.EIO)
    with pytest.raises(OSError, match="Input/output error"):
        write_json(tmp_path / "a.json", 2)
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert (tmp_path / "a.json").read_text() == "1\n"
