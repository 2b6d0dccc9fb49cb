"""The command that measures a LiteRT file."""

import pytest
import tiny

import cyclegan_tf
from cyclegan_tf.cli import main as cli
from cyclegan_tf.export.litert import convert
from cyclegan_tf.translation.inference import inference_model


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("litert")
    model = inference_model(cyclegan_tf.unet_generator(4, 5))
    images = list(tiny.images(2, 64)[:, None, :32])
    for label, variant, size in (("fixed", "int8", (32, 64)), ("any", "float32", None)):
        path = folder / f"{label}.tflite"
        path.write_bytes(convert(model, variant, size, images))
    return folder


def test_a_file_of_one_size(files, capsys):
    path = files / "fixed.tflite"
    assert cli.main(["benchmark-litert", str(path), "--runs", "3"]) == 0
    printed = capsys.readouterr().out
    assert "32x64" in printed and "median of 3" in printed and "threads: 1" in printed
    assert f"{path.stat().st_size / 1e6:.2f} MB" in printed and "CONV_2D" in printed
    assert "MB at the peak" in printed


def test_a_file_of_any_size(files, capsys):
    path = str(files / "any.tflite")
    options = ["--image-size", "64", "32", "--runs", "2", "--threads", "2"]
    assert cli.main(["benchmark-litert", path, *options]) == 0
    printed = capsys.readouterr().out
    assert "64x32" in printed and "threads: 2" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.tflite"], "There is no file"),
        (["any.tflite", "--image-size", "33", "32"], "choose another --image-size"),
        (["any.tflite", "--runs", "0"], "--runs must be at least 1"),
    ],
)
def test_mistakes(arguments, message, files, capsys):
    path, *options = arguments
    assert cli.main(["benchmark-litert", str(files / path), *options]) == 2
    assert message in capsys.readouterr().err
