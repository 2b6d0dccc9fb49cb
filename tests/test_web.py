"""The page of export/web, built by npm, in a real browser."""

import glob
import json
import os
import pathlib
import shlex
import shutil
import subprocess

import chromium
import numpy as np
import PIL.Image
import pytest
import tiny
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select

import cyclegan_tf
from cyclegan_tf.cli.parsing import parse
from cyclegan_tf.export import litert
from cyclegan_tf.export.litert_runtime import LiteRTModel
from cyclegan_tf.export.options import PURPOSES, ExportConfig
from cyclegan_tf.images import normalize, read_image, write_image
from cyclegan_tf.photographs import PHOTOGRAPHS
from cyclegan_tf.pretrained.find import find_generators
from cyclegan_tf.translation.inference import inference_model

SOURCE = pathlib.Path(__file__).parents[1] / "export/web"
SIZE = (32, 40)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The page's source, to be built; a copy, as other tests run at once."""
    chromium.require("npm")
    folder = tmp_path_factory.mktemp("web") / "source"
    left_out = shutil.ignore_patterns("node_modules", "dist", "sample")
    shutil.copytree(SOURCE, folder, ignore=left_out)
    # Else the first build would export a model.
    (folder / "sample").mkdir()
    npm(folder, "ci", "--no-audit", "--no-fund")
    return folder


def npm(folder, *command):
    result = subprocess.run(
        ["npm", *command], cwd=folder, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture(scope="module")
def page(source):
    """The address of the built page."""
    npm(source, "run", "build")
    # Not at the root of the server: all paths of the page are relative.
    shutil.move(source / "dist", source.parent / "served/some/where")
    with chromium.serving(source.parent / "served") as address:
        yield f"{address}/some/where/"


@pytest.fixture(scope="module")
def driver(page):
    with chromium.browser(
        "--disable-gpu",
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
    ) as driver:
        yield driver


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Generators as LiteRT files, by what they are, and a photo of their size."""
    folder = tmp_path_factory.mktemp("files")
    colour = inference_model(cyclegan_tf.resnet_generator(4, 1))
    gray = inference_model(
        cyclegan_tf.resnet_generator(
            4, 1, image_shape=(None, None, 1), output_channels=1
        )
    )
    contents = {
        "float32": litert.convert(colour, "float32", SIZE),
        "float16": litert.convert(colour, "float16", SIZE, for_gpu=True),
        "dynamic_range": litert.convert(colour, "dynamic_range", SIZE),
        "int8": litert.convert(colour, "int8", SIZE, [np.zeros((1, *SIZE, 3), "f4")]),
        "gray": litert.convert(gray, "float32", SIZE),
        "any": litert.convert(colour, "float32", None),
        "damaged": b"    TFL3" + bytes(99),
        "text": b"no generator",
    }
    for name, content in contents.items():
        (folder / f"{name}.tflite").write_bytes(content)
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    write_image(folder / "photo.png", image)
    write_image(folder / "large.png", np.zeros((70, 90, 3), np.uint8))
    (folder / "broken.png").write_bytes(b"no image")
    return folder


def choose(driver, which, path):
    """Choose a file, wait until the page is done, return what it says."""
    chromium.wait_for(driver, lambda: is_idle(driver), "the page goes on")
    driver.find_element(By.ID, which).send_keys(str(path))
    return outcome(driver)


def is_idle(driver):
    return not driver.find_element(By.ID, "controls").get_property("disabled")


def outcome(driver):
    chromium.wait_for(driver, lambda: is_idle(driver), "the page goes on")
    return driver.find_element(By.ID, "status").text


def result(driver):
    return chromium.pixels(
        driver.execute_script("return document.querySelector('#result').toDataURL()")
    )


def expected(path, channels=3):
    image = PIL.Image.open(path.parent / "photo.png")
    values = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    values = values.reshape(1, *SIZE, channels).astype(np.float32)
    return LiteRTModel(path)(normalize(values))[0]


# An eighth of it is what rounding to 255 levels can do; a wrong value range, order of
# colours or resize would be tenths.
LARGEST_DIFFERENCE = 2e-2


def assert_same(pixels, translated):
    shown = normalize(pixels.astype(np.float32))
    assert np.abs(shown - np.clip(translated, -1, 1)).max() < LARGEST_DIFFERENCE
    # The comparison means something only where the generator does something.
    assert translated.std() > 5 * LARGEST_DIFFERENCE


@pytest.mark.parametrize(
    "name, channels",
    [("float32", 3), ("float16", 3), ("dynamic_range", 3), ("gray", 1)],
)
def test_same_as_in_python(driver, page, files, name, channels):
    driver.get(page)
    assert choose(driver, "model", files / f"{name}.tflite") == "Choose a photo."
    said = choose(driver, "photo", files / "photo.png")
    assert said.startswith("Translated at 40x32 pixels in ")
    assert_same(result(driver), expected(files / f"{name}.tflite", channels))


def test_nothing_comes_from_elsewhere(driver, page, files):
    chromium.requested(driver)
    driver.get(page)
    choose(driver, "model", files / "float32.tflite")
    choose(driver, "photo", files / "photo.png")
    asked = chromium.requested(driver)
    assert f"{page}wasm/litert_wasm_internal.wasm" in asked
    assert all(url.startswith(page) for url in asked)


def test_the_translation_has_the_size_of_the_photo(driver, page, files, tmp_path):
    to_here = {"behavior": "allow", "downloadPath": str(tmp_path)}
    driver.execute_cdp_cmd("Browser.setDownloadBehavior", to_here)
    driver.get(page)
    choose(driver, "photo", files / "large.png")
    choose(driver, "model", files / "float32.tflite")
    assert result(driver).shape == (70, 90, 3)
    driver.find_element(By.ID, "save").click()
    saved = tmp_path / "translated.png"
    tiny.wait_until(saved.is_file)
    assert (read_image(saved) == result(driver)).all()


@pytest.mark.parametrize("height", [20, 5])
def test_photos_of_other_shapes_keep_their_proportions(
    driver, page, files, tmp_path, height
):
    """As wide as the generator, so nothing is scaled; less high, so mirrored."""
    photo = read_image(files / "photo.png")[:height]
    write_image(tmp_path / "photo.png", photo)
    driver.get(page)
    choose(driver, "model", files / "float32.tflite")
    said = choose(driver, "photo", tmp_path / "photo.png")
    assert said.startswith(f"Translated at 40x{height} pixels in ")
    mirrored = np.pad(photo, ((0, 32 - height), (0, 0), (0, 0)), "symmetric")
    generator = LiteRTModel(files / "float32.tflite")
    translated = generator(normalize(mirrored[None].astype(np.float32)))[0]
    assert_same(result(driver), translated[:height])


def test_a_photo_lies_as_the_camera_was_held(driver, page, files, tmp_path):
    """Blocks of one colour, which JPEG keeps alike however they lie."""
    blocks = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    upright = blocks.repeat(8, axis=0).repeat(8, axis=1)
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    stored = {"upright": (upright, b""), "turned": (np.rot90(upright), exif)}
    driver.get(page)
    choose(driver, "model", files / "float32.tflite")
    results = {}
    for name, (image, orientation) in stored.items():
        path = tmp_path / f"{name}.jpg"
        PIL.Image.fromarray(image).save(
            path, quality=100, subsampling=0, exif=orientation
        )
        said = choose(driver, "photo", path)
        assert said.startswith("Translated at 40x32 pixels in ")
        results[name] = result(driver)
    assert results["upright"].std() > 10
    assert (results["turned"] == results["upright"]).all()


def test_mistakes_are_one_sentence(driver, page, files):
    driver.get(page)
    said = choose(driver, "model", files / "text.tflite")
    assert said == "text.tflite is not a LiteRT file; choose a .tflite file."
    assert "LiteRT cannot load damaged" in choose(
        driver, "model", files / "damaged.tflite"
    )
    assert "choose a float32 or" in choose(driver, "model", files / "int8.tflite")
    assert "choose a file for one size" in choose(driver, "model", files / "any.tflite")
    assert "broken.png cannot be read as an image" in choose(
        driver, "photo", files / "broken.png"
    )
    # And the page still works.
    choose(driver, "model", files / "float32.tflite")
    assert "Translated" in choose(driver, "photo", files / "photo.png")
    assert_same(result(driver), expected(files / "float32.tflite"))


def test_the_command_that_makes_the_samples():
    scripts = json.loads((SOURCE / "package.json").read_text())["scripts"]
    export, copy = map(shlex.split, scripts["sample"].split("&&"))
    assert export[:2] == ["cyclegan", "export"]
    options = parse(ExportConfig, (), export[2:], "cyclegan export", None)
    options.check()
    assert find_generators(options.source)
    assert options.chosen == PURPOSES["web"]
    program, *patterns, target = copy
    assert program == "cp"
    # The folder that src/samples.ts reads.
    assert options.out == pathlib.Path(target) == pathlib.Path("sample")
    copied = [
        (SOURCE / name).resolve()
        for pattern in patterns
        for name in glob.glob(pattern, root_dir=SOURCE)
    ]
    assert sorted(copied) == sorted(PHOTOGRAPHS)


def test_only_a_first_build_makes_the_samples(tmp_path, monkeypatch):
    """With programs that do little but note how they were called."""
    chromium.require("npm")
    folder = tmp_path / "export/web"
    folder.mkdir(parents=True)
    shutil.copy(SOURCE / "package.json", folder)
    (tmp_path / "cyclegan_tf").symlink_to(SOURCE.parents[1] / "cyclegan_tf")
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, work in {"cyclegan": "mkdir sample", "tsc": "", "vite": ""}.items():
        program = programs / name
        program.write_text(f"#!/bin/sh\necho {name} $1 >> calls\n{work}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    npm(folder, "run", "build")
    npm(folder, "run", "build")
    build = ["tsc", "vite build"]
    calls = (folder / "calls").read_text().splitlines()
    assert [call.strip() for call in calls] == ["cyclegan export", *build, *build]
    copied = {path.name: path.read_bytes() for path in (folder / "sample").iterdir()}
    assert copied == {path.name: path.read_bytes() for path in PHOTOGRAPHS}


def test_samples_are_there_at_once(source, page, driver, files):
    """Built again, with what `npm run sample` leaves."""
    (source / "sample/litert").mkdir(parents=True)
    shutil.copy(files / "float16.tflite", source / "sample/litert")
    random = np.random.default_rng(0)
    for name in ("china", "rocket"):
        photo = random.integers(0, 256, (16, 24, 3), np.uint8)
        write_image(source / f"sample/{name}.jpg", photo)
    npm(source, "run", "build")
    try:
        with chromium.serving(source / "dist") as address:
            chromium.requested(driver)
            driver.get(f"{address}/")
            assert outcome(driver).startswith("Translated at 24x16 pixels in ")
            before = result(driver)
            driver.find_element(By.CSS_SELECTOR, "[alt='rocket.jpg']").click()
            assert "Translated" in outcome(driver)
            assert (result(driver) != before).any()
            assert "danielbuechele" in driver.find_element(By.TAG_NAME, "main").text
            asked = chromium.requested(driver)
            assert all(url.startswith(address) for url in asked)
            # The photograph is there without the generator, too.
            (model,) = (source / "dist").rglob("*.tflite")
            model.unlink()
            driver.get(f"{address}/")
            assert "float16.tflite is not there; choose a file" in outcome(driver)
            canvas = driver.find_element(By.ID, "input")
            assert canvas.get_property("width") == 24
    finally:
        shutil.rmtree(source / "sample")
        driver.get(page)


def test_fits_a_phone(driver, page, files):
    with chromium.screen(driver, "light", 360):
        driver.get(page)
        choose(driver, "photo", files / "large.png")
        choose(driver, "model", files / "float32.tflite")
        assert chromium.page_width(driver) == 360


@pytest.mark.parametrize(("scheme", "is_dark"), [("light", False), ("dark", True)])
def test_light_and_dark(driver, page, scheme, is_dark):
    with chromium.screen(driver, scheme, 1280):
        driver.get(page)
        # The root paints what is behind the body, too.
        background = chromium.brightness(driver, ":root", "backgroundColor")
        panel = chromium.brightness(driver, "#controls", "backgroundColor")
        ink = chromium.brightness(driver, "body", "color")
        assert (background < 60) == (panel < 60) == (ink > 200) == is_dark


def test_camera(driver, page, files):
    """Chromium's own fake camera, which shows a moving dial on green."""
    driver.get(page)
    choose(driver, "model", files / "float32.tflite")
    driver.find_element(By.ID, "camera").click()
    shutter = driver.find_element(By.ID, "shutter")
    chromium.wait_for(driver, shutter.is_displayed, "the camera shows a picture")
    chromium.wait_for(
        driver,
        lambda: driver.execute_script(
            "return document.querySelector('video').readyState >= 2"
        ),
        "the camera has a picture",
    )
    shutter.click()
    assert "Translated" in outcome(driver)
    photo = driver.execute_script("return document.querySelector('#input').toDataURL()")
    assert chromium.pixels(photo).std() > 10
    assert result(driver).shape == chromium.pixels(photo).shape


def test_webgpu(page, files):
    """On a graphics card that Chromium computes by itself."""
    arguments = (
        "--enable-unsafe-webgpu",
        "--use-webgpu-adapter=swiftshader",
        "--enable-features=Vulkan",
        "--use-angle=swiftshader",
        "--ignore-gpu-blocklist",
    )
    with chromium.browser(*arguments) as driver:
        driver.get(page)
        menu = Select(driver.find_element(By.ID, "accelerator"))
        chromium.wait_for(driver, lambda: len(menu.options) == 2, "WebGPU is offered")
        outcome(driver)
        menu.select_by_value("webgpu")
        choose(driver, "model", files / "float16.tflite")
        assert "Translated" in choose(driver, "photo", files / "photo.png")
        assert_same(result(driver), expected(files / "float16.tflite"))
