"""The command line: help at once, and a sentence for every mistake."""

import functools
import json
import os
import pathlib
import re
import shlex
import socket
import subprocess
import sys
import time
import urllib.request
from unittest import mock

import numpy as np
import pytest
import tiny
from command_line import fails

import cyclegan_tf
from cyclegan_tf.cli import main as cli
from cyclegan_tf.cli import parsing
from cyclegan_tf.cli.commands import COMMANDS
from cyclegan_tf.config.options import DatasetConfig, TrainConfig
from cyclegan_tf.config.presets import PRESETS
from cyclegan_tf.config.recipes import RECIPES
from cyclegan_tf.config.stored import from_dict
from cyclegan_tf.data import sources
from cyclegan_tf.images import write_image
from cyclegan_tf.photographs import PHOTOGRAPHS
from cyclegan_tf.runs.run import Run

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"


def run(arguments, cwd=None):
    return run_python(["-m", "cyclegan_tf", *arguments], cwd)


def run_python(arguments, cwd=None):
    env = {**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[2])}
    # Users do not set it.
    env.pop("TF_CPP_MIN_LOG_LEVEL", None)
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=env,
    )


def test_help_does_not_import_tensorflow():
    """The overview, and the help of every command."""
    script = """
import contextlib, io, sys
from cyclegan_tf.cli.commands import COMMANDS
from cyclegan_tf.cli.main import main
assert main([]) == main(["-h"]) == main(["--help"]) == 0
for command in COMMANDS:
    with contextlib.redirect_stdout(io.StringIO()) as text:
        try:
            main([command.verb, "--help"])
        except SystemExit as e:
            assert not e.code
    assert f"usage: cyclegan {command.verb}" in text.getvalue()
assert not {"tensorflow", "keras", "matplotlib", "apache_beam"} & set(sys.modules)
"""
    result = run_python(["-c", script])
    assert result.returncode == 0, result.stderr


def test_a_reader_that_has_read_enough_is_no_mistake():
    command = f"{sys.executable} -m cyclegan_tf models --all | true"
    result = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=pathlib.Path(__file__).parents[2],
    )
    assert "cannot be read or written" not in result.stderr
    assert "Traceback" not in result.stderr


def test_the_overview_groups_the_commands(capsys):
    assert cli.main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 90
    verbs = [line.split()[0] for line in lines if line.startswith("  ")]
    assert verbs == [
        *("train", "translate", "evaluate", "export", "serve", "models"),
        *("doctor", "plan", "report"),
        *("import", "export-pytorch", "inspect", "distill", "recipes", "demo"),
        "translate-beam",
    ]
    assert "  translate       Translate images with a trained generator." in lines
    assert sum(line.endswith(":") for line in lines) == 3


def test_each_command_that_ends_by_itself_names_the_next_one(capsys):
    # What comes after inspect depends on what it found.
    assert {each.verb for each in COMMANDS if not each.then} == {"serve", "inspect"}
    assert cli.main(["recipes"]) == 0
    printed = capsys.readouterr()
    assert printed.err == "Next: cyclegan recipes NAME\n"
    assert "Next:" not in printed.out
    assert "Next:" not in fails(capsys, "doctor", "absent")


# One that each command can parse; quotation marks must survive. Plan and a dry run of
# train are left out: they advise to type the same again.
TYPED = [
    "train --data demo --run-dir 'my run'",
    "translate photo2monet photo.jpg",
    "translate photo.jpg --pretrained photo2monet",
    "evaluate 'my run'",
    "export 'my run' --out 'my files'",
    "models",
    "models photo2monet",
    "doctor 'my data'",
    "report 'my run'",
    "import g.pth --out 'my g.keras'",
    "export-pytorch 'my run' --out 'my files'",
    "inspect photo2monet",
    "inspect pix2pix/latest_net_G.pth",
    "distill 'my run' --data photos --run-dir 'my student'",
    "recipes",
    *(f"recipes {name}" for name in (*RECIPES, *PRESETS)),
    "demo",
    "translate-beam 'my run' photos",
]


@pytest.mark.parametrize("typed", TYPED)
def test_what_to_type_next_can_be_typed(typed, monkeypatch):
    monkeypatch.chdir(GOLDEN)

    def parsed(line):
        verb, *arguments = shlex.split(line)
        command = cli._find(verb)
        return command, cli._parse(command, arguments)

    command, options = parsed(typed)
    # What comes after inspect depends on what it found.
    then = command.then(options) if command.then else command.function(options).then
    assert then.startswith("cyclegan ")
    parsed(then.removeprefix("cyclegan "))


def test_what_to_type_next_is_tried_of_all_commands():
    tried = {typed.split()[0] for typed in TYPED}
    assert tried | {"serve", "plan"} == {command.verb for command in COMMANDS}


@pytest.mark.parametrize(
    ("verb", "advice"),
    [
        ("trian", "did you mean train?"),
        ("export_pytorch", "did you mean export-pytorch?"),
        ("quux", "cyclegan --help lists all."),
    ],
)
def test_unknown_command(verb, advice, capsys):
    message = fails(capsys, verb, "--data", "demo")
    assert message == f"cyclegan: There is no command {verb}; {advice}"


def test_what_needs_no_tensorflow_does_not_import_it(tmp_path):
    tiny.write_domains(tmp_path, 2)
    script = f"""
import sys
from cyclegan_tf.cli.main import main
assert main(["recipes", "maps"]) == 0
assert main(["doctor", {str(tmp_path)!r}]) == 0
assert main(["plan", "--data", "demo", "--strategy", "multi-worker"]) == 2
assert not {{"tensorflow", "keras", "matplotlib"}} & set(sys.modules)
"""
    result = run_python(["-c", script])
    assert result.returncode == 0, result.stderr


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"cyclegan_tf {cyclegan_tf.__version__}\n"


def test_dry_run_prints_what_config_json_would_hold(tmp_path, capsys):
    small = ["--filters", "8", "--num-residual-blocks", "1"]
    arguments = ["--data", "demo", *small, "--no-flip", "--dry-run"]
    where = ["--run-dir", str(tmp_path / "run")]
    assert cli.main(["train", *arguments, *where]) == 0
    config = from_dict(TrainConfig, json.loads(capsys.readouterr().out))
    assert (config.networks.filters, config.dataset.flip) == (8, False)
    assert not (tmp_path / "run").exists()


def test_data_mistakes(tmp_path, capsys):
    def train(data, *options):
        """Return the message, which is that of a dry run."""
        where = ("--run-dir", tmp_path / "run")
        dry_run = fails(capsys, "train", "--data", data, "--dry-run", *where, *options)
        message = fails(capsys, "train", "--data", data, *where, *options)
        assert message == dry_run
        return message

    assert "There is no folder" in train(tmp_path / "absent")
    (tmp_path / "data/trainA").mkdir(parents=True)
    assert "There are no images in" in train(tmp_path / "data")
    tiny.write_domains(tmp_path / "data", 2, splits=("trainA",))
    assert "has no folder trainB" in train(tmp_path / "data")
    tiny.write_domains(tmp_path / "data", 2, splits=("trainB",))
    crop = ("--preprocess", "crop", "--crop-size", 64)
    assert "24x24 pixels, smaller than the crop" in train(tmp_path / "data", *crop)
    assert "smaller than the crop size" in train(tmp_path / "data", "--load-size", 9)
    unet = ("--generator", "unet", "--crop-size", 128)
    assert "multiples of 256" in train(tmp_path / "data", *unet)
    odd = tmp_path / "data/trainA/odd.png"
    write_image(odd, np.zeros((40, 24, 3), np.uint8))
    asis = ("--preprocess", "none", "--num-residual-blocks", 1, "--filters", 2)
    assert "use --pool-size 0" in train(tmp_path / "data", *asis)
    asis += ("--pool-size", 0)
    several = ("--batch-size", 2)
    assert "cannot form a batch of 2" in train(tmp_path / "data", *asis, *several)
    small = ("--load-size", 16, "--crop-size", 16, *asis[2:], "--evaluate-every", 1)
    features = ("--features", "absent")
    assert "no feature extractor" in train(tmp_path / "data", *small, *features)
    # Nothing was begun, so the folder is free for the next try.
    assert not (tmp_path / "run").exists()


def test_option_mistakes(tmp_path, capsys):
    def train(*options):
        where = ("--run-dir", tmp_path / "run")
        return fails(capsys, "train", "--data", "demo", *where, *options)

    assert "--batch-size must be at least 1, not 0" in train("--batch-size", 0)
    assert "num_layers must be from 1 to 5" in train("--num-layers", 9)
    assert "identity_weight must be 0" in train("--channels-x", 1)
    assert "--data" in fails(capsys, "train")


def test_unknown_tfds_config(tmp_path, capsys):
    where = ("--run-dir", tmp_path / "run")
    message = fails(capsys, "train", "--data", "tfds:cycle_gan/horse2cow", *where)
    assert "has no config 'horse2cow'" in message
    assert "apple2orange" in message and "vangogh2photo" in message
    message = fails(capsys, "train", "--data", "tfds:cycle_game/x", *where)
    assert "has no data set 'cycle_game'" in message


@pytest.mark.parametrize(
    "typed",
    [
        "train --recipe horse2zebra",
        "train --data tfds:cycle_gan/horse2zebra",
        "doctor tfds:cycle_gan/horse2zebra",
    ],
)
def test_a_recipe_without_a_network_is_a_sentence_soon(
    typed, tmp_path, capsys, monkeypatch
):
    # The network takes connections, and never answers.
    ask = functools.partial(sources._any_server_answers, seconds=0.5)
    asks = mock.Mock(wraps=ask)
    monkeypatch.setattr(sources, "_any_server_answers", asks)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setattr(urllib.request, "_opener", None)  # It remembers proxies.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        message = fails(capsys, *typed.split(), "--data-dir", tmp_path)
    assert 0.5 <= time.monotonic() - started < 15
    assert "--data FOLDER" in message
    asks.assert_called_once()


def test_folder_mistakes(tmp_path, capsys, monkeypatch):
    Run.create(tmp_path / "run", TrainConfig(DatasetConfig("demo")))
    taken = ("train", "--data", "demo", "--run-dir", tmp_path / "run")
    assert "already holds a run" in fails(capsys, *taken)
    resume = ("train", "--resume", tmp_path)
    assert "is not a run folder" in fails(capsys, *resume)
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path / "photos")
    Run.create(pathlib.Path("runs/photos"), TrainConfig(DatasetConfig(".")))
    assert "runs/photos already holds" in fails(capsys, "train", "--data", ".")
    both = ("train", "--resume", tmp_path / "run", "--run-dir", tmp_path / "other")
    assert "already names the run folder" in fails(capsys, *both)
    path = tmp_path / "run/config.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    resume = ("train", "--resume", tmp_path / "run")
    assert "has format 2" in fails(capsys, *resume)


def test_a_folder_that_cannot_be_made(tmp_path, capsys):
    (tmp_path / "file").touch()
    arguments = ("train", "--data", "demo", "--run-dir", tmp_path / "file/run")
    for options in ((), ("--dry-run",)):
        message = fails(capsys, *arguments, *options)
        assert f"because {tmp_path / 'file'} is not a folder to write to" in message
    arguments = ("report", "tests/golden/run", "--out", tmp_path / "file/report.html")
    assert "A file cannot be read or written" in fails(capsys, *arguments)


def test_tensorflow_says_nothing_of_a_unet(tmp_path):
    """Its optimizer stumbles over skip connections, on some processors."""
    photo = str(PHOTOGRAPHS[0])
    arguments = ["translate", "photo2monet", photo, "--size", "64"]
    result = run([*arguments, "--out", str(tmp_path / "out")])
    assert result.returncode == 0, result.stderr
    assert [line.split()[0] for line in result.stderr.splitlines()] == [
        *("Translating", "Scaled", "Next:"),
    ]


def test_a_mistake_is_a_single_line(tmp_path):
    result = run(["translate", "photo2monet", "absent.png"], cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("cyclegan: There is no file or folder absent.png")


@pytest.mark.parametrize(
    "typed",
    [
        "inspect photo2monet",
        "export photo2monet --for phone --image-size 64 64 --out out",
        "report RUN --images 1 --out report.html",
        "import RUN/../pix2pix/latest_net_G.pth --out g.keras",
        "evaluate RUN --images 2 --out scores.json",
    ],
)
def test_no_command_repeats_the_lines_of_tensorflow(typed, tmp_path):
    arguments = [word.replace("RUN", str(GOLDEN / "run")) for word in typed.split()]
    result = run(arguments, cwd=tmp_path)
    assert "Next: " in result.stderr
    noise = r"^[IWE]\d{4} |^WARNING|^INFO|oneDNN|cuda|XNNPACK|absl"
    assert not re.search(noise, result.stdout + result.stderr, re.MULTILINE)


def test_translate(tmp_path):
    """As a user types it: the direction first, files and folders, the output last."""
    folder = tmp_path / "runs/h2z"
    run_folder = Run.create(folder, TrainConfig(DatasetConfig("demo")))
    for direction in "gf":
        generator = cyclegan_tf.resnet_generator(2, 1)
        generator.save(run_folder.generator_path(direction))
    write_image(tmp_path / "photo.jpg", np.zeros((8, 8, 3), np.uint8))
    write_image(tmp_path / "folder/a.png", np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "runs/h2z").rename(tmp_path / "runs/my horses")
    arguments = ["translate", "runs/my horses", "--direction", "g"]
    inputs = ["photo.jpg", "folder/", "--out", "translated/"]
    result = run([*arguments, *inputs], cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "Translated 2 of 2 images" in result.stdout
    # TensorFlow is quiet.
    hardware, next_command = result.stderr.splitlines()
    assert hardware.startswith("Translating on ") and hardware.endswith(" in float32.")
    assert next_command == "Next: cyclegan serve 'runs/my horses'"
    written = sorted(path.name for path in (tmp_path / "translated").iterdir())
    assert written == [".lock", "a.png", "manifest.csv", "photo.jpg"]

    (tmp_path / "folder/b.png").write_bytes(b"damaged")
    result = run([*arguments, *inputs, "--overwrite"], cwd=tmp_path)
    assert result.returncode == 1
    assert "Translated 2 of 3 images" in result.stdout
    assert "Skipped: " in result.stdout and "b.png cannot be read" in result.stdout


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("lower `crop_size` first", "lower --crop-size first"),
        ("use `batch_size=1` or `flip=False`", "use --batch-size 1 or --no-flip"),
        ("with `overwrite=True`.", "with --overwrite."),
        (
            "a `tf.data.Dataset` and `x + y` stay",
            "a `tf.data.Dataset` and `x + y` stay",
        ),
    ],
)
def test_messages_name_flags(message, expected):
    assert parsing.as_flags(message) == expected
