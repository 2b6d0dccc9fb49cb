"""Models by name: the table, downloads, and what commands make of a name."""

import contextlib
import dataclasses
import hashlib
import http.server
import json
import pathlib
import shutil
import socket
import sys
import threading

import keras
import numpy as np
import pytest
import tiny
import yaml

import cyclegan_tf
from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.cli.main import main
from cyclegan_tf.pretrained import cards, zoo
from cyclegan_tf.pretrained.find import find_generators, load_generator
from cyclegan_tf.pretrained.read import find_networks

NAME = "pytorch:style_monet"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "cyclegan_tf"


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """A file as the authors' code writes it, of a small network."""
    folder = tmp_path_factory.mktemp("published")
    network = cyclegan_tf.resnet_generator(2, 1)
    network.save(folder / "g.keras")
    options = cyclegan_tf.ExportPytorchConfig(folder / "g.keras", folder)
    (path,) = cyclegan_tf.export_pytorch(options)
    return path.read_bytes()


@contextlib.contextmanager
def server(answer):
    """An HTTP server on this machine; `answer` gets each request's handler."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            answer(self)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}/style_monet.pth"
        httpd.shutdown()


def sends(content, length=None):
    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(length or len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


@pytest.fixture
def at(monkeypatch):
    """Let the authors' model lie at another address, with or without a known hash."""

    def put(url, sha256=None):
        model = zoo.models()[NAME]
        file = dataclasses.replace(model.file, url=url, sha256=sha256)
        row = dataclasses.replace(model, file=file)
        monkeypatch.setattr(zoo, "models", lambda: {NAME: row})

    return put


def test_the_table_names_every_published_model():
    rows = zoo.models()
    assert sum(name.startswith("pytorch:") for name in rows) == 18
    for name, model in rows.items():
        assert name == model.name
        assert (model.file.url is None) == model.is_ours


@pytest.mark.parametrize(
    ("name", "sha256"),
    [
        (
            "photo2monet",
            "aa597f3003d8d6536b4ece5c2a9af1a6037aebfe7e564f324d7f9ba59f6dd9bf",
        ),
        (
            "horse2zebra",
            "b69bf5fa475d1bbdcb1c58b8774b0caeade56f77f8bdd804914d1835645050cb",
        ),
    ],
)
def test_a_name_never_stands_for_other_bytes(name, sha256):
    """A better model gets another name, and a line here."""
    assert zoo.model_named(name).file.sha256 == sha256


def test_files_of_the_package_are_those_of_the_table():
    for model in zoo.models().values():
        if model.is_ours:
            content = model.file.path.read_bytes()
            assert len(content) == model.file.bytes
            assert hashlib.sha256(content).hexdigest() == model.file.sha256


def test_a_model_is_downloaded_and_converted_once(home, at, checkpoint, capsys):
    asked = []

    def answer(handler):
        asked.append(handler.path)
        sends(checkpoint)(handler)

    with server(answer) as url:
        at(url)
        first = load_generator(NAME)
        second = load_generator(f"pretrained:{NAME}")
    assert asked == ["/style_monet.pth"]
    assert tiny.largest_difference(first, second) == 0
    names = sorted(path.name for path in home.rglob("*.*"))
    assert names == ["downloaded.json", "style_monet.keras", "style_monet.pth"]
    assert capsys.readouterr().out == ""  # progress goes to standard error


def test_a_file_put_there_by_hand_needs_no_network(home, at, checkpoint):
    at("http://127.0.0.1:9/style_monet.pth", hashlib.sha256(checkpoint).hexdigest())
    with pytest.raises(InputError, match=r"cannot be downloaded \(.*check its SHA-256"):
        load_generator(NAME)
    path = home / "pytorch" / "style_monet.pth"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(checkpoint)
    assert isinstance(load_generator(NAME), keras.Model)


def test_another_file_than_the_published_one(home, at, checkpoint):
    with server(sends(checkpoint)) as url:
        at(url, "0" * 64)
        with pytest.raises(InputError, match="instead of 0{64}, which is published"):
            load_generator(NAME)
    assert not list(home.rglob("*.pth"))


def test_a_file_that_changes_after_the_first_download(home, at, checkpoint):
    with server(sends(checkpoint)) as url:
        at(url)
        load_generator(NAME)
    shutil.rmtree(home / "pytorch")
    with server(sends(checkpoint + b"\0")) as url:
        at(url)
        with pytest.raises(InputError, match="which is that of the first download"):
            load_generator(NAME)
    assert not list(home.rglob("*.pth"))


@pytest.mark.parametrize("case", ["absent", "cut off", "web page", "silent"])
def test_a_failed_download_leaves_nothing(home, at, checkpoint, monkeypatch, case):
    monkeypatch.setattr(zoo, "_PATIENCE", 0.5)
    released = threading.Event()
    answer = {
        "absent": lambda handler: handler.send_error(404),
        "cut off": sends(checkpoint[:100], len(checkpoint)),
        "web page": sends(b"<html>Not here</html>"),
        "silent": lambda handler: released.wait(20),
    }[case]
    with server(answer) as url:
        at(url)
        with pytest.raises(InputError, match=url):
            load_generator(NAME)
        released.set()
    assert socket.getdefaulttimeout() is None
    assert not [path for path in home.rglob("*") if path.is_file()]


def test_commands_take_a_name(at, checkpoint, tmp_path, capsys):
    photo = pathlib.Path(cyclegan_tf.__file__).with_name("photographs") / "chelsea.jpg"
    with server(sends(checkpoint)) as url:
        at(url)
        out = tmp_path / "out"
        name = ["--pretrained", NAME]
        assert main(["translate", str(photo), *name, "--out", str(out)]) == 0
        assert (out / "chelsea.jpg").is_file()
        assert main(["inspect", NAME]) == 0
        assert main(["export-pytorch", *name, "--out", str(out)]) == 0
        assert (out / "latest_net_G.pth").is_file()
        joined = f"--pretrained={NAME}"
        assert main(["translate", str(photo), joined, "--out", str(out)]) == 0
    assert main(["translate", str(photo), "--pretrained"]) == 2
    assert main(["translate", str(photo), "--pretrained", "style_monet"]) == 2
    assert "no model named 'style_monet'; did you mean pytorch:style_monet?" in (
        capsys.readouterr().err
    )


def test_a_misspelled_name_in_the_place_of_a_path():
    with pytest.raises(InputError, match="model photo2mone; did you mean photo2monet?"):
        find_generators(pathlib.Path("photo2mone"))
    with pytest.raises(InputError, match="check the name, or see cyclegan models"):
        find_generators(pathlib.Path("runs/h2z"))


def test_a_missing_package_is_named_before_the_download(at, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    requests = []
    with server(requests.append) as url:
        at(url)
        with pytest.raises(InputError, match="PyTorch"):
            load_generator(NAME)
    assert not requests


def test_a_path_of_the_same_name_precedes(at, checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cyclegan_tf.resnet_generator(2, 1).save(tmp_path / "generator_g.keras")
    (tmp_path / NAME).mkdir()
    shutil.move(tmp_path / "generator_g.keras", tmp_path / NAME)
    (found,) = find_generators(pathlib.Path(NAME))
    assert found.path == pathlib.Path(NAME, "generator_g.keras")


def test_a_training_starts_from_a_name(at, checkpoint, tmp_path, capsys):
    with server(sends(checkpoint)) as url:
        at(url)
        networks = find_networks(pathlib.Path(NAME))
        train = ["train", "--data", "demo", "--run-dir", str(tmp_path / "run")]
        small = ["--discriminator-filters", "2", "--num-layers", "1"]
        assert main([*train, *small, "--pretrained", NAME, "--dry-run"]) == 0
    options = json.loads(capsys.readouterr().out)["networks"]
    assert (options["init_from"], options["filters"]) == (NAME, 2)
    assert list(networks) == ["generator_g"]
    image = np.zeros((1, 16, 16, 3), "float32")
    assert networks["generator_g"].network(image).shape == (1, 16, 16, 3)


def test_the_cards_of_all_models():
    for name, model in zoo.models().items():
        card = cards.card(name)
        metadata = yaml.safe_load(card.split("---\n")[1])
        assert metadata["license"] in ("apache-2.0", "bsd")
        assert metadata["pipeline_tag"] == "image-to-image"
        assert metadata.get("datasets", [None]) == [model.dataset]
        assert f"cyclegan translate --pretrained {name} PHOTO" in card
        assert model.license_images in card
    with pytest.raises(InputError, match="no model named 'style_monet'"):
        cards.card("style_monet")
    assert "pytorch:" not in cards.overview(everyones=False)
    assert "pytorch:style_monet " in cards.overview(everyones=True)


def test_a_card_has_its_scores_for_readers_and_for_hugging_face():
    card = cards.card("photo2monet")
    assert "| KID      | 0.0009     | 0.1001              | -0.002      |" in card
    (index,) = yaml.safe_load(card.split("---\n")[1])["model-index"]
    (result,) = index["results"]
    assert result["task"] == {"type": "image-to-image"}
    assert result["dataset"]["type"] == "huggan/monet2photo"
    assert result["metrics"][0] == {"type": "KID", "value": 0.0009}
