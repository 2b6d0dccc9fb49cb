"""Translating files."""

import csv
import dataclasses
import os
import pathlib
import re
import sys

import exported
import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny
from command_line import fails

import cyclegan_tf
from cyclegan_tf._shared.errors import InputError
from cyclegan_tf._shared.files import locked
from cyclegan_tf.cli import main as cli
from cyclegan_tf.config.options import DatasetConfig, TrainConfig
from cyclegan_tf.export.savedmodel import write_saved_model
from cyclegan_tf.images import denormalize, normalize, read_image, write_image
from cyclegan_tf.images.pixels import to_pillow
from cyclegan_tf.pretrained.inspection import inspect_networks
from cyclegan_tf.runs.run import Run
from cyclegan_tf.translation import translator as translator_module
from cyclegan_tf.translation.exported import ExportedTranslator
from cyclegan_tf.translation.files import FileTranslator
from cyclegan_tf.translation.inference import inference_model
from cyclegan_tf.translation.options import TranslateConfig
from cyclegan_tf.translation.translate import translate
from cyclegan_tf.translation.translator import Translator


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """A run folder with two small untrained generators."""
    folder = tmp_path_factory.mktemp("run") / "run"
    return tiny.untrained_run(folder).folder


@pytest.fixture
def photos(tmp_path):
    """A tree of images of several sizes, one of them damaged."""
    random = np.random.default_rng(0)
    for name, shape in {
        "2.png": (20, 20, 3),
        "10.jpg": (21, 35, 3),
        "deep/er/a.bmp": (1, 3, 3),
        "deep/gray.png": (50, 30, 1),
    }.items():
        write_image(
            tmp_path / "in" / name, random.integers(0, 256, shape, dtype=np.uint8)
        )
    (tmp_path / "in/bad.png").write_bytes(b"damaged")
    (tmp_path / "in/notes.txt").write_text("not an image")
    return tmp_path / "in"


def test_a_tree_keeps_its_names_sizes_and_order(photos, run_dir, tmp_path):
    out = tmp_path / "out"
    translations = translate(TranslateConfig(run_dir, (photos,), out, "f"))

    names = [str(item.output.relative_to(out)) for item in translations]
    expected = ["2.png", "10.jpg", "bad.png", "deep/er/a.bmp", "deep/gray.png"]
    assert names == expected
    for item in translations:
        assert bool(item.error) == (item.output.name == "bad.png")
        assert item.output.exists() == (not item.error)
        if not item.error:
            size = read_image(item.input).shape
            assert read_image(item.output).shape == size
            assert (item.height, item.width) == size[:2]

    with (out / "manifest.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["input"] for row in rows] == [str(item.input) for item in translations]
    assert {row["generator"] for row in rows} == {str(run_dir / "generator_f.keras")}
    assert "bad.png" in rows[2]["error"] and not rows[0]["error"]


def test_the_translation_is_the_generators(photos, run_dir, tmp_path):
    translate(TranslateConfig(run_dir, (photos / "2.png",), tmp_path / "out", "g"))
    translator = Translator(run_dir / "generator_g.keras")
    image = read_image(photos / "2.png")
    expected = translator.generator(normalize(image[None].astype("float32")))[0]
    # A compiled call sums in another order: a value near a half rounds the other way.
    np.testing.assert_allclose(
        read_image(tmp_path / "out/2.png").astype(int),
        denormalize(expected).astype(int),
        rtol=0,
        atol=1,
    )


@pytest.mark.parametrize(
    ("has_libvips", "sentence"),
    [(False, "more than 16.8 megapixels.*`tile="), (True, "cannot be read as a large")],
)
def test_one_image_of_too_many_pixels_is_skipped(
    has_libvips, sentence, photos, run_dir, tmp_path, monkeypatch
):
    """10 kB that claim 81 megapixels."""
    if not has_libvips:
        monkeypatch.setitem(sys.modules, "pyvips", None)
    (photos / "10.jpg").write_bytes(exported.png_that_claims(9000, 9000))
    config = TranslateConfig(run_dir, (photos,), tmp_path / "out", size="full")
    rows = translate(config)
    assert [row.output.name for row in rows if row.error] == ["10.jpg", "bad.png"]
    assert re.search(sentence, rows[1].error)


def test_too_many_pixels_are_translated_in_tiles(
    photos, run_dir, tmp_path, monkeypatch
):
    config = TranslateConfig(run_dir, (photos,), tmp_path / "whole", size="full")
    translate(config)
    monkeypatch.setattr("cyclegan_tf.images.reading.MAX_PIXELS", 1000)
    rows = translate(dataclasses.replace(config, out=tmp_path / "tiles"))
    assert [row.output.name for row in rows if row.error] == ["bad.png"]
    whole, in_tiles = (
        read_image(tmp_path / folder / "deep/gray.png").astype(int)  # 50x30
        for folder in ("whole", "tiles")
    )
    assert np.abs(whole - in_tiles).max() <= 1


@pytest.mark.parametrize("name", ["float01.tif", "int16HU.tif"])
def test_numbers_of_an_unknown_range_are_refused_in_tiles(
    name, run_dir, tmp_path, shared
):
    inputs = (shared / "cases" / name,)
    rows = translate(TranslateConfig(run_dir, inputs, tmp_path / "out", tile=32))
    assert "convert it to 8 or 16 bits" in rows[0].error


def test_all_images_not_fifty(run_dir, tmp_path):
    for i in range(60):
        write_image(tmp_path / f"in/{i}.png", np.zeros((4, 4, 3), np.uint8))
    found = translate(TranslateConfig(run_dir, (tmp_path / "in",), tmp_path / "out"))
    assert len(found) == 60 and not any(item.error for item in found)


def test_nothing_is_overwritten_unless_asked(photos, run_dir, tmp_path):
    inputs, out = (photos / "2.png",), tmp_path / "out"
    translate(TranslateConfig(run_dir, inputs, out))
    before = (out / "2.png").stat().st_mtime_ns
    with pytest.raises(InputError, match=r"2\.png already exists.*`overwrite=True`"):
        translate(TranslateConfig(run_dir, inputs, out, "f"))
    assert (out / "2.png").stat().st_mtime_ns == before
    translate(TranslateConfig(run_dir, inputs, out, overwrite=True))
    assert (out / "2.png").stat().st_mtime_ns > before


@pytest.fixture
def stopping_after(monkeypatch):
    """Simulate a process that is killed before or after it writes an image."""
    whole = FileTranslator.__call__

    def stop_after(count, before):
        done = []

        def translate_some(self, path, output):
            if before and len(done) == count:
                raise KeyboardInterrupt
            size = whole(self, path, output)
            done.append(output.name)
            if not before and len(done) == count:
                raise KeyboardInterrupt
            return size

        monkeypatch.setattr(FileTranslator, "__call__", translate_some)
        return done

    return stop_after


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_the_same_command_goes_on(before, photos, run_dir, tmp_path, stopping_after):
    config = TranslateConfig(run_dir, (photos,), tmp_path / "out")
    stopping_after(2, before)
    with pytest.raises(KeyboardInterrupt, match="the same command goes on"):
        translate(config)
    with (config.out / "manifest.csv").open("a+") as file:
        file.seek(0)
        widths = [(row["output"][-6:], row["width"]) for row in csv.DictReader(file)]
        file.write("half a l")
    assert widths[5] == ("/2.png", "20") and len(widths) == (7 if before else 6)
    times = {path: path.stat().st_mtime_ns for path in config.out.iterdir()}

    done = stopping_after(100, before)
    rows = translate(config)
    # 10.jpg may be written, but the manifest does not say so.
    again = [] if before else ["10.jpg"]
    assert done == [*again, "a.bmp", "gray.png"]
    assert [row.output.name for row in rows if row.error] == ["bad.png"]
    kept = config.out / "2.png"
    assert kept.stat().st_mtime_ns == times[kept]
    assert (rows[0].width, rows[0].height) == (20, 20)
    with (config.out / "manifest.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(rows) == 5

    assert translate(config) == rows  # finished: nothing is left to do
    assert done == [*again, "a.bmp", "gray.png"]
    translate(dataclasses.replace(config, overwrite=True))
    assert done[-4:] == ["2.png", "10.jpg", "a.bmp", "gray.png"]


def test_what_a_killed_job_left_half_written_is_removed(photos, run_dir, tmp_path):
    config = TranslateConfig(run_dir, (photos,), tmp_path / "out")
    first = translate(config)
    output = first[0].output
    folder, prefix = output.parent, "." + "0" * 32
    left = folder / f"{prefix}.{output.name}"
    not_ours = [folder / f"{prefix}.other.jpg", folder / ".hidden.jpg"]
    for path in (left, *not_ours):
        path.write_bytes(b"half")
    translate(config)
    assert not left.exists()
    assert all(path.exists() for path in not_ours)


def test_translations_by_an_older_generator_are_kept_but_not_taken_for_done(
    photos, tmp_path
):
    run_dir = tiny.untrained_run(tmp_path / "run").folder
    config = TranslateConfig(run_dir, (photos / "2.png",), tmp_path / "out")
    translate(config)
    os.utime(config.out / "2.png", (0, 0))
    with pytest.raises(InputError, match=r"2\.png already exists"):
        translate(config)


def test_another_file_in_the_place_of_the_manifest(photos, run_dir, tmp_path):
    (tmp_path / "out").mkdir()
    for content in (b"my,own,table\n", b"\xff\n", b"a\0\n"):
        (tmp_path / "out/manifest.csv").write_bytes(content)
        with pytest.raises(InputError, match="is not a manifest of cyclegan translate"):
            translate(TranslateConfig(run_dir, (photos,), tmp_path / "out"))


def test_an_output_folder_inside_the_input_folder(photos, run_dir):
    out = photos / "translated"
    for _ in range(2):
        config = TranslateConfig(run_dir, (photos,), out, overwrite=True)
        assert len(translate(config)) == 5


def test_an_output_is_never_an_input(photos, run_dir, monkeypatch):
    before = (photos / "2.png").read_bytes()
    monkeypatch.chdir(photos)
    here = pathlib.Path()
    (photos / "linked").mkdir()
    os.link(photos / "2.png", photos / "linked/2.png")
    for inputs, out in {
        (pathlib.Path("2.png"),): here,
        (here,): here,
        (photos / "2.png",): photos / "linked",
    }.items():
        with pytest.raises(InputError, match=r"2\.png would replace .*`out`"):
            translate(TranslateConfig(run_dir, inputs, out, overwrite=True))
    assert (photos / "2.png").read_bytes() == before


def test_two_processes_do_not_share_a_folder(photos, run_dir, tmp_path):
    config = TranslateConfig(run_dir, (photos,), tmp_path / "out")
    config.out.mkdir()
    with (
        locked(config.out, "translating", "out"),
        pytest.raises(InputError, match="Another process is translating.*`out`"),
    ):
        translate(config)
    assert len(translate(config)) == 5


def test_images_of_a_subfolder_into_the_folder_above(photos, run_dir, monkeypatch):
    monkeypatch.chdir(photos)
    translate(TranslateConfig(run_dir, (pathlib.Path("deep"),), pathlib.Path()))
    assert (photos / "gray.png").exists() and (photos / "er/a.bmp").exists()


def test_names_that_no_one_expects(run_dir, tmp_path, capfd):
    """255 bytes, not UTF-8, a line break, another suffix or case, and odd digits."""
    names = ["\u00e4" * 125 + "-.png", os.fsdecode(b"\xff.png"), "a\nb.png"]
    names += ["c.png", "c.bmp", "C.png", "1\u00b22.png"]
    for name in names:
        write_image(tmp_path / "in" / name, *tiny.noise(1))
    (tmp_path / "in" / os.fsdecode(b"bad\xff.png")).write_bytes(b"damaged")
    arguments = ["translate", run_dir, tmp_path / "in", "--out", tmp_path / "out"]
    assert cli.main(list(map(os.fsdecode, arguments))) == 1
    assert "bad\\udcff.png cannot be read" in capfd.readouterr().out
    translated = {path.name for path in (tmp_path / "out").iterdir()}
    assert translated == {*names, "manifest.csv", ".lock"}
    with (tmp_path / "out/manifest.csv").open(encoding="utf-8", newline="") as file:
        outputs = [row["output"] for row in csv.DictReader(file)]
    assert str(tmp_path / "out/\\udcff.png") in outputs
    assert str(tmp_path / "out/a\nb.png") in outputs


def test_two_names_of_one_output_do_not_replace_each_other(run_dir, tmp_path):
    """A link stands for a file system that ignores case."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out/b.png").symlink_to("a.png")
    for name in ("a.png", "b.png"):
        write_image(tmp_path / "in" / name, *tiny.noise(1))
    config = TranslateConfig(run_dir, (tmp_path / "in",), tmp_path / "out")
    first, second = translate(config)
    assert not first.error
    assert "have one name" in second.error and "a.png and " in second.error


def test_one_image_that_cannot_be_written_does_not_end_the_job(
    photos, run_dir, tmp_path, monkeypatch
):
    """Its name is a folder's; it needs more memory than there is."""
    (tmp_path / "out/2.png").mkdir(parents=True)

    def exhausting(self, image):
        if len(image) == 21:
            raise tf.errors.ResourceExhaustedError(None, None, "out of memory")
        return image

    monkeypatch.setattr(Translator, "__call__", exhausting)
    config = TranslateConfig(run_dir, (photos,), tmp_path / "out", overwrite=True)
    rows = {row.output.name: row for row in translate(config)}
    assert {name for name, row in rows.items() if row.error} == {
        *("2.png", "10.jpg", "bad.png")
    }
    assert "cannot be written" in rows["2.png"].error
    assert "not enough memory" in rows["10.jpg"].error


def test_two_images_of_one_name(photos, run_dir, tmp_path):
    write_image(tmp_path / "other/2.png", np.zeros((4, 4, 3), np.uint8))
    inputs = (photos / "2.png", tmp_path / "other")
    with pytest.raises(InputError, match="would both become"):
        translate(TranslateConfig(run_dir, inputs, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ((), "nothing to translate"),
        (("absent.png",), "There is no file or folder .*absent.png"),
        (("notes.txt",), r"notes\.txt has no image suffix"),
        (("empty",), "There are no images in .*empty"),
    ],
)
def test_wrong_inputs(inputs, message, photos, run_dir, tmp_path):
    (photos / "empty").mkdir()
    paths = tuple(photos / name for name in inputs)
    with pytest.raises(InputError, match=message):
        translate(TranslateConfig(run_dir, paths, tmp_path / "out"))


def test_a_run_without_generators(tmp_path):
    Run.create(tmp_path / "run", TrainConfig(DatasetConfig("demo")))
    config = TranslateConfig(tmp_path / "run", (tmp_path,), tmp_path / "out")
    with pytest.raises(InputError, match="has no generators yet"):
        translate(config)


@pytest.mark.parametrize("size", [(32, 32), (33, 70), (1, 1), (5, 40)])
def test_any_size_through_a_unet(size):
    translator = Translator(cyclegan_tf.unet_generator(2, 5))
    assert translator.size_multiple == 32
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    assert translator(image).shape == image.shape


def test_gray_to_colour():
    generator = cyclegan_tf.resnet_generator(
        4, 1, image_shape=(None, None, 1), output_channels=3
    )
    assert Translator(generator)(np.zeros((9, 8, 1), np.uint8)).shape == (9, 8, 3)


def test_a_path_and_a_pillow_image_are_images_too(tmp_path):
    translator = Translator(cyclegan_tf.resnet_generator(4, 1))
    [image] = tiny.noise(1)
    write_image(tmp_path / "a.png", image)
    expected = translator(image)
    for same in (tmp_path / "a.png", str(tmp_path / "a.png"), to_pillow(image)):
        np.testing.assert_array_equal(translator(same), expected)
    with pytest.raises(ValueError, match="must be uint8.* an array of float32"):
        translator(image.astype("float32"))


def test_wrong_channels():
    translator = Translator(cyclegan_tf.resnet_generator(4, 1))
    with pytest.raises(ValueError, match="takes images of 3 channels"):
        translator(np.zeros((8, 8, 4), np.uint8))


@pytest.mark.parametrize("name", tiny.foreign_generators())
def test_generators_of_others_keep_the_size(name, tmp_path):
    _, make = tiny.foreign_generators()[name]
    generator = make()
    generator.save(tmp_path / "g.keras")
    translator = Translator(tmp_path / "g.keras")
    (image,) = tiny.noise(1, 24)
    translated = translator(image[:13])
    assert translated.shape == (13, 24, 3)
    whole = denormalize(generator(normalize(image[None].astype("float32")))[0].numpy())
    # The same numbers: nothing is lost when blocks inside are copied.
    np.testing.assert_allclose(translator(image).astype(int), whole, atol=1)


def test_super_resolution_is_refused(tmp_path, photos, capsys):
    image = keras.Input((None, None, 3))
    keras.Model(image, keras.layers.UpSampling2D()(image)).save(tmp_path / "g.keras")
    message = fails(
        capsys, "translate", tmp_path / "g.keras", photos, "--out", tmp_path
    )
    assert "256x288 pixels becomes one of 512x576" in message
    (facts,) = inspect_networks(tmp_path / "g.keras").values()
    assert "one of 512x576" in facts["image sizes"]


def test_an_output_of_another_size_is_never_cropped(monkeypatch, tmp_path):
    """Even where the multiple is wrong, as for a network that no probe sees through."""
    monkeypatch.setattr(translator_module, "size_multiple", lambda network: 1)
    _, make = tiny.foreign_generators()["pooling"]
    (image,) = tiny.noise(1, 13)
    with pytest.raises(InputError, match="image of 13x13 pixels to one of that size"):
        Translator(make())(image)
    write_saved_model(tmp_path / "1", inference_model(make()))
    with pytest.raises(InputError, match="image of 13x13 pixels to one of that size"):
        ExportedTranslator(tmp_path / "1")(image)
    with pytest.raises(InputError, match="13x13 pixels to one of 12x13; use"):
        translator_module.translate_one(lambda images: images[:, :, :12], image)


def test_a_generator_of_one_size_only():
    image = keras.Input((8, 8, 3))
    flat = keras.layers.Dense(192)(keras.layers.Flatten()(image))
    network = keras.Model(image, keras.layers.Reshape((8, 8, 3))(flat))
    with pytest.raises(InputError, match="cannot take images of any size"):
        Translator(network)


def test_a_damaged_exported_generator(tmp_path):
    write_saved_model(tmp_path / "1", inference_model(tiny.generator(2)))
    (weights,) = (tmp_path / "1/variables").glob("*.data*")
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(InputError, match="cannot be read as a SavedModel of cyclegan"):
        ExportedTranslator(tmp_path / "1")


def test_not_a_generator(tmp_path):
    (tmp_path / "a.keras").write_bytes(b"damaged")
    with pytest.raises(InputError, match="cannot be read as a network of Keras 3"):
        Translator(tmp_path / "a.keras")
    with pytest.raises(InputError, match="There is no file, folder or model"):
        Translator(pathlib.Path("absent.keras"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: cyclegan_tf.patchgan_discriminator(2, 2),
            "not be read as a generator",
        ),
        (
            lambda: cyclegan_tf.patchgan_discriminator(2, 2, image_shape=(64, 64, 3)),
            "not be read as a generator",
        ),
        (lambda: tiny.cyclegan(), "holds a CycleGAN, not a network"),
        (
            lambda: keras.Sequential([keras.Input((8, 8, 3)), keras.layers.ReLU()]),
            "holds a Sequential, not a network",
        ),
        (
            lambda: cyclegan_tf.resnet_generator(2, 1, image_shape=(None, None, 2)),
            "translates images of 2 channels to 2, but image files have 1 or 3",
        ),
    ],
    ids=["discriminator", "sized discriminator", "CycleGAN", "Sequential", "channels"],
)
def test_a_network_that_translates_no_image_files(make, message, photos, tmp_path):
    make().save(tmp_path / "network.keras")
    config = TranslateConfig(
        tmp_path / "network.keras", (photos,), out=tmp_path / "out"
    )
    with pytest.raises(InputError, match=message):
        translate(config)
    assert not (tmp_path / "out").exists()


def test_a_generator_file_with_a_damaged_part(tmp_path):
    path = tmp_path / "g.keras"
    cyclegan_tf.resnet_generator(2, 1).save(path)
    content = bytearray(path.read_bytes())
    content[content.index(b"resnet") + 3] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="cannot be read as a network of Keras 3"):
        Translator(path)
