"""A student learns what its teacher gives."""

import dataclasses
import json
import shutil

import numpy as np
import PIL.Image
import pytest
import tiny

import cyclegan_tf
from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.cli import main as cli
from cyclegan_tf.config.options import DatasetConfig
from cyclegan_tf.runs.run import Run
from cyclegan_tf.training.distillation import write_pairs
from cyclegan_tf.translation.translator import Translator

pytestmark = pytest.mark.usefixtures("eagerly")


@pytest.fixture
def teacher(tmp_path):
    path = tmp_path / "teacher.keras"
    cyclegan_tf.resnet_generator(2, 1).save(path)
    return path


def test_pairs_are_photographs_and_their_translations(teacher, tmp_path):
    tiny.write_domains(tmp_path, count=12, splits=("photos",))
    pairs = tmp_path / "pairs"
    dataset = DatasetConfig(str(tmp_path / "photos"), load_size=16)
    write_pairs(teacher, "g", dataset, pairs)
    assert len(list((pairs / "train").iterdir())) == 10
    assert len(list((pairs / "test").iterdir())) == 2
    pair = np.array(PIL.Image.open(pairs / "train" / "000000.png"))
    x, y = np.split(pair, 2, axis=1)
    np.testing.assert_array_equal(Translator(teacher)(x), y)
    # What is there is not made again.
    times = [path.stat().st_mtime_ns for path in sorted(pairs.rglob("*.png"))]
    write_pairs(teacher, "g", dataset, pairs)
    assert times == [path.stat().st_mtime_ns for path in sorted(pairs.rglob("*.png"))]


@pytest.mark.parametrize(
    "change", ["teacher", "retrained", "photographs", "load_size", "unknown"]
)
def test_pairs_of_another_origin_are_refused(change, teacher, tmp_path):
    tiny.write_domains(tmp_path, count=12, splits=("photos",))
    pairs = tmp_path / "pairs"
    dataset = DatasetConfig(str(tmp_path / "photos"), load_size=16)
    write_pairs(teacher, "g", dataset, pairs)
    match change:
        case "teacher":
            teacher = shutil.copy(teacher, tmp_path / "another.keras")
        case "retrained":
            cyclegan_tf.resnet_generator(2, 1).save(teacher)
        case "photographs":
            (tmp_path / "photos" / "3.png").unlink()
        case "load_size":
            dataset = dataclasses.replace(dataset, load_size=24)
        case "unknown":
            (pairs / "made_from.json").unlink()
    before = sorted(pairs.rglob("*"))
    with pytest.raises(InputError, match="pairs does not say that this teacher"):
        write_pairs(teacher, "g", dataset, pairs)
    assert before == sorted(pairs.rglob("*"))


@pytest.mark.parametrize("direction", ["g", "f"])
def test_folders_of_domains_keep_their_splits(direction, teacher, tmp_path):
    tiny.write_domains(tmp_path, 3, splits=("trainA", "trainB", "testA", "testB"))
    dataset = DatasetConfig(str(tmp_path), load_size=24, max_images=2)
    write_pairs(teacher, direction, dataset, tmp_path / "pairs")
    assert len(list((tmp_path / "pairs" / "train").iterdir())) == 2
    x = PIL.Image.open(tmp_path / f"test{'A' if direction == 'g' else 'B'}" / "0.png")
    pair = PIL.Image.open(tmp_path / "pairs" / "test" / "000000.png")
    np.testing.assert_array_equal(np.array(pair)[:, : x.width], np.array(x))


def test_the_command(teacher, tmp_path, monkeypatch, capsys):
    tiny.write_domains(tmp_path, count=4, splits=("photos",))
    monkeypatch.chdir(tmp_path)
    small = [
        *("--generator", "resnet", "--filters", "2", "--num-residual-blocks", "1"),
        *("--discriminator-filters", "2", "--num-layers", "1", "--epochs", "1"),
        *("--load-size", "16", "--crop-size", "16", "--sample-images", "1"),
    ]
    assert cli.main(["distill", "teacher.keras", "--data", "photos", *small]) == 0
    run = Run(tmp_path / "runs" / "photos")
    assert run.config.objective.method == "pix2pix"
    assert run.config.dataset.data == "runs/photos-pairs"
    assert cli.main(["evaluate", "runs/photos"]) == 0
    scores = json.loads(run.evaluation.read_text())
    assert "psnr" in json.dumps(scores)
    wrong = ["distill", "teacher.keras", "--data", "photos", "--method", "cut"]
    assert cli.main([*wrong, *small]) == 2
    assert "pix2pix" in capsys.readouterr().err
    folders = ["distill", "teacher.keras", "--data-x", "photos", "--data-y", "photos"]
    assert cli.main([*folders, *small]) == 2
    assert "name it by --data, without --data-x" in capsys.readouterr().err


def test_the_defaults_are_a_small_generator():
    from cyclegan_tf.cli.defaults import of_distill

    options = of_distill(["teacher", "--data", "photos"])
    assert options.networks.generator == "mobile_resnet"
    assert options.networks.norm == "instance"
    assert options.objective.method == "pix2pix"


def test_a_damaged_photograph_is_left_out(teacher, tmp_path, caplog):
    tiny.write_domains(tmp_path, count=12, splits=("photos",))
    damaged = tmp_path / "photos" / "3.png"
    damaged.write_bytes(b"damaged")
    dataset = DatasetConfig(str(tmp_path / "photos"), load_size=16)
    write_pairs(teacher, None, dataset, tmp_path / "pairs")
    assert len(list((tmp_path / "pairs").rglob("*.png"))) == 11
    assert damaged.name in caplog.text
