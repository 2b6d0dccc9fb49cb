"""Whole runs of pix2pix and CUT: trained, resumed, judged, shown."""

import json

import keras
import numpy as np
import pytest
import tiny

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.cli import main as cli
from cyclegan_tf.config.options import TrainConfig
from cyclegan_tf.config.recipes import make_train_config
from cyclegan_tf.config.stored import from_dict, to_dict
from cyclegan_tf.images import read_image, write_image
from cyclegan_tf.models.cut import CUT
from cyclegan_tf.models.pix2pix import Pix2Pix
from cyclegan_tf.pretrained.read import find_networks
from cyclegan_tf.runs.run import Run
from cyclegan_tf.training import callbacks
from cyclegan_tf.training.building import build_model

SMALL = [
    *("--generator", "resnet", "--filters", "2", "--num-residual-blocks", "1"),
    *("--discriminator-filters", "2", "--num-layers", "1", "--max-images", "4"),
    *("--load-size", "20", "--crop-size", "16", "--validation-images", "2"),
    *("--sample-images", "2"),
]
METHODS = {
    "pix2pix": ["--method", "pix2pix", "--ema", "0.5"],
    "cut": ["--method", "cut", "--num-patches", "8", "--ema", "0.5"],
    "fastcut": ["--preset", "fastcut", "--num-patches", "8"],
}


pytestmark = pytest.mark.usefixtures("eagerly")


def train(run_dir, method, *arguments):
    command = ["train", "--data", "demo", "--run-dir", str(run_dir)]
    return cli.main([*command, *METHODS[method], *SMALL, *arguments])


def epochs(constant, decay):
    return ["--constant-epochs", str(constant), "--decay-epochs", str(decay)]


@pytest.mark.parametrize("method", METHODS)
def test_a_run_resumes_to_the_same_end(method, tmp_path, capsys):
    run_dir, other_dir = tmp_path / "run", tmp_path / "other"
    assert train(run_dir, method, *epochs(1, 1)) == 0
    run = Run(run_dir)
    assert run.config.objective.method == method.removeprefix("fast")
    assert not (run_dir / "generator_f.keras").exists()
    assert (run_dir / "best/generator_g.keras").is_file()
    lines = (run_dir / "metrics.jsonl").read_text().splitlines()
    losses = {"pix2pix": "l1_loss", "cut": "nce_x_loss", "fastcut": "nce_x_loss"}
    assert all(json.loads(line)[f"val_{losses[method]}"] > 0 for line in lines)

    assert train(other_dir, method, *epochs(1, 0)) == 0
    resume = ["train", "--resume", str(other_dir), *epochs(1, 1)]
    assert cli.main(resume) == 0
    for ours, theirs in zip(weights(run_dir), weights(other_dir), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    other = "cut" if method == "pix2pix" else "pix2pix"
    assert cli.main([*resume[:3], "--method", other]) == 2
    assert f"not of --method {other}" in capsys.readouterr().err


def test_a_run_of_pairs_is_scored_and_shown(tmp_path, capsys):
    run_dir = tmp_path / "run"
    assert train(run_dir, "pix2pix", *epochs(1, 0)) == 0
    assert cli.main(["evaluate", str(run_dir), "--images", "4"]) == 0
    # The pairs of the demo are compared without being asked for.
    assert "| g         | ssim" in capsys.readouterr().out
    assert cli.main(["report", str(run_dir)]) == 0
    page = (run_dir / "report.html").read_text()
    assert page.count('class="tile"') == page.count('class="pair') == 4
    assert "G: plain to striped" in page and 'class="cycled"' not in page
    for absent in ("F: ", "against F", "cycled by", 'id="extremes"'):
        assert absent not in page


@pytest.mark.parametrize("method", ["pix2pix", "cut"])
def test_a_run_is_used_like_any(method, tmp_path):
    run_dir, photos = tmp_path / "run", tmp_path / "photos"
    assert train(run_dir, method, *epochs(1, 0)) == 0
    write_image(photos / "a.png", tiny.noise(1, 40)[0])
    found = {}
    for name, arguments in {
        "whole": ["translate", str(run_dir), str(photos)],
        "tiles": ["translate", str(run_dir), str(photos), "--tile", "32"],
        "beam": ["translate-beam", str(run_dir), str(photos)],
        "exported": ["export", str(run_dir), "--formats", "savedmodel"],
        "served": ["translate", str(tmp_path / "exported"), str(photos)],
    }.items():
        out = tmp_path / name
        assert cli.main([*arguments, "--out", str(out)]) == 0
        if name != "exported":
            found[name] = read_image(out / "a.png").astype(int)
    for name, translated in found.items():
        # What is near a half may be rounded the other way.
        assert np.abs(translated - found["whole"]).max() <= 1, name


def weights(run_dir):
    model = Run(run_dir).checkpoints.load_newest()[1]
    generator = keras.saving.load_model(run_dir / "generator_g.keras")
    return model.get_weights() + generator.get_weights()


def test_averaged_generators_are_what_a_run_gives(tmp_path):
    run_dir = tmp_path / "run"
    assert train(run_dir, "cut", *epochs(1, 0), "--learning-rate", "0.01") == 0
    trained = Run(run_dir).checkpoints.load_newest()[1].generator_g
    published = keras.saving.load_model(run_dir / "generator_g.keras")
    assert tiny.largest_difference(trained, published) > 1e-4
    found = find_networks(run_dir)
    assert tiny.largest_difference(found["generator_g"].network, published) == 0
    assert list(found) == ["generator_g", "discriminator_y", "heads"]
    out = tmp_path / "pytorch"
    assert cli.main(["export-pytorch", str(run_dir), "--out", str(out)]) == 0
    names = sorted(path.name for path in out.iterdir())
    assert names == ["latest_net_D.pth", "latest_net_G.pth"]


def test_the_presets_are_the_authors_networks():
    cut = build_model(make_train_config(preset="cut", data="demo"))
    assert isinstance(cut, CUT)
    counts = {name: network.count_params() for name, network in cut.networks.items()}
    assert counts == {
        "generator_g": 11_378_179,
        "discriminator_y": 2_764_737,
        "heads": 560_384,
    }
    kernel = np.asarray(cut.generator_g.get_layer("block_0_conv_0").kernel)
    assert np.std(kernel) == pytest.approx(0.02 * np.sqrt(2 / (9 * 512)), rel=0.02)
    pix2pix = build_model(make_train_config(recipe="facades-pix2pix", data="x"))
    assert isinstance(pix2pix, Pix2Pix)
    assert pix2pix.discriminator_y.count_params() - 2 * 896 == 2_768_705


def test_fastcut_warns_of_its_weight(caplog):
    make_train_config(preset="fastcut", data="demo")
    assert "try `nce_weight=1`" in caplog.text


def test_a_preset_of_another_method():
    with pytest.raises(InputError, match="leave out `method=pix2pix`"):
        make_train_config(preset="cut", data="demo", method="pix2pix")


def test_stored_options_come_back():
    config = make_train_config(data="demo", method="cut")
    assert isinstance(config, TrainConfig)
    assert from_dict(TrainConfig, to_dict(config)) == config
    values = to_dict(config)
    values["objective"]["method"] = "gan"
    with pytest.raises(InputError, match="method cannot be 'gan'"):
        from_dict(TrainConfig, values)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (
            "cyclegan",
            ["x: horses", "G(x)", "F(G(x))", "y: zebras", "F(y)", "G(F(y))"],
        ),
        ("pix2pix", ["x: horses", "G(x)", "truth"]),
    ],
)
def test_any_two_folders(method, expected, tmp_path, monkeypatch):
    headings = []
    monkeypatch.setattr(
        callbacks, "write_contact_sheet", lambda *sheet: headings.append(sheet[-1])
    )
    tiny.write_domains(tmp_path, count=4, splits=("horses", "zebras"))
    monkeypatch.chdir(tmp_path)
    folders = ["--data-x", "horses", "--data-y", "zebras", "--epochs", "1"]
    size = ["--load-size", "16", "--crop-size", "16"]
    assert cli.main(["train", "--method", method, *folders, *SMALL, *size]) == 0
    assert headings == [expected]
    run = Run(tmp_path / "runs" / "horses2zebras")
    kept = (run.folder / "test_images.txt").read_text().splitlines()
    assert len(kept) == 4
    assert [name.replace("horses", "zebras") for name in kept[:2]] == kept[2:]
    assert run.config.dataset.domain_names == ("horses", "zebras")
    assert cli.main(["evaluate", str(run.folder)]) == 0
    assert json.loads(run.evaluation.read_text())["data"] == "horses and zebras"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--data-x", "a"], "give --data, or both --data-x and --data-y"),
        (["--data-x", "a", "--data-y", "b", "--data", "demo"], "names the images of"),
        (["--data-x", "a", "--data-y", "b"], "There is no folder a; check the name."),
        (
            ["--data-x", "a", "--data-y", "b", "--direction", "BtoA"],
            "leave out --direction BtoA",
        ),
    ],
)
def test_folders_named_wrongly(arguments, sentence, capsys):
    assert cli.main(["train", *arguments, *SMALL]) == 2
    assert sentence in capsys.readouterr().err
