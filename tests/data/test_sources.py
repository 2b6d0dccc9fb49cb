"""Finding images."""

import http.server
import pathlib
import socket
import threading
import time

import pytest
import tiny

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.data import sources
from cyclegan_tf.data.sources import find_sources, split_folder


def test_folders_and_file_lists(tmp_path):
    tiny.write_domains(tmp_path, count=2, splits=("trainA", "elsewhere"))
    (tmp_path / "trainB.txt").write_text("elsewhere/1.png\n\nelsewhere/0.png\n")

    def names(split):
        found = find_sources(str(tmp_path), split)
        return [pathlib.Path(source.name).name for source in found]

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
    monkeypatch.setattr(sources, "_any_server_answers", lambda urls: True)
    with pytest.raises(InputError, match=r"cannot prepare .*no network.*`data_dir`"):
        find_sources("tfds:cycle_gan/apple2orange", "trainA", tmp_path)


def test_a_download_is_not_begun_without_a_server(tmp_path, monkeypatch):
    """As TensorFlow Datasets would try for minutes."""
    asked = []
    monkeypatch.setattr(sources, "_any_server_answers", asked.extend)
    message = r"must download .*does not answer.*`data=FOLDER`.*`data_dir`"
    with pytest.raises(InputError, match=message):
        find_sources("tfds:cycle_gan/maps", "trainA", tmp_path)
    assert any(url.startswith("https://efrosgans.eecs.berkeley.edu/") for url in asked)
    with pytest.raises(InputError, match=message):
        sources.is_at_hand("tfds:cycle_gan/maps", tmp_path)
    assert sources.is_at_hand("demo")
    monkeypatch.setattr(sources, "_any_server_answers", lambda urls: True)
    assert not sources.is_at_hand("tfds:cycle_gan/maps", tmp_path)


def test_a_server_answers_soon_or_not_at_all():
    class Missing(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_error(404)

        def log_message(self, *args):
            pass

    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        http.server.HTTPServer(("127.0.0.1", 0), Missing) as server,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        answering = f"http://127.0.0.1:{server.server_port}/data.zip"
        mute = f"http://127.0.0.1:{silent.getsockname()[1]}/data.zip"
        assert sources._any_server_answers([mute, answering], seconds=1.0)
        started = time.monotonic()
        assert not sources._any_server_answers([mute], seconds=0.2)
        assert time.monotonic() - started < 5
        server.shutdown()


def test_a_tenth_of_a_folder_is_kept_for_tests(tmp_path):
    tiny.write_domains(tmp_path, count=25, splits=("horses", "zebras"))

    def names(folder, split):
        return [
            pathlib.Path(source.name).name
            for source in split_folder(tmp_path / folder, split)
        ]

    kept = names("horses", "test")
    assert len(kept) == 2
    trained = names("horses", "train")
    assert sorted(trained + kept) == sorted(f"{i}.png" for i in range(25))
    # Equal names stay together, as pairs must.
    assert names("zebras", "test") == kept
    # An image more changes at most one.
    (tmp_path / "horses" / "more.png").write_bytes(
        (tmp_path / "horses" / "0.png").read_bytes()
    )
    assert len(set(names("horses", "test")) - set(kept)) <= 1


def test_one_image_is_for_training(tmp_path):
    tiny.write_domains(tmp_path, count=1, splits=("horses",))
    assert len(split_folder(tmp_path / "horses", "train")) == 1
    assert split_folder(tmp_path / "horses", "test") == []


def test_a_folder_that_is_not_there_or_empty(tmp_path):
    with pytest.raises(InputError, match="There is no folder .*absent"):
        split_folder(tmp_path / "absent", "train")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="There are no images in .*empty"):
        split_folder(tmp_path / "empty", "train")
