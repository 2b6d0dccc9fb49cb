"""`cyclegan serve`: the page of a real server in a real browser."""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import chromium
import exported
import gradio
import numpy as np
import PIL.Image
import pytest
import tiny
from selenium.webdriver.common.by import By
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

import cyclegan_tf
from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.cli import main as cli
from cyclegan_tf.config.options import DatasetConfig, TrainConfig
from cyclegan_tf.images import read_image, resize_image
from cyclegan_tf.photographs import PHOTOGRAPHS
from cyclegan_tf.pretrained.find import find_generators
from cyclegan_tf.runs.run import Run
from cyclegan_tf.translation import page as serving
from cyclegan_tf.translation.exported import load_translator
from cyclegan_tf.translation.options import ServeConfig, TranslateConfig
from cyclegan_tf.translation.own_pages import OwnPagesOnly
from cyclegan_tf.translation.translate import translate
from cyclegan_tf.translation.translator import Translator

FLOATS = exported.encode(np.linspace(0, 1, 64, dtype="float32").reshape(8, 8), "TIFF")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return tiny.untrained_run(tmp_path_factory.mktemp("runs") / "tiny")


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    """A photo of odd sides, with noise that a lossy format would change."""
    path = tmp_path_factory.mktemp("photos") / "photo.png"
    path.write_bytes(exported.encode(exported.photo(45, 70, 3)))
    return path


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def served(source, log, ended_by=signal.SIGINT):
    """Run `cyclegan serve` as a user does; yield the address it prints."""
    port = free_port()
    temporary = log.parent / "temporary"
    temporary.mkdir()
    command = [sys.executable, "-m", "cyclegan_tf", "serve", str(source)]
    environment = {
        **os.environ,
        "PYTHONPATH": str(pathlib.Path(__file__).parents[2]),
        "TMPDIR": str(temporary),
    }
    # The tests' own setting hides lines of TensorFlow; a user has none.
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    with (
        log.open("w") as file,
        subprocess.Popen(
            [*command, "--port", str(port)],
            stdout=file,
            stderr=file,
            env=environment,
        ) as process,
    ):
        try:
            address = f"http://127.0.0.1:{port}/"
            tiny.wait_until(
                lambda: address in log.read_text() or process.poll() is not None
            )
            assert process.poll() is None, log.read_text()
            yield address
            process.send_signal(ended_by)
            assert process.wait(30) == 0
            # Nothing that was uploaded or made of it is kept.
            assert not list(temporary.rglob("*.png"))
        finally:
            process.kill()


def shown(driver, size):
    """The pixels before and after, once the note says that they have this size."""
    note = driver.find_element(By.ID, "note")
    chromium.wait_for(driver, lambda: note.text.startswith(f"{size} pixels in"), "it")
    script = """
        const images = [...document.querySelectorAll("#translation img")];
        if (!images.length || !images.every((i) => i.complete && i.naturalWidth))
            return null;
        return images.map((image) => {
            const canvas = document.createElement("canvas");
            [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
            canvas.getContext("2d").drawImage(image, 0, 0);
            return canvas.toDataURL();
        });"""
    found = chromium.wait_for(driver, lambda: driver.execute_script(script), "images")
    before, after = map(chromium.pixels, found)
    return before, after


def choose(driver, group, label):
    driver.find_element(
        By.XPATH, f"//*[@id='{group}']//label[contains(., '{label}')]"
    ).click()


def upload(driver, path):
    field = chromium.wait_for(
        driver,
        lambda: driver.find_elements(By.CSS_SELECTOR, "#photo input[type=file]"),
        "the page is there",
    )
    field[0].send_keys(str(path))


def answer(address, photo):
    """Ask as a program would; return what the server says."""
    call = f"{address}gradio_api/call/translate"
    body = json.dumps({"data": [photo, "G: plain to striped", "As trained"]}).encode()
    request = urllib.request.Request(call, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        event = json.load(response)["event_id"]
    with urllib.request.urlopen(f"{call}/{event}", timeout=60) as response:
        return response.read().decode()


def test_both_directions_of_a_run(run, photo, tmp_path):
    with (
        served(run.folder, tmp_path / "log") as address,
        chromium.browser() as driver,
    ):
        # No lines of TensorFlow before them.
        computing, serves, *_ = (tmp_path / "log").read_text().splitlines()
        assert re.fullmatch(r"Translating on .+ in float32\.", computing)
        assert serves.startswith(f"Serving {run.folder} at {address}")
        driver.get(address)
        upload(driver, photo)
        image = read_image(photo)
        titles = {"g": "G: plain to striped", "f": "F: striped to plain"}
        for direction, title in titles.items():
            choose(driver, "direction", title)
            expected = Translator(run.generator_path(direction))(image)
            chromium.wait_for(
                driver,
                lambda expected=expected: (
                    shown(driver, "70 x 45")[1] == expected
                ).all(),
                title,
            )
        assert (shown(driver, "70 x 45")[0] == image).all()
        assert list((tmp_path / "temporary").rglob("photo.png"))
        asked = chromium.requested(driver)
        assert len(asked) > 5
        assert [url for url in asked if not url.startswith(address)] == []
        # A file of this computer that nobody uploaded.
        assert "event: error" in answer(address, {"path": str(photo)})


def test_colors_and_widths(run, tmp_path):
    photo = tmp_path / "photo.png"
    photo.write_bytes(exported.encode(exported.photo(40, 500, 3)))
    with served(run.folder, tmp_path / "log") as address, chromium.browser() as driver:
        for scheme, is_dark in {"light": False, "dark": True}.items():
            with chromium.screen(driver, scheme, 375):
                driver.get(address)
                upload(driver, photo)
                shown(driver, "500 x 40")
                assert driver.title == "CycleGAN: tiny"
                assert driver.find_element(By.TAG_NAME, "h1").text == "tiny"
                background = chromium.brightness(driver, "body", "backgroundColor")
                panel = chromium.brightness(driver, "#photo", "backgroundColor")
                assert (background < 60) == (panel < 60) == is_dark
                for text in ("h1", "#note p", "#direction label span"):
                    assert (chromium.brightness(driver, text, "color") > 200) == is_dark
                # Gradio cuts off what is too wide, so the page itself never is.
                assert chromium.right_end(driver) <= 375


def test_other_sites_are_refused(run, tmp_path):
    with served(run.folder, tmp_path / "log") as address:
        port = address.strip("/").rpartition(":")[2]

        def status(**headers):
            request = urllib.request.Request(f"{address}config", headers=headers)
            try:
                return urllib.request.urlopen(request, timeout=60).status
            except urllib.error.HTTPError as e:
                return e.code

        assert status() == 200
        assert status(Host=f"localhost:{port}") == 200
        assert status(Origin=f"http://127.0.0.1:{port}") == 200
        assert status(Host="example.com") == 403
        assert status(Origin="http://example.com") == 403
        assert status(Origin="null") == 403
        assert status(Origin="http://127.0.0.1:1") == 403


@pytest.mark.parametrize(("host", "foreign"), [("127.0.0.1", 403), ("0.0.0.0", 200)])
def test_names_of_other_addresses_are_unknown(host, foreign):
    async def page(scope, receive, send):
        await PlainTextResponse("the page")(scope, receive, send)

    client = TestClient(OwnPagesOnly(page, host), base_url="http://my-server:7860")
    assert client.get("/").status_code == foreign
    refused = client.get("/", headers={"Origin": "http://example.com"})
    assert refused.status_code == 403


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"no image", "cannot be read as an image"),
        (FLOATS, "floating-point numbers from 0 to 1"),
        (MemoryError("/secret/path"), "too many pixels"),
        (InputError("another size"), "cannot be translated: another size"),
    ],
    ids=["no image", "floats", "memory", "size"],
)
def test_what_a_visitor_is_told(content, sentence, tmp_path):
    class Served:
        def translate(self, file, size):
            if isinstance(content, Exception):
                raise content
            return read_image(file)

    path = tmp_path / "upload"
    path.write_bytes(b"" if isinstance(content, Exception) else content)
    with pytest.raises(gradio.Error, match=sentence) as error:
        serving._translate_upload(Served(), str(path), "Full")
    assert "/" not in str(error.value)


def test_a_large_photo_and_a_sample(tmp_path):
    """The page makes of a lying photo what `cyclegan translate` does."""
    run = tiny.untrained_run(tmp_path / "run", load_size=16)
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    photo = PIL.Image.fromarray(exported.photo(70, 90, 3))
    photo.save(tmp_path / "photo.png", exif=exif)
    translate(TranslateConfig(run.folder, (tmp_path / "photo.png",), tmp_path / "out"))
    with (
        served(run.folder, tmp_path / "log", signal.SIGTERM) as address,
        chromium.browser() as driver,
    ):
        driver.get(address)
        upload(driver, tmp_path / "photo.png")
        _, after = shown(driver, "32 x 41")
        assert (after == read_image(tmp_path / "out/photo.png")).all()
        assert "scaled down from 70 x 90." in driver.find_element(By.ID, "note").text
        choose(driver, "size", "Larger")
        assert shown(driver, "64 x 82")[1].shape == (82, 64, 3)
        choose(driver, "size", "Full")
        assert shown(driver, "70 x 90")[1].shape == (90, 70, 3)
        choose(driver, "size", "As trained")
        driver.find_elements(By.CSS_SELECTOR, "#samples button")[3].click()
        before, _ = shown(driver, "48 x 32")
        chelsea = resize_image(read_image(PHOTOGRAPHS[3]), 32, 48)
        assert (before == chelsea).all()


def test_a_gray_generator_and_a_file_that_is_no_image(photo, tmp_path):
    generator = cyclegan_tf.resnet_generator(
        4, 1, image_shape=(None, None, 1), output_channels=1
    )
    generator.save(tmp_path / "gray.keras")
    (tmp_path / "broken.png").write_bytes(b"no image")
    (tmp_path / "bomb.png").write_bytes(exported.png_that_claims(12_000, 12_000))
    with (
        served(tmp_path / "gray.keras", tmp_path / "log") as address,
        chromium.browser() as driver,
    ):
        said = (tmp_path / "log").read_text()
        assert "at most 512 pixels, twice 256, which is assumed" in said
        driver.get(address)
        for name, sentence in {
            "broken.png": "The file cannot be read as an image",
            "bomb.png": "The photo has too many pixels",
        }.items():
            upload(driver, tmp_path / name)
            page = driver.find_element(By.TAG_NAME, "body")
            chromium.wait_for(
                driver, lambda page=page, text=sentence: text in page.text, "a sentence"
            )
            # The page goes on.
            driver.get(address)
        upload(driver, photo)
        expected = Translator(generator)(read_image(photo, 1))
        assert (shown(driver, "70 x 45")[1] == expected).all()


def test_an_exported_folder(run, photo, tmp_path):
    arguments = ["export", run.folder, "--formats", "savedmodel", "--out"]
    arguments += [tmp_path / "exported", "--report-images", "1", "--image-size"]
    assert cli.main([str(argument) for argument in (*arguments, 32, 32)]) == 0
    generators = find_generators(tmp_path / "exported")
    assert [generator.direction for generator in generators] == ["g", "f"]
    for generator in generators:
        assert generator.training_size == 286
        assert find_generators(generator.path)[0].training_size == 286
        translated = load_translator(generator)(read_image(photo))
        path = run.generator_path(generator.direction)
        expected = Translator(path)(read_image(photo))
        # A rounding may fall to the other side of a half.
        assert np.abs(translated.astype(int) - expected).max() <= 1
        assert (translated == expected).mean() > 0.999


def test_a_port_that_is_taken(run, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert cli.main(["serve", str(run.folder), "--port", port]) == 2
    assert "choose another --port" in capsys.readouterr().err
    assert cli.main(["serve", str(run.folder), "--host", "192.0.2.1"]) == 2
    assert "Port 7860 of 192.0.2.1 cannot be used" in capsys.readouterr().err


def test_mistakes(run, tmp_path, capsys, monkeypatch):
    def fails(*arguments):
        assert cli.main(["serve", *map(str, arguments)]) == 2
        return capsys.readouterr().err

    assert "There is no file, folder or model" in fails(tmp_path / "absent")
    empty = Run.create(tmp_path / "empty", TrainConfig(DatasetConfig("demo")))
    assert "has no generators yet" in fails(empty.folder)
    assert "--port must be from 1 to 65535, not 0" in fails(run.folder, "--port", 0)
    (tmp_path / "exported").mkdir()
    (tmp_path / "exported/report.json").write_text("{}")
    assert "holds no generators" in fails(tmp_path / "exported")
    (tmp_path / "exported/a.json").write_text('{"name": "a"}')
    assert "holds no generators" in fails(tmp_path / "exported")
    (tmp_path / "exported/a/1").mkdir(parents=True)
    assert "a.json cannot be read" in fails(tmp_path / "exported")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'cyclegan_tf\[demo\]'"):
        serving.serve(ServeConfig(run.folder))
