"""Uploads: nothing that a server was sent outlives it."""

import os
import pathlib
import stat
import tempfile

import pytest

from cyclegan_tf.translation.uploads import private_uploads


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The system's folder of temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("GRADIO_TEMP_DIR", raising=False)
    return tmp_path


def uploads():
    return pathlib.Path(os.environ["GRADIO_TEMP_DIR"])


def test_they_are_private_and_removed(folder):
    with private_uploads():
        (uploads() / "photo.png").touch()
        assert stat.S_IMODE(uploads().stat().st_mode) == 0o700
        assert uploads().parent == folder
    assert not list(folder.iterdir())
    assert "GRADIO_TEMP_DIR" not in os.environ


def test_those_of_a_killed_server_are_removed_and_of_a_running_one_kept(folder):
    left, other = folder / "cyclegan-uploads-killed", folder / "other"
    left.mkdir()
    other.mkdir()
    (left / "photo.png").touch()
    (folder / "cyclegan-uploads-link").symlink_to(other)
    with private_uploads():
        assert not left.exists() and not list(other.iterdir())
        mine = uploads()
        (mine / "photo.png").touch()
        with private_uploads():
            assert uploads() != mine
        assert (mine / "photo.png").exists() and uploads() == mine
