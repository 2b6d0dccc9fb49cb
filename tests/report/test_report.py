"""`cyclegan report`: the page of a real run in a real browser."""

import dataclasses
import math
import pathlib
import re
import shutil

import chromium
import numpy as np
import pytest
import tiny
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from cyclegan_tf.cli import main as cli
from cyclegan_tf.config.options import (
    DatasetConfig,
    NetworkConfig,
    OptimizationConfig,
    TrainConfig,
)
from cyclegan_tf.evaluation.scores import Evaluation, MetricScores, Score
from cyclegan_tf.images import read_image, resize_image
from cyclegan_tf.report.curves import draw_panels, read_metrics
from cyclegan_tf.report.images import CycledImage, best_and_worst, data_url
from cyclegan_tf.runs.run import Run
from cyclegan_tf.training.train import train
from cyclegan_tf.translation.translator import Translator

HOSTILE = '11"><img src=x onerror="window.broken_out=1"><b>&amp;.png'
NAMES = [*(f"testA/{i}.png" for i in range(11)), f"testA/{HOSTILE}"]

KID = MetricScores(
    "Kernel Inception distance",
    "Polynomial kernel of degree <3>.",
    {"translated": 12, "reference": 1067},
    (Score("kid", 0.25, 0.5, 0.125, "lower"), Score("kid_standard_error", 0.0625)),
    "Too few images.",
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of two epochs, with an evaluation before the second."""
    folder = tmp_path_factory.mktemp("data")
    tiny.write_domains(folder, 2)
    tiny.write_domains(folder, 11, splits=("testA", "testB"))
    shutil.copy(folder / "testB/0.png", folder / "testA" / HOSTILE)
    config = TrainConfig(
        DatasetConfig(str(folder), load_size=20, crop_size=16),
        NetworkConfig(
            filters=2, num_residual_blocks=1, discriminator_filters=2, num_layers=1
        ),
        optimization=OptimizationConfig(constant_epochs=2, decay_epochs=0),
    )
    run_dir = tmp_path_factory.mktemp("runs") / "tiny"
    with tiny.eagerly():
        train(config, run_dir)
    run = Run(run_dir)
    Evaluation("runs/tiny", 2, "tiny", {"g": (KID,)}).write(run.evaluation)
    return run


def report(run, *arguments):
    """Write a report through the command line; return its URL and source."""
    assert cli.main(["report", str(run.folder), *map(str, arguments)]) == 0
    path = run.folder / "report.html"
    return path.as_uri(), path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def driver(run):
    address, _ = report(run)
    with chromium.browser() as driver:
        driver.get(address)
        yield driver


def pixels(driver, selector):
    """Return the pixels of the images of a selector, lazily loaded ones included."""
    script = """
        const images = [...document.querySelectorAll(arguments[0])];
        const done = arguments[1];
        images.forEach((image) => { image.loading = "eager"; });
        Promise.all(images.map(async (image) => {
            await image.decode();
            const canvas = document.createElement("canvas");
            [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
            canvas.getContext("2d").drawImage(image, 0, 0);
            return canvas.toDataURL();
        })).then(done, (error) => done([String(error)]));"""
    urls = driver.execute_async_script(script, selector)
    return [chromium.pixels(url) for url in urls]


def texts(driver, selector):
    elements = driver.find_elements(By.CSS_SELECTOR, selector)
    return [element.get_attribute("textContent") for element in elements]


def visible(driver, selector):
    elements = driver.find_elements(By.CSS_SELECTOR, selector)
    return [element for element in elements if element.is_displayed()]


def test_the_page_needs_nothing_else(run, driver):
    driver.refresh()
    assert "tiny" in driver.title
    # Input, output and cycled: 12 + 11 in the grids, 2 * 8 extremes; 2 * 4 examples as
    # input and output; two sheets.
    images = pixels(driver, "img")
    assert len(images) == 3 * (12 + 11 + 2 * 8) + 2 * 8 + 2
    assert all(image.shape[:2] == (16, 16) for image in images[:-2])
    assert all(image.shape[1] == 1200 for image in images[-2:])
    assert all(
        image.get_attribute("alt") for image in driver.find_elements(By.TAG_NAME, "img")
    )
    assert set(chromium.requested(driver)) == {(run.folder / "report.html").as_uri()}
    assert driver.get_log("browser") == []
    driver.execute_script("fetch('https://example.com').catch(() => {})")
    chromium.wait_for(
        driver,
        lambda: "Content Security Policy" in str(driver.get_log("browser")),
        "the page forbids requests, so the log shows errors",
    )


def test_the_grid_shows_all_test_images_in_natural_order(driver):
    assert texts(driver, "[aria-labelledby=images-g] .grid .name") == NAMES
    names = [f"testB/{i}.png" for i in range(11)]
    assert texts(driver, "[aria-labelledby=images-f] .grid .name") == names
    assert driver.execute_script("return window.broken_out") is None


def test_the_images_are_those_of_the_run(run, driver):
    data = pathlib.Path(run.config.dataset.data)
    translate_g, translate_f = (Translator(run.generator_path(d)) for d in "gf")
    shown = {
        kind: pixels(driver, f"[aria-labelledby=images-f] .grid .{kind}")
        for kind in ("input", "translated", "cycled")
    }
    errors = texts(driver, "[aria-labelledby=images-f] .grid .error")
    for i in range(11):
        y = resize_image(read_image(data / f"testB/{i}.png"), 16, 16)
        fake_x = translate_f(y)
        cycled_y = translate_g(fake_x)
        for kind, expected in (
            ("input", y),
            ("translated", fake_x),
            ("cycled", cycled_y),
        ):
            np.testing.assert_array_equal(shown[kind][i], expected)
        # [-1, 1] is 255 gray levels wide.
        error = np.abs(cycled_y.astype(float) - y).mean() / 127.5
        assert float(errors[i]) == pytest.approx(error, abs=6e-5)


def test_pictures_come_before_numbers(driver):
    headings = [e.get_attribute("id") for e in driver.find_elements(By.TAG_NAME, "h2")]
    assert headings[:-1] == [
        *("examples", "verdict", "images-g", "images-f", "extremes"),
        *("samples", "curves", "scores", "run"),
    ]
    links = driver.find_elements(By.CSS_SELECTOR, "nav a")
    assert [link.get_dom_attribute("href")[1:] for link in links] == headings[:-1]
    assert "12 test images are too few for a verdict" in texts(driver, ".verdict")[0]
    # The scores are of an older step, so they do not choose the examples.
    assert texts(driver, ".examples .name")[:4] == NAMES[:4]
    assert "The first test images." in texts(driver, "[aria-labelledby=examples]")[0]


def test_the_classifier_chooses_the_examples(run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run.folder, folder)
    hit_rate = dataclasses.replace(KID, of_images=(0.1, -2.0, 3.0, 0.5, 1.0, 2.0))
    evaluation = Evaluation(
        "runs/tiny", run.step, run.config.dataset.data, {"g": (KID, hit_rate)}
    )
    evaluation.write(folder / "evaluation.json")
    _, page = report(Run(folder), "--images", "5")
    shown = page[page.index('<div class="examples">') :]
    names = re.findall('class="name">(.*?)<', shown)[:4]
    assert names == [f"testA/{i}.png" for i in (2, 4, 3, 0)]
    assert "The translations that the classifier of the hit rate takes" in page
    assert "The first test images." in page  # F has no scores


def test_what_is_missing_comes_after_the_examples(run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run.folder, folder)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 3, "st')
    _, page = report(Run(folder), "--images", "1")
    assert (
        page.index('<div class="examples">')
        < page.index("Line 3 of metrics.jsonl is damaged")
        < page.index('<h2 id="verdict">')
    )


def test_a_damaged_image_is_left_out(run, tmp_path):
    """The images after it keep their names and their scores."""
    data, folder = tmp_path / "data", tmp_path / "run"
    shutil.copytree(run.config.dataset.data, data)
    shutil.copytree(run.folder, folder)
    damaged = data / "testA/1.png"
    damaged.write_bytes(damaged.read_bytes()[:200])
    config = folder / "config.json"
    config.write_text(config.read_text().replace(run.config.dataset.data, str(data)))
    scores = dataclasses.replace(KID, of_images=(0.0, 3.0, *[0.0] * 9))
    evaluation = Evaluation("runs/tiny", run.step, str(data), {"g": (scores,)})
    evaluation.write(folder / "evaluation.json")
    _, page = report(Run(folder))
    assert "testA/1.png" not in page
    shown = page[page.index('<div class="examples">') :]
    assert re.search('class="name">(.*?)<', shown)[1] == "testA/2.png"
    image = resize_image(read_image(data / "testA/2.png"), 16, 16)
    [source] = set(re.findall('src="([^"]*)"[^>]* alt="x of testA/2.png"', page))
    assert source == data_url(image)


def test_best_and_worst_are_the_extremes(driver):
    for i, direction in enumerate("gf"):
        grid = f"[aria-labelledby=images-{direction}] .grid"
        errors = dict(
            zip(texts(driver, f"{grid} .name"), texts(driver, f"{grid} .error"))
        )
        ranked = sorted(errors, key=lambda name: float(errors[name]))
        extremes = driver.find_elements(By.CLASS_NAME, "extremes")[i]
        lists = extremes.find_elements(By.XPATH, "./div")
        for element, expected in zip(
            lists, (ranked[:4], ranked[::-1][:4]), strict=True
        ):
            names = [e.text for e in element.find_elements(By.CLASS_NAME, "name")]
            numbers = [e.text for e in element.find_elements(By.CLASS_NAME, "error")]
            assert numbers == [errors[name] for name in expected]
            assert set(names) == set(expected)


def test_the_toggle_works_by_keyboard(driver):
    tiles = "[aria-labelledby=images-g] .tile"
    for key, kind in (
        (None, "translated"),
        (Keys.ARROW_RIGHT, "cycled"),
        (Keys.ARROW_LEFT, "translated"),
        (Keys.ARROW_LEFT, "input"),
    ):
        if key:
            selected = "[name=shown-g]:checked"
            driver.find_element(By.CSS_SELECTOR, selected).send_keys(key)
        shown = visible(driver, f"{tiles} img")
        assert [image.get_attribute("class") for image in shown] == [kind] * 12
    # The other direction has its own toggle.
    others = visible(driver, "[aria-labelledby=images-f] .tile img")
    assert {image.get_attribute("class") for image in others} == {"translated"}


def test_an_image_is_enlarged_beside_its_translations(driver):
    tiles = driver.find_elements(By.CSS_SELECTOR, "[aria-labelledby=images-g] .tile")
    tiles[2].send_keys(Keys.ENTER)
    name = driver.find_element(By.ID, "viewer-name")
    assert name.text == NAMES[2]
    assert len(visible(driver, "#viewer img")) == 3
    driver.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert name.text == NAMES[3]
    driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not name.is_displayed()
    chromium.wait_for(
        driver, lambda: driver.switch_to.active_element == tiles[3], "the focus is back"
    )


def test_the_slider_goes_through_the_epochs(run, driver):
    slider = driver.find_element(By.ID, "epoch")
    shown = [image.get_attribute("alt") for image in visible(driver, ".sheets img")]
    assert shown == ["Samples after epoch 2"]
    slider.send_keys(Keys.ARROW_LEFT)
    assert texts(driver, ".slider output") == ["1"]
    (sheet,) = visible(driver, ".sheets img")
    assert sheet.get_attribute("alt") == "Samples after epoch 1"


@pytest.mark.parametrize(("scheme", "is_dark"), [("light", False), ("dark", True)])
@pytest.mark.parametrize("width", [390, 1280])
def test_colors_and_widths(driver, scheme, is_dark, width):
    with chromium.screen(driver, scheme, width):
        background = chromium.brightness(driver, "body", "backgroundColor")
        ink = chromium.brightness(driver, "body", "color")
        axis = chromium.brightness(driver, ".curve text", "fill")
        assert (background < 60) == (ink > 200) == (axis > 130) == is_dark
        assert chromium.page_width(driver) <= width


def test_scores_options_and_headings(driver):
    body = driver.find_element(By.TAG_NAME, "main").text
    for text in (
        "Warning. Too few images.",
        "Images: 12 translated, 1,067 reference.",
        "Polynomial kernel of degree <3>.",
        "The run has continued to step 4 since.",
        "2 of 2 epochs, 4 steps",
        "2 of X, 2 of Y",
        "12 of X, 11 of Y",
    ):
        assert text in body
    rows = [row.text.split() for row in visible(driver, ".metric tbody tr")]
    assert rows[0] == ["kid", "lower", "is", "better", "0.25", "0.5", "0.125"]
    assert rows[1] == ["kid", "standard", "error", "0.0625"]
    changed = [row.text.split() for row in visible(driver, ".options .changed")]
    assert ["--load-size", "20", "286"] in changed
    assert len(changed) == 8
    assert not visible(driver, "details table")
    driver.find_element(By.TAG_NAME, "summary").click()
    options = [row.text.split() for row in visible(driver, "details tr")]
    assert ["--learning-rate", "0.0002"] in options
    levels = [
        int(e.tag_name[1])
        for e in driver.find_elements(
            By.XPATH, "//main//*[self::h1 or self::h2 or self::h3 or self::h4]"
        )
    ]
    assert all(after <= before + 1 for before, after in zip([1, *levels], levels))


def test_curves_follow_the_metrics():
    records = [
        {
            "epoch": 1,
            "learning_rate": 2e-4,
            "cycle_x_loss": 0.5,
            "identity_x_loss": 0.0,
        },
        {"epoch": 2, "learning_rate": 2e-4, "cycle_x_loss": 0.25, "eval_g_kid": 0.125},
        {"epoch": 3, "learning_rate": 1e-4, "cycle_x_loss": math.nan},
    ]
    records[1]["eval_f_fid_inception-v3.1"] = 2.5
    records[1]["val_cycle_x_loss"] = 0.75
    panels = {panel.title: panel for panel in draw_panels(records)}
    fid = "Evaluation: fid_inception-v3.1"
    assert sorted(panels) == ["Cycle", fid, "Evaluation: kid", "Learning rate"]
    assert [curve.label for curve in panels[fid].series] == ["F"]
    assert panels[fid].series[0].last == (2.5, None)
    # An earlier value does not hide a loss that became NaN.
    assert math.isnan(panels["Cycle"].series[0].last[0])
    assert panels["Cycle"].series[0].last[1] == 0.75
    assert panels["Cycle"].is_validated
    assert panels["Evaluation: kid"].series[0].last == (0.125, None)
    assert not panels["Learning rate"].is_validated
    svg = panels["Learning rate"].svg
    assert "var(--ink)" in svg and "#0000" not in svg
    assert svg.count("<use") >= 3 and ">epoch</text>" in svg
    assert "<?xml" not in svg and "<metadata" not in svg
    assert draw_panels([]) == []


def test_every_loss_of_a_training_has_its_panel(run):
    records, _ = read_metrics(run.metrics)
    assert {"val_loss", "cycle_x_loss"} < records[-1].keys()
    assert [panel.title for panel in draw_panels(records)] == [
        *("Adversarial", "Discriminators", "Cycle", "Identity"),
        *("Generators, total", "Learning rate"),
    ]


def test_best_and_worst_of_few_images():
    images = [CycledImage(str(i), "", "", 1, 1, "", float(i)) for i in range(5)]
    best, worst = best_and_worst(images, 4)
    assert [image.cycle_error for image in best] == [0, 1]
    assert [image.cycle_error for image in worst] == [4, 3]
    assert best_and_worst(images[:1], 4) == ([], [])


def test_a_direction_without_a_way_back(run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run.folder, folder)
    (folder / "generator_f.keras").unlink()
    address, page = report(Run(folder))
    assert "Select an image to enlarge both versions" in page
    assert 'id="extremes"' not in page and "with their cycle errors" not in page
    with chromium.browser() as driver:
        driver.get(address)
        # Input and output: 12 in the grid, 4 examples; two sheets.
        assert len(pixels(driver, "img")) == 2 * (12 + 4) + 2
        assert texts(driver, ".grid .name") == NAMES
        driver.find_elements(By.CLASS_NAME, "tile")[1].send_keys(Keys.ENTER)
        assert driver.find_element(By.ID, "viewer-name").text == NAMES[1]
        assert len(visible(driver, "#viewer img")) == 2
        assert not visible(driver, "#viewer .bar p")
        assert driver.get_log("browser") == []


def test_missing_parts_are_named(run, tmp_path, caplog):
    folder = tmp_path / "run"
    shutil.copytree(run.folder, folder)
    (folder / "evaluation.json").write_text("{")
    (folder / "samples/epoch-0001.png").write_bytes(b"damaged")
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 3, "st')
    config = folder / "config.json"
    config.write_text(config.read_text().replace(run.config.dataset.data, "gone"))
    _, page = report(Run(folder))
    for sentence in (
        "Line 3 of metrics.jsonl is damaged",
        "There are no translations. There is no folder gone",
        "There are no scores.",
        "A picture of samples is left out",
    ):
        assert sentence in page
        assert sentence in caplog.text
    assert "<svg" in page and 'class="grid"' not in page
    (folder / "evaluation.json").unlink()
    for direction in "gf":
        (folder / f"generator_{direction}.keras").unlink()
    _, page = report(Run(folder))
    assert "the run has no checkpoint yet" in page
    assert "<code>cyclegan evaluate</code>" in page


def test_some_images_in_another_file(run, tmp_path, capsys):
    out = tmp_path / "new/page.html"
    arguments = ["report", run.folder, "--out", out, "--images", 1]
    assert cli.main(list(map(str, arguments))) == 0
    page = out.read_text(encoding="utf-8")
    assert "The first 1 of 12 test images" in page
    assert page.count('class="tile"') == 2
    assert (
        f"Report: {out}, {out.stat().st_size / 1e6:.1f} MB" in capsys.readouterr().out
    )


def test_mistakes(run, tmp_path, capsys):
    def fails(*arguments):
        assert cli.main(["report", *map(str, arguments)]) == 2
        return capsys.readouterr().err

    assert "is not a run folder" in fails(tmp_path)
    new = Run.create(tmp_path / "new", TrainConfig(DatasetConfig("demo")))
    assert "no epoch and no checkpoint yet" in fails(new.folder)
    assert "--images must be at least 0, not -1" in fails(run.folder, "--images", -1)
    assert "does not name an HTML file" in fails(run.folder, "--out", "photo.jpg")
