"""A forecast beside the training that it forecasts, and what does not fit."""

import json
import os
import re
import subprocess
import sys
import time

import keras
import pytest
import tensorflow as tf
import tiny
from measurements import MEASURED

import cyclegan_tf
from cyclegan_tf._shared import machine
from cyclegan_tf.cli import main as cli
from cyclegan_tf.config.options import DatasetConfig, TrainConfig
from cyclegan_tf.config.stored import from_dict
from cyclegan_tf.planning import plan as planning
from cyclegan_tf.planning.trial import Stopwatch, end_with_parent

OPTIONS = [
    *("--filters", "4", "--num-residual-blocks", "1", "--pool-size", "10"),
    *("--discriminator-filters", "4", "--num-layers", "1"),
    *("--load-size", "36", "--crop-size", "32"),
    *("--validation-images", "2", "--sample-images", "1", "--watchdog", "off"),
    *("--identity-weight", "0", "--constant-epochs", "2", "--decay-epochs", "0"),
]
GIGABYTE = 10**9

# What the system says is the most memory that the process has had.
TRAIN = """
import sys
from cyclegan_tf.cli.main import main
from cyclegan_tf._shared.machine import peak_memory
assert main(["train", *sys.argv[1:]]) == 0
print(peak_memory())
"""


@pytest.fixture(autouse=True)
def no_earlier_run(tmp_path, monkeypatch):
    """Elsewhere than where `make demo` may have left runs/demo."""
    monkeypatch.chdir(tmp_path)


def size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_memory_and_disk_are_those_of_the_training(tmp_path, capsys):
    data = tiny.write_domains(tmp_path / "data", 5, side=48)
    run_dir, file = tmp_path / "run", tmp_path / "plan.json"
    arguments = ["--data", str(data), "--run-dir", str(run_dir), *OPTIONS]
    assert cli.main(["plan", *arguments, "--json", str(file)]) == 0
    printed = capsys.readouterr().out
    assert "2 epochs of 5 steps" in printed and "It fits." in printed
    assert not run_dir.exists()
    needs = json.loads(file.read_text())["forecast"]
    assert 0 < needs["step_seconds"] < needs["epoch_seconds"] < needs["total_seconds"]

    done = subprocess.run(
        [sys.executable, "-c", TRAIN, *arguments],
        check=True,
        capture_output=True,
        text=True,
    )
    peak = int(done.stdout.splitlines()[-1])
    assert needs["peak_bytes"] == pytest.approx(peak, rel=0.25)
    # At most: the newest checkpoint may be the best, too.
    checkpoints = len(list(run_dir.glob("checkpoints/*")))
    missing = (2 - checkpoints) * needs["writing_bytes"]
    assert needs["disk_bytes"] - missing == pytest.approx(size(run_dir), rel=0.25)


def test_the_stopwatch_ends_epochs_early_and_times_their_parts():
    class Model(keras.Model):
        steps = 0

        def train_step(self, data):
            self.steps += 1
            return {"generator_loss": tf.zeros(())}

    class EverySecondEpoch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch % 2:
                logs["eval_g_kid"] = 0.0

    class Saving(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            time.sleep(0.1)

    model = Model()
    model.compile(run_eagerly=True)
    stopwatch = Stopwatch(time.time(), epochs=4, steps=2, seconds_of_steps=0, seconds=0)
    callbacks = [EverySecondEpoch(), stopwatch, Saving()]
    data = tiny.dataset().repeat()
    fit = {"epochs": 100, "steps_per_epoch": 50, "shuffle": False, "verbose": 0}
    model.fit(data, **fit, callbacks=callbacks)
    assert model.steps == len(stopwatch.step_seconds) == 4 * 2
    assert len(stopwatch.plain_ends) == len(stopwatch.evaluated_ends) == 2
    assert len(stopwatch.save_seconds) == 4
    ends = [*stopwatch.plain_ends, *stopwatch.evaluated_ends]
    assert min(ends) >= min(stopwatch.save_seconds) >= 0.1
    assert stopwatch.start_seconds > 0 and min(stopwatch.step_seconds) > 0


@pytest.fixture
def calibrated(monkeypatch):
    """Nothing is trained: the steps took what `MEASURED` says."""
    monkeypatch.setattr(planning, "_calibrate", lambda config: MEASURED)
    monkeypatch.setattr(machine, "total_memory", lambda: 16 * GIGABYTE)
    monkeypatch.setattr(machine, "free_memory", lambda: 8 * GIGABYTE)
    monkeypatch.setattr(machine, "free_disk", lambda path: 100 * GIGABYTE)


def plan(capsys, *options):
    code = cli.main(["plan", "--data", "demo", *options])
    return code, capsys.readouterr().out


def test_it_fits(calibrated, capsys):
    code, text = plan(capsys)
    assert code == 0 and text.endswith("It fits.\n")
    assert "| 16.0 GB " in text and "10 epochs of 100 steps" in text


def test_too_little_memory(calibrated, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(machine, "total_memory", lambda: 3000)
    code, text = plan(
        capsys, "--batch-size", "4", "--json", str(tmp_path / "plan.json")
    )
    assert code == 1
    assert "It does not fit. It needs 0.0 MB of memory" in text
    for way in ("--crop-size below 256", "--batch-size below 4", "mixed_bfloat16"):
        assert way in text
    content = json.loads((tmp_path / "plan.json").read_text())
    assert not content["fits"] and len(content["shortages"]) == 1
    assert content["config"]["optimization"]["batch_size"] == 4
    # What is done already is not advised.
    done = ("--precision", "mixed_bfloat16", "--preprocess", "none", "--cache-gb", "0")
    _, text = plan(capsys, *done)
    assert "bfloat16" not in text and "--crop-size" not in text
    assert "--batch-size" not in text and "--cache-gb" not in text


def test_the_ways_out_are_options_that_there_are(calibrated, monkeypatch, capsys):
    monkeypatch.setattr(machine, "total_memory", lambda: 0)
    monkeypatch.setattr(machine, "free_disk", lambda path: 0)
    code, text = plan(capsys, "--batch-size", "2")
    named = set(re.findall(r"--[a-z-]+[a-z]", text))
    assert code == 1 and named > {"--remat", "--accumulate", "--run-dir"}
    with pytest.raises(SystemExit):
        cli.main(["plan", "--help"])
    assert named <= set(re.findall(r"--[a-z-]+[a-z]", capsys.readouterr().out))


def test_memory_that_others_hold(calibrated, monkeypatch, capsys):
    monkeypatch.setattr(machine, "free_memory", lambda: 1000)
    code, text = plan(capsys)
    assert code == 0 and "It fits." in text and "end other programs" in text


def test_too_little_disk(calibrated, monkeypatch, capsys):
    monkeypatch.setattr(machine, "free_disk", lambda path: 100)
    code, text = plan(capsys, "--run-dir", "/there")
    assert code == 1 and "on the disk of /there" in text and "--sample-images" in text


def test_the_first_steps_are_killed_for_memory(monkeypatch, capsys, tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nkill -KILL $$\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    code, text = plan(capsys, "--json", str(tmp_path / "plan.json"))
    assert code == 1 and "already need more memory than this machine" in text
    assert json.loads((tmp_path / "plan.json").read_text())["forecast"] is None


def test_it_takes_the_options_of_train(monkeypatch, capsys, tmp_path):
    planned = []

    def plan_training(config, run_dir):
        planned.append((config, run_dir))
        return planning.Plan(config, run_dir, None, 0, 0, 0)

    monkeypatch.setattr(cyclegan_tf, "plan_training", plan_training)
    options = ["--recipe", "maps", "--preset", "paper", "--filters", "8"]
    cli.main(["plan", *options])
    (config, run_dir) = planned[0]
    assert run_dir.as_posix() == "runs/maps"
    capsys.readouterr()
    cli.main(["train", *options, "--dry-run"])
    dry_run = json.loads(capsys.readouterr().out)
    assert from_dict(TrainConfig, dry_run) == config


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "absent"], "There is no folder absent; --data takes a folder"),
        (["--data", "demo", "--batch-size", "0"], "--batch-size must be at least 1"),
        (["--data", "demo", "--run-dir", "taken"], "taken is not empty"),
        (["--data", "demo", "--strategy", "multi-worker"], "--strategy mirrored"),
        (["--resume", "runs/h2z"], "new runs only; leave out --resume runs/h2z"),
    ],
)
def test_mistakes(arguments, message, capsys, tmp_path, monkeypatch):
    (tmp_path / "taken/file").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["plan", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_no_room_for_the_first_steps(monkeypatch, tmp_path):
    """What the training says of its folder would name one that the user never saw."""
    python = tmp_path / "python"
    outcome = json.dumps({"wrong_input": "It cannot be written to $3/run."})
    python.write_text(f"#!/bin/sh\ncat > $3/outcome.json <<END\n{outcome}\nEND\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    config = TrainConfig(DatasetConfig("demo"))
    with pytest.raises(planning.InputError, match="environment variable TMPDIR"):
        planning.plan_training(config, tmp_path / "run")


def test_the_first_steps_end_with_who_asked_for_them(monkeypatch):
    codes = []
    monkeypatch.setattr(os, "_exit", codes.append)
    reading, writing = os.pipe()
    with os.fdopen(reading) as pipe:
        end_with_parent(pipe)
        time.sleep(0.1)
        assert not codes
        os.close(writing)
        tiny.wait_until(lambda: codes == [1])
