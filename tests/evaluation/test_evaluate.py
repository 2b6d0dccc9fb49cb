"""cyclegan evaluate, and evaluation during a training."""

import dataclasses
import json
import re
import shutil
import types

import numpy as np
import pytest
import tiny

import cyclegan_tf
from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.cli import main as cli
from cyclegan_tf.config.options import DatasetConfig
from cyclegan_tf.data import domains
from cyclegan_tf.evaluation import evaluate as evaluation
from cyclegan_tf.evaluation import protocols
from cyclegan_tf.evaluation.scores import Evaluation
from cyclegan_tf.images import write_image
from cyclegan_tf.pretrained.keras3 import Pretrained, write_network
from cyclegan_tf.runs.run import Run
from cyclegan_tf.training.callbacks import Evaluating

EPOCHS = 3
SMALL = [
    *("--filters", "2", "--num-residual-blocks", "1"),
    *("--discriminator-filters", "2", "--num-layers", "1"),
    *("--load-size", "18", "--crop-size", "16", "--batch-size", "2"),
    *("--constant-epochs", str(EPOCHS), "--decay-epochs", "0"),
]


@pytest.fixture(scope="module")
def few_patches():
    """Few patches and training steps save time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cyclegan_tf.evaluation.patches.COUNT", 256)
        patch.setattr(evaluation, "DomainClassifier", QuickClassifier)
        yield


class QuickClassifier(evaluation.DomainClassifier):
    def __init__(self, images_x, images_y):
        super().__init__(images_x, images_y, steps=2)


@pytest.fixture(scope="module")
def run(tmp_path_factory, few_patches):
    """A run evaluated after every second epoch and the last."""
    folder = tmp_path_factory.mktemp("evaluation")
    data = tiny.write_domains(
        folder / "data", 4, splits=("trainA", "trainB", "testA", "testB")
    )
    arguments = ["train", "--data", str(data), "--run-dir", str(folder / "run")]
    arguments += [*SMALL, "--evaluate-every", "2", "--keep-best", "swd"]
    with tiny.eagerly():
        assert cli.main(arguments) == 0
    return Run(folder / "run")


def lines(run):
    return [json.loads(line) for line in run.metrics.read_text().splitlines()]


def test_scores_in_the_log_every_second_epoch_and_at_the_end(run):
    logged = [
        {name for name in line if name.startswith("eval_")} for line in lines(run)
    ]
    assert not logged[0]
    assert logged[1] == logged[2]
    for direction in "gf":
        names = ("fid_random", "kid_random", "swd", "hit_rate", "cycle_error", "change")
        assert {f"eval_{direction}_{name}" for name in names} <= logged[1]


def test_the_end_of_a_fit_need_not_be_that_of_the_training():
    """The rest of an interrupted epoch is a separate `fit`."""
    asked = []
    nothing = types.SimpleNamespace(refresh=lambda: None)
    evaluators = dict.fromkeys("gf", lambda *_: asked.append(epoch) or ())
    callback = Evaluating(dict.fromkeys("gf", nothing), evaluators, every=3, epochs=5)
    for epochs in (2, 5):
        callback.set_params({"epochs": epochs})
        for epoch in range(1, epochs + 1):
            callback.on_epoch_end(epoch - 1, {})
    assert asked == [3, 3, 5, 5]


def test_the_best_epoch_by_a_score_is_kept(run):
    scores = {
        line["step"]: (line["eval_g_swd"] + line["eval_f_swd"]) / 2
        for line in lines(run)
        if "eval_g_swd" in line
    }
    best = min(scores, key=scores.get)
    checkpoints = run.checkpoints.positions()
    assert {position.step for position in checkpoints.values()} == {best, run.step}
    [position] = [p for p in checkpoints.values() if p.step == best]
    assert (position.score, position.metric) == (pytest.approx(scores[best]), "swd")
    # Its generators are also saved as files for other commands.
    assert {path.name for path in (run.folder / "best").iterdir()} == {
        "generator_g.keras",
        "generator_f.keras",
    }


def test_evaluating_a_run_says_what_its_log_says(run, capsys, caplog):
    assert cli.main(["evaluate", str(run.folder)]) == 0
    assert re.search(r"Computing on .+ in float32\.$", caplog.text, re.MULTILINE)
    printed = capsys.readouterr()
    assert "Note: FID is biased upward for few images" in printed.out
    evaluation = Evaluation.read(run.evaluation)
    assert evaluation.to_text() in printed.out
    assert printed.out.startswith("G: X to Y. ") and "too few" in printed.out
    assert evaluation.step == run.step
    logged = lines(run)[-1]
    for direction in "gf":
        for name in ("kid_random", "swd", "cycle_error", "identity_error", "diversity"):
            assert evaluation.score(direction, name).translated == pytest.approx(
                logged[f"eval_{direction}_{name}"], rel=1e-3
            )


def test_a_run_has_its_own_size(run, capsys):
    assert cli.main(["evaluate", str(run.folder), "--image-size", "16"]) == 2
    assert "leave out --image-size 16" in capsys.readouterr().err


def test_evaluating_a_file_needs_data(run, tmp_path, capsys):
    generator = str(run.generator_path("f"))
    assert cli.main(["evaluate", generator]) == 2
    assert "is a generator without images; name the images" in capsys.readouterr().err
    arguments = ["--data", run.config.dataset.data, "--image-size", "16"]
    arguments += ["--images", "3", "--reference", "test"]
    out = tmp_path / "scores.json"
    assert cli.main(["evaluate", generator, *arguments, "--out", str(out)]) == 0
    evaluation = Evaluation.read(out)
    assert list(evaluation.directions) == ["f"] and evaluation.step is None
    [distances, *_] = evaluation.directions["f"]
    assert distances.images == {"translated": 3, "untranslated": 3}
    assert "the 3 test images" in distances.protocol


@pytest.mark.parametrize(
    ("data", "options", "count"),
    [
        ("monet2photo_small", (), 3),
        ("photo2monet", (), 2),
        ("pictures", (), 2),
        ("pictures", ("--direction", "BtoA"), 3),
        ("monet2photo_small", ("--direction", "AtoB"), 2),
    ],
)
def test_a_model_gets_images_of_its_domain(
    data, options, count, few_patches, tmp_path, monkeypatch
):
    """At its size of training. A has two test images, B three."""
    model, folder = tmp_path / "model.keras", tmp_path / data
    network = cyclegan_tf.resnet_generator(2, 1)
    write_network(model, Pretrained(network, {}, 18, "photograph to painting by Monet"))
    tiny.write_domains(folder, 2, splits=("trainA", "trainB", "testA"))
    tiny.write_domains(folder, 3, splits=("testB",))
    shapes = []

    def load(config, size_multiple):
        found = domains.load_domains(config, size_multiple)
        shapes.extend(each.image_shape for each in found.test.values())
        return found

    monkeypatch.setattr(evaluation, "load_domains", load)
    out = tmp_path / "scores.json"
    arguments = ["--data", str(folder), "--out", str(out), *options]
    assert cli.main(["evaluate", str(model), *arguments]) == 0
    [distances, *_] = Evaluation.read(out).directions["g"]
    assert distances.images["translated"] == count
    assert shapes == [(16, 16, 3)] * 2  # the generator takes multiples of 4


def test_test_images_of_tfds_are_no_pairs(run, capsys):
    """The refusal comes before any download."""
    arguments = ["--data", "tfds:cycle_gan/maps", "--paired"]
    assert cli.main(["evaluate", str(run.folder), *arguments]) == 2
    assert "Datasets shuffles each domain by itself" in capsys.readouterr().err


def test_paired_test_images(run, tmp_path):
    out = tmp_path / "scores.json"
    assert cli.main(["evaluate", str(run.folder), "--paired", "--out", str(out)]) == 0
    evaluation = Evaluation.read(out)
    assert evaluation.score("g", "mae").untranslated > 0
    # Other data than the run's can be named; the demo's test images are always pairs.
    arguments = ["--data", "demo", "--images", "2", "--reference", "test"]
    arguments += ["--out", str(out)]
    assert cli.main(["evaluate", str(run.folder), *arguments]) == 0
    assert Evaluation.read(out).data == "demo"
    assert Evaluation.read(out).score("f", "ssim").translated < 1


def test_pairs_of_other_sizes(run, tmp_path, capsys):
    folder = tiny.write_domains(
        tmp_path / "data", 2, splits=("trainA", "trainB", "testA", "testB")
    )
    for path in (folder / "testB").iterdir():
        write_image(path, np.zeros((32, 24, 3), np.uint8))
    sized = Run.create(
        tmp_path / "run",
        dataclasses.replace(
            run.config, dataset=DatasetConfig(str(folder), preprocess="none")
        ),
    )
    for direction in "gf":
        shutil.copy(run.generator_path(direction), sized.folder)
    assert cli.main(["evaluate", str(sized.folder), "--paired"]) == 2
    assert "images of a pair must be of one size, but" in capsys.readouterr().err


@pytest.mark.parametrize("kept", [100, 0])
def test_a_damaged_test_image_takes_its_partner_along(kept, run, tmp_path, caplog):
    """It is named and the rest is scored, whether its header can be read or not."""
    folder = tmp_path / "data"
    shutil.copytree(run.config.dataset.data, folder)
    damaged = folder / "testB/1.png"
    damaged.write_bytes(damaged.read_bytes()[:kept])
    out = tmp_path / "scores.json"
    arguments = ["--data", str(folder), "--paired", "--out", str(out)]
    assert cli.main(["evaluate", str(run.folder), *arguments]) == 0
    assert str(damaged) in caplog.text
    [paired] = [
        metric
        for metric in Evaluation.read(out).directions["g"]
        if metric.title == protocols.PAIRED.title
    ]
    assert paired.images["translated"] == 3


def test_pairs_must_be_complete(run, tmp_path, capsys):
    folder = tmp_path / "data"
    shutil.copytree(run.config.dataset.data, folder)
    (folder / "testB/1.png").unlink()
    arguments = ["--data", str(folder), "--paired"]
    assert cli.main(["evaluate", str(run.folder), *arguments]) == 2
    assert "as many of X as of Y, not 4 and 3" in capsys.readouterr().err


def test_where_the_data_sets_are_now(run, tmp_path, monkeypatch):
    """--data-dir replaces the folder that a run was trained from."""
    folders = []

    def find(data, split, data_dir):
        folders.append(data_dir)
        raise InputError("none")

    monkeypatch.setattr(domains, "find_sources", find)
    assert cli.main(["evaluate", str(run.folder), "--data-dir", str(tmp_path)]) == 2
    assert folders == [tmp_path]


def test_a_generator_of_gray_images_on_the_demo(few_patches, tmp_path):
    path = tmp_path / "g.keras"
    cyclegan_tf.resnet_generator(
        2, 1, image_shape=(None, None, 1), output_channels=3
    ).save(path)
    out = tmp_path / "scores.json"
    arguments = ["--data", "demo", "--images", "2", "--reference", "test"]
    arguments += ["--image-size", "16"]
    assert cli.main(["evaluate", str(path), *arguments, "--out", str(out)]) == 0
    assert Evaluation.read(out).score("g", "mae").untranslated is None
