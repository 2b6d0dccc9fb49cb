"""Finding images."""

import pathlib

import pytest
import tiny

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.data.sources import find_sources


def test_folders_and_file_lists(tmp_path):
    tiny.write_domains(tmp_path, count=2, splits=("trainA", "elsewhere"))
    (tmp_path / "trainB.txt").write_text("elsewhere/1.png\n\nelsewhere/0.png\n")

    def names(split):
        sources = find_sources(str(tmp_path), split)
        return [pathlib.Path(source.name).name for source in sources]

    found = [names(split) for split in ("trainA", "trainB", "testA")]
    assert found == [["0.png", "1.png"], ["1.png", "0.png"], []]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_lists_in_several_encodings(encoding, tmp_path):
    """Windows editors write UTF-16, or UTF-8 with a mark."""
    (tmp_path / "trainA.txt").write_bytes("b\u00e4r.png\r\n".encode(encoding))
    [source] = find_sources(str(tmp_path), "trainA")
    assert source.content == tmp_path / "b\u00e4r.png"


def test_missing_and_empty_folders(tmp_path):
    with pytest.raises(InputError, match="There is no folder"):
        find_sources(str(tmp_path / "absent"), "trainA")
    with pytest.raises(InputError, match="has no folder trainB.*domain Y"):
        find_sources(str(tmp_path), "trainB")
    (tmp_path / "trainA").mkdir()
    with pytest.raises(InputError, match="There are no images in .*trainA"):
        find_sources(str(tmp_path), "trainA")


def test_a_download_without_network(tmp_path, monkeypatch):
    """Through the genuine builder up to its first request."""
    import requests
    import tensorflow_datasets as tfds

    def fail(self, url):
        raise requests.exceptions.ConnectionError("no network")

    monkeypatch.setattr(tfds.download.DownloadManager, "download_and_extract", fail)
    with pytest.raises(InputError, match=r"cannot prepare .*no network.*`data_dir`"):
        find_sources("tfds:cycle_gan/apple2orange", "trainA", tmp_path)
