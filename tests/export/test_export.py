"""Exporting, from the command line to the files."""

import dataclasses
import importlib.util
import json
import logging
import os
import shutil
from pathlib import Path
from unittest import mock

import exported
import numpy as np
import pytest
import tensorflow as tf
import tiny

import cyclegan_tf
from cyclegan_tf._shared.errors import InputError, RefusedFileError
from cyclegan_tf._shared.files import locked, versions_in
from cyclegan_tf.cli import main as cli
from cyclegan_tf.config.options import DatasetConfig, TrainConfig
from cyclegan_tf.export import litert, savedmodel
from cyclegan_tf.export.export import export_generators
from cyclegan_tf.export.generators import load_exportables
from cyclegan_tf.export.litert_runtime import LiteRTModel
from cyclegan_tf.export.options import Choice, ExportConfig
from cyclegan_tf.export.parity import Judge
from cyclegan_tf.export.savedmodel import SavedModelRuntime, write_saved_model
from cyclegan_tf.pretrained.find import find_generators
from cyclegan_tf.pretrained.read import read_network
from cyclegan_tf.runs.run import Run
from cyclegan_tf.translation.inference import inference_model


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """A run on the demo domains, with generators as after a checkpoint."""
    folder = tmp_path_factory.mktemp("runs") / "de mo"
    return tiny.untrained_run(folder, preprocess="none").folder


@pytest.fixture(scope="module")
def generator_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("lone") / "g.keras"
    exported.two_layer_generator().save(path)
    return path


@pytest.fixture(scope="module")
def litert_file(generator_file):
    """The generator in LiteRT, float32, for images of any size."""
    generator = read_network(generator_file).network
    return litert.convert(inference_model(generator), "float32", None)


@pytest.fixture
def instant_litert(litert_file, monkeypatch):
    """Spare the conversions: whatever is asked for, the same file."""
    monkeypatch.setattr(litert, "convert", lambda *_: litert_file)


@pytest.fixture
def photos(tmp_path):
    return tiny.write_domains(tmp_path / "photos", 6, 40, ("holidays",))


def report_in(folder):
    return json.loads((folder / "report.json").read_text())


def test_a_run_in_every_format(run_dir, tmp_path, capsys):
    out = tmp_path / "exported"
    arguments = ["export", str(run_dir), "--formats", "savedmodel", "litert", "onnx"]
    arguments += ["--variants", "float32", "--sizes", "fixed"]
    assert cli.main([*arguments, "--out", str(out)]) == 0
    report = report_in(out)
    assert report["passed"]
    printed = capsys.readouterr().out
    by_path = {entry["path"]: entry for entry in report["artefacts"]}
    assert len(by_path) == 2 * 3
    for path, entry in by_path.items():
        assert (out / path).exists() and path in printed
        assert entry["passed"] and entry["bytes"] > 1000 and entry["latency_ms"] > 0
        assert entry["operations"] and entry["threads"] >= 1
        assert entry["latency_runs"] == 20 and entry["latency_size"] == "48x48"
        assert entry["images"] == (10 if entry["size"] == "48x48" else 11)
        assert entry["psnr"] is None or entry["psnr"] >= 80
    assert (out / "de_mo_g/1/assets.extra/tf_serving_warmup_requests").exists()
    assert [path.name for path in out.rglob(".*")] == [".lock"]

    metadata = json.loads((out / "de_mo_f.json").read_text())
    assert metadata["direction"] == "f" and metadata["translates"] == "striped to plain"
    assert metadata["source"] == str(run_dir)
    assert metadata["training_size"] == Run(run_dir).config.dataset.training_size
    assert metadata["input"]["value_range"] == [-1.0, 1.0]
    assert metadata["input"]["sides_multiple_of"] == 4
    assert set(metadata["files"]) == {path for path in by_path if "de_mo_f" in path}

    # The two directions are not mixed up.
    for direction in "gf":
        image = tiny.images(1, 48)
        served = tf.saved_model.load(str(out / f"de_mo_{direction}/1"))
        translated = served.signatures["serving_default"](image=tf.constant(image))
        translator = cyclegan_tf.Translator(run_dir / f"generator_{direction}.keras")
        expected = translator.generator(image)
        np.testing.assert_allclose(translated["translated"], expected, atol=1e-5)
        path = out / f"litert/de_mo_{direction}_float32_48x48.tflite"
        np.testing.assert_allclose(LiteRTModel(path)(image), expected, atol=1e-3)


def test_one_generator_alone(generator_file, tmp_path):
    """The calibrated variants are written on request only."""
    out = tmp_path / "out"
    config = ExportConfig(generator_file, out, sizes=("fixed",), image_size=(32, 48))
    report = export_generators(config)
    assert report.passed, report.to_text()
    paths = {entry.artefact.path for entry in report.entries}
    assert paths == {"g/1"} | {
        f"litert/g_{variant}_32x48.tflite"
        for variant in ("float32", "float16", "dynamic_range")
    }
    assert json.loads((out / "g.json").read_text())["direction"] is None
    assert report_in(out)["images"] == "4 photographs that come with the package"


def test_calibration_on_a_folder(generator_file, photos, tmp_path):
    (photos / "holidays/0.png").write_bytes(b"damaged")
    config = ExportConfig(
        generator_file,
        tmp_path / "out",
        ("litert",),
        name="mine",
        variants=("int16x8", "int8"),
        sizes=("fixed",),
        image_size=(32, 32),
        calibration=photos,
        report_images=2,
    )
    accurate, whole = export_generators(config).entries
    assert accurate.artefact.path == "litert/mine_int16x8_32x32.tflite"
    assert whole.artefact.path == "litert/mine_int8_32x32.tflite"
    for entry in (accurate, whole):
        assert entry.measurement.images == 2 and not entry.problem
    operations = accurate.measurement.operations
    assert accurate.measurement.cpu_only_operations == sorted(operations)
    assert set(whole.measurement.cpu_only_operations) < set(operations)


def test_calibration_images_are_loaded_only_where_they_are_used(
    generator_file, photos, tmp_path
):
    data = tiny.write_domains(tmp_path / "data", 4, 32)
    run = Run.create(tmp_path / "run", TrainConfig(DatasetConfig(str(data))))
    for direction in "gf":
        shutil.copy(generator_file, run.generator_path(direction))

    def images(source, **options):
        config = ExportConfig(source, Path("out"), image_size=(32, 32), **options)
        config.check()
        return [len(found.calibration_images) for found in load_exportables(config)]

    calibrated = {"variants": ("float32", "int8"), "calibration_images": 3}
    assert images(generator_file, calibration=photos) == [0]
    assert images(generator_file, calibration=photos, **calibrated) == [3]
    assert images(run.folder) == [0, 0]
    assert images(run.folder, **calibrated) == [3, 3]
    assert images(run.folder, formats=("onnx",), **calibrated) == [0, 0]


def test_a_folder_of_both_generators(generator_file, tmp_path):
    for direction in "gf":
        shutil.copy(generator_file, tmp_path / f"generator_{direction}.keras")
    found = load_exportables(ExportConfig(tmp_path, Path("out"), name="both"))
    assert [(each.name, each.direction) for each in found] == [
        ("both_g", "g"),
        ("both_f", "f"),
    ]


def test_a_generator_of_one_size_in_half_precision(tmp_path):
    """It is exported for any size, in float32."""
    import keras

    keras.config.set_dtype_policy("mixed_float16")
    try:
        generator = cyclegan_tf.resnet_generator(4, 1, image_shape=(32, 32, 1))
    finally:
        keras.config.set_dtype_policy("float32")
    generator.save(tmp_path / "gray.keras")
    out = tmp_path / "out"
    variants, sizes = ("float32",), ("any",)
    source = tmp_path / "gray.keras"
    config = ExportConfig(source, out, ("litert",), None, variants, sizes)
    report = export_generators(config)
    assert report.passed, report.to_text()
    (entry,) = report.entries
    assert entry.artefact.size == "any" and entry.measurement.images == 5
    assert entry.measurement.latency_size == "32x32"


def test_a_file_too_far_from_keras_ends_with_exit_code_1(
    generator_file, instant_litert, tmp_path, monkeypatch, capsys
):
    """The runtime is made to put out a third of the image."""
    real = LiteRTModel.__call__
    monkeypatch.setattr(LiteRTModel, "__call__", lambda *args: real(*args) / 3)
    out = tmp_path / "out"
    arguments = ["export", str(generator_file), "--out", str(out), "--sizes", "any"]
    arguments += ["--image-size", "32", "32"]
    options = ["--formats", "litert", "--variants", "float32", "float16"]
    assert cli.main([*arguments, *options]) == 1
    report = report_in(out)
    assert not report["passed"]
    assert [entry["passed"] for entry in report["artefacts"]] == [False, False]
    assert "less than the 60 dB required of float16" in capsys.readouterr().out


def test_a_refused_file_is_not_left_behind(
    generator_file, litert_file, tmp_path, monkeypatch
):
    def convert(model, variant, *_):
        if variant == "float16":
            raise RefusedFileError("It holds VAR_HANDLE.")
        return litert_file

    monkeypatch.setattr(litert, "convert", convert)
    config = ExportConfig(
        generator_file,
        tmp_path,
        ("litert",),
        variants=("float32", "float16"),
        sizes=("any",),
        image_size=(32, 32),
    )
    report = export_generators(config)
    good, refused = report.entries
    assert not good.problem and "was refused: It holds VAR_HANDLE" in refused.problem
    assert [path.name for path in (tmp_path / "litert").iterdir()] == [
        "g_float32_any.tflite"
    ]
    assert json.loads((tmp_path / "g.json").read_text())["files"] == [
        "litert/g_float32_any.tflite"
    ]


def test_nothing_is_overwritten_unless_asked(generator_file, instant_litert, tmp_path):
    """And then nothing is left of the earlier export."""
    before = ExportConfig(
        generator_file, tmp_path, ("litert",), image_size=(32, 32), name="before"
    )
    export_generators(before)
    (tmp_path / "litert/keep.txt").touch()
    after = dataclasses.replace(before, name=None, sizes=("any",))
    with pytest.raises(InputError, match="already exists.*`overwrite=True`"):
        export_generators(after)
    export_generators(dataclasses.replace(after, overwrite=True))
    files = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    written = {"g.json", "keep.txt", "report.json", "report.md", ".lock"}
    assert files == written | {
        f"g_{variant}_any.tflite" for variant in ("float32", "float16", "dynamic_range")
    }


@pytest.fixture
def instant_savedmodel(generator_file, tmp_path_factory, monkeypatch):
    """Spare all SavedModels but the first."""
    written = tmp_path_factory.mktemp("written") / "1"
    model = inference_model(read_network(generator_file).network)
    write_saved_model(written, model)
    monkeypatch.setattr(
        savedmodel,
        "write_saved_model",
        lambda folder, _: shutil.copytree(written, folder),
    )
    monkeypatch.setattr(savedmodel, "can_write_warmup_requests", lambda: False)


def serving(generator_file, out, **options):
    return ExportConfig(
        generator_file, out, image_size=(32, 32), purpose="serving", **options
    )


def test_savedmodels_have_versions(generator_file, instant_savedmodel, tmp_path):
    """Servers look for new numbers, not for new files under an old one."""

    def export(**options):
        report = export_generators(serving(generator_file, tmp_path, **options))
        return report.entries[0].artefact.path, set(versions_in(tmp_path / "g"))

    assert export() == ("g/1", {1})
    assert export(model_version="next") == ("g/2", {1, 2})
    assert export(model_version=20) == ("g/20", {1, 2, 20})
    with pytest.raises(InputError, match="g/20 already exists.*such as next"):
        export(model_version=20)
    with pytest.raises(InputError, match="already exists.*`overwrite=True`"):
        export()
    (found,) = find_generators(tmp_path)
    assert found.path == tmp_path / "g/20"
    assert export(overwrite=True) == ("g/21", {21})
    with pytest.raises(InputError, match="`model_version=3` is for SavedModels"):
        export(model_version=3, formats=("litert",))
    with pytest.raises(InputError, match="`model_version` must be at least 1"):
        export(model_version=0)


@pytest.mark.parametrize("survived", [0, 1, 3])
def test_an_overwrite_that_dies_leaves_what_can_be_served(
    survived, generator_file, instant_savedmodel, tmp_path, monkeypatch
):
    """Before the rename, before the old version goes, and amid that."""

    class KilledError(BaseException):
        pass

    out = tmp_path / "out"
    export_generators(serving(generator_file, out))
    left = iter(range(survived))

    def or_die(function):
        def call(path, *args, **kwargs):
            if out / "g" in Path(path).parents and next(left, None) is None:
                raise KilledError
            return function(path, *args, **kwargs)

        return call

    again = serving(generator_file, out, overwrite=True)
    with monkeypatch.context() as patch:
        for module, name in ((os, "replace"), (Path, "unlink")):
            patch.setattr(module, name, or_die(getattr(module, name)))
        with pytest.raises(KilledError):
            export_generators(again)
    (*_, newest) = versions_in(out / "g").values()
    SavedModelRuntime(newest)(tiny.images(1, 32))
    export_generators(again)
    (kept,) = versions_in(out / "g").values()
    names = {path.name for path in out.rglob("*") if kept not in path.parents}
    assert names == {"g", kept.name, "g.json", "report.json", "report.md", ".lock"}


def test_a_first_export_that_dies_leaves_no_version_behind(
    generator_file, instant_savedmodel, tmp_path, monkeypatch
):
    """After the rename, while it is compared to Keras."""
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(Judge, "measure", mock.Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            export_generators(serving(generator_file, out))
    assert set(versions_in(out / "g")) == {1}
    export_generators(serving(generator_file, out, overwrite=True))
    assert set(versions_in(out / "g")) == {2}


def test_a_full_disk_is_said_in_a_sentence(
    generator_file, tmp_path, monkeypatch, capsys
):
    """TensorFlow writes SavedModels itself, and has errors of its own."""
    full = tf.errors.ResourceExhaustedError(None, None, "No space left on device")
    monkeypatch.setattr(tf.io.TFRecordWriter, "write", mock.Mock(side_effect=full))
    out, to_serving = tmp_path / "out", ("--for", "serving")
    message = fails("export", generator_file, *to_serving, "--out", out, capsys=capsys)
    assert "No space left on device" in message
    assert not versions_in(out / "g")


def test_two_exports_do_not_share_a_folder(generator_file, tmp_path):
    with (
        locked(tmp_path, "exporting", "out"),
        pytest.raises(InputError, match="Another process is exporting.*`out`"),
    ):
        export_generators(serving(generator_file, tmp_path))


def test_an_export_tells_each_step(generator_file, instant_litert, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    export_generators(
        ExportConfig(
            generator_file,
            tmp_path,
            ("litert",),
            variants=("float32",),
            sizes=("fixed",),
            image_size=(32, 32),
        )
    )
    path = "litert/g_float32_32x32.tflite"
    assert [message for message in caplog.messages if message[1:4] == "/3 "] == [
        "1/3 Translating with g in Keras",
        f"2/3 Writing {path}",
        f"3/3 Comparing {path}",
    ]


def test_an_export_that_dies_says_how_far_it_came(
    generator_file, litert_file, tmp_path, monkeypatch
):
    def convert(model, variant, *_):
        if variant == "float16":
            assert not report_in(tmp_path)["finished"]
            raise MemoryError
        return litert_file

    monkeypatch.setattr(litert, "convert", convert)
    config = ExportConfig(generator_file, tmp_path, ("litert",), image_size=(32, 32))
    with pytest.raises(MemoryError):
        export_generators(config)
    report = report_in(tmp_path)
    assert not report["finished"] and not report["passed"]
    (entry,) = report["artefacts"]
    assert entry["path"] == "litert/g_float32_32x32.tflite" and entry["passed"]
    assert "**Unfinished**" in (tmp_path / "report.md").read_text()


@pytest.mark.parametrize(
    ("purpose", "written"),
    [
        ("phone", {"litert/g_float16_32x32.tflite"}),
        ("web", {"litert/g_float16_32x32.tflite"}),
        ("serving", {"g/1"}),
    ],
)
def test_a_purpose_chooses_the_files(
    purpose, written, generator_file, tmp_path, capsys
):
    arguments = ["export", str(generator_file), "--for", purpose]
    arguments += ["--out", str(tmp_path / "out"), "--image-size", "32", "32"]
    assert cli.main(arguments) == 0
    entries = report_in(tmp_path / "out")["artefacts"]
    assert {entry["path"] for entry in entries} == written
    source = tmp_path / "out" if purpose == "serving" else generator_file
    assert f"Next: cyclegan translate {source} PHOTO" in capsys.readouterr().err


def test_what_is_given_overrides_the_purpose():
    def chosen(**options):
        return ExportConfig(Path("g.keras"), Path("out"), **options).chosen

    everything = chosen(purpose="all")
    assert everything.formats == ("savedmodel", "litert", "onnx")
    assert not {"int8", "int16x8"} & set(everything.variants)
    assert everything.sizes == ("fixed", "any") and everything.gpu_safe
    other = chosen(purpose="phone", variants=("float32",), sizes=("any",))
    assert other == Choice(("litert",), ("float32",), ("any",), gpu_safe=True)
    assert chosen() == Choice()
    assert chosen(gpu_safe=True) == Choice(gpu_safe=True)


def test_only_floats_of_one_size_are_made_safe_for_gpus(
    generator_file, litert_file, photos, tmp_path, monkeypatch
):
    asked = []

    def convert(model, variant, size, calibration, for_gpu):
        asked.append((variant, size, for_gpu))
        return litert_file

    monkeypatch.setattr(litert, "convert", convert)
    export_generators(
        ExportConfig(
            generator_file,
            tmp_path / "out",
            ("litert",),
            variants=("float32", "int8"),
            image_size=(32, 32),
            calibration=photos,
            gpu_safe=True,
        )
    )
    assert asked == [
        ("float32", (32, 32), True),
        ("int8", (32, 32), False),
        ("float32", None, False),
        ("int8", None, False),
    ]


def fails(*arguments, capsys):
    assert cli.main(list(map(str, arguments))) == 2
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return captured.err


def test_mistakes(generator_file, run_dir, photos, tmp_path, capsys):
    def export(source, *options):
        out = ("--out", tmp_path / "out")
        return fails("export", source, *options, *out, capsys=capsys)

    assert "holds no generators" in export(tmp_path)
    assert "There is no file, folder or model" in export(tmp_path / "absent.keras")
    (tmp_path / "a.keras").write_bytes(b"damaged")
    assert "cannot be read as a network of Keras 3" in export(tmp_path / "a.keras")
    message = export(generator_file, "--image-size", 30, 33)
    assert "multiples of 2, not 30x33" in message
    assert "must be at least 1" in export(generator_file, "--threads", 0)
    message = export(generator_file, "--gpu-safe", "--sizes", "any")
    assert "--gpu-safe is for files of one size" in message
    assert "cannot name files" in export(generator_file, "--name", "a/b")
    message = export(generator_file, "--variants", "int8")
    assert "int8 must be calibrated" in message
    assert "--calibration" in message
    (tmp_path / "empty").mkdir()
    message = export(generator_file, "--calibration", tmp_path / "empty")
    assert "No image in" in message and "--calibration" in message
    assert "for generators without a run" in export(run_dir, "--calibration", photos)
    shutil.copy(generator_file, tmp_path / "report.keras")
    assert "choose another --name" in export(tmp_path / "report.keras")
    Run.create(tmp_path / "begun", TrainConfig(DatasetConfig("demo")))
    assert "has no generators yet" in export(tmp_path / "begun")
    write_saved_model(tmp_path / "1", inference_model(exported.two_layer_generator()))
    assert "is exported already" in export(tmp_path / "1")
    assert not (tmp_path / "out").exists()


def test_a_run_whose_images_are_gone(tmp_path, capsys):
    data = tiny.write_domains(tmp_path / "data", 2)
    run = Run.create(tmp_path / "run", TrainConfig(DatasetConfig(str(data))))
    for direction in "gf":
        cyclegan_tf.resnet_generator(4, 1).save(run.generator_path(direction))
    shutil.rmtree(data)
    out = ("--out", tmp_path / "out")
    message = fails("export", tmp_path / "run", *out, capsys=capsys)
    assert "There is no folder" in message and "generator_*.keras" in message


@pytest.mark.parametrize("extra", ["litert", "onnx"])
def test_a_missing_extra_is_named_before_any_work(
    extra, generator_file, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    arguments = ("export", generator_file, "--formats", extra, "--out", tmp_path / "o")
    assert f"pip install 'cyclegan_tf[{extra}]'" in fails(*arguments, capsys=capsys)


def test_without_the_extra_serving_there_is_no_warmup(
    generator_file, tmp_path, monkeypatch, caplog
):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: None if name == "tensorflow_serving" else real(name),
    )
    out = tmp_path / "out"
    config = ExportConfig(generator_file, out, ("savedmodel",), image_size=(32, 32))
    assert export_generators(config).passed
    assert "pip install 'cyclegan_tf[serving]'" in caplog.text
    assert not (out / "g/1/assets.extra").exists()


@pytest.mark.parametrize("name", ["resnet9", "unet8"])
def test_full_size_networks_on_a_photograph(name, shared):
    """At 256x256 and with all filters: the float32 LiteRT files are Keras's equal."""
    generator = {
        "resnet9": cyclegan_tf.resnet_generator,
        "unet8": cyclegan_tf.unet_generator,
    }[name]()
    (image,) = exported.photographs(shared / "data/horse2zebra/testA", 1)
    content = litert.convert(inference_model(generator), "float32", (256, 256))
    converted = LiteRTModel(content, threads=2)
    np.testing.assert_allclose(converted(image), generator(image), atol=1e-3)
    assert max(converted.ranks) == 4


def test_a_trained_mobile_generator(shared):
    """Horses to zebras: the size of the float16 file, and what rounding costs."""
    weights = shared / "weights/horse2zebra_mobile/latest_net_G.pth"
    generator = read_network(weights).network
    model = inference_model(generator)
    folder = shared / "data/horse2zebra/testA"
    test, *calibration = exported.photographs(folder, 5, side=64)
    expected = np.asarray(generator(test))
    content = litert.convert(model, "float16", (64, 64))
    assert len(content) <= 1_000_000
    np.testing.assert_allclose(LiteRTModel(content)(test), expected, atol=1e-2)
    accurate = LiteRTModel(litert.convert(model, "int16x8", (64, 64), calibration))
    assert 10 * np.log10(4 / np.mean((accurate(test) - expected) ** 2)) >= 30
