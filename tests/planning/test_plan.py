"""A forecast beside the training that it forecasts, and what does not fit."""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys

import pytest
import tiny

import cyclegan_tf
from cyclegan_tf._shared import machine
from cyclegan_tf._shared.errors import TrainingStoppedError
from cyclegan_tf.cli import main as cli
from cyclegan_tf.config.options import DatasetConfig, TrainConfig
from cyclegan_tf.config.stored import from_dict
from cyclegan_tf.planning import plan as planning

OPTIONS = [
    *("--filters", "4", "--num-residual-blocks", "1", "--pool-size", "10"),
    *("--discriminator-filters", "4", "--num-layers", "1"),
    *("--load-size", "36", "--crop-size", "32"),
    *("--validation-images", "2", "--sample-images", "1", "--watchdog", "off"),
    *("--identity-weight", "0", "--constant-epochs", "2", "--decay-epochs", "0"),
]
GIGABYTE = 10**9
PYTHON = sys.executable
FORECAST = planning.Forecast(
    epochs=10,
    steps_per_epoch=100,
    first_step_done_seconds=16,
    step_seconds=2,
    epoch_seconds=220,
    total_seconds=2224,
    peak_bytes=4 * GIGABYTE,
    gpu_peak_bytes=0,
    disk_bytes=GIGABYTE,
)

# What the system says is the most memory that the process has had.
TRAIN = """
import sys
from cyclegan_tf.cli.main import main
from cyclegan_tf._shared.machine import peak_memory
assert main(["train", *sys.argv[1:]]) == 0
print(peak_memory())
"""

# A plan that ends with its signals as the command does, with a trial of our own.
PLAN = """
import sys
from cyclegan_tf.cli.main import main
sys.executable = sys.argv[1]
sys.exit(main(["plan", "--data", "demo"]))
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
    # While the next checkpoint is written there are three.
    checkpoints = list(run_dir.glob("checkpoints/*"))
    most = size(run_dir) + (3 - len(checkpoints)) * size(checkpoints[0])
    assert needs["disk_bytes"] == pytest.approx(most, rel=0.25)


@pytest.fixture
def trial(monkeypatch):
    """Nothing is trained: the trial found what `FORECAST` says."""
    monkeypatch.setattr(planning, "_run_trial", lambda config: FORECAST)
    monkeypatch.setattr(machine, "total_memory", lambda: 16 * GIGABYTE)
    monkeypatch.setattr(machine, "free_memory", lambda: 8 * GIGABYTE)
    monkeypatch.setattr(machine, "free_disk", lambda path: 100 * GIGABYTE)


def plan(capsys, *options):
    code = cli.main(["plan", "--data", "demo", *options])
    return code, capsys.readouterr().out


def test_it_fits(trial, capsys):
    code, text = plan(capsys)
    assert code == 0 and text.endswith("It fits.\n")
    assert "| 16.0 GB, 8.0 GB free " in text and "10 epochs of 100 steps" in text
    assert "37.1 minutes" in text and "GPU" not in text


def test_memory_of_a_gpu(trial, monkeypatch, capsys):
    needs = dataclasses.replace(FORECAST, gpu_peak_bytes=5 * GIGABYTE)
    monkeypatch.setattr(planning, "_run_trial", lambda config: needs)
    code, text = plan(capsys)
    assert code == 0 and "| peak memory of a GPU | 5.0 GB " in text


def test_too_little_memory(trial, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(machine, "total_memory", lambda: 3 * GIGABYTE)
    code, text = plan(
        capsys, "--batch-size", "4", "--json", str(tmp_path / "plan.json")
    )
    assert code == 1 and "It fits." not in text
    assert "It does not fit. It needs 4.0 GB of memory; there are 3.0 GB." in text
    for way in ("--crop-size (256)", "--batch-size (4)", "--precision mixed_bfloat16"):
        assert way in text
    content = json.loads((tmp_path / "plan.json").read_text())
    assert not content["fits"] and len(content["shortages"]) == 1
    assert content["config"]["optimization"]["batch_size"] == 4
    # What is done already is not advised.
    done = ("--precision", "mixed_bfloat16", "--preprocess", "none", "--cache-gb", "0")
    _, text = plan(capsys, *done)
    assert "bfloat16" not in text and "--crop-size" not in text
    assert "--batch-size" not in text and "--cache-gb" not in text


def test_the_ways_out_are_options_that_there_are(trial, monkeypatch, capsys):
    monkeypatch.setattr(machine, "total_memory", lambda: 0)
    monkeypatch.setattr(machine, "free_disk", lambda path: 0)
    code, text = plan(capsys, "--batch-size", "2")
    named = set(re.findall(r"--[a-z-]+[a-z]", text))
    assert code == 1 and named > {"--remat", "--accumulate", "--run-dir"}
    with pytest.raises(SystemExit):
        cli.main(["plan", "--help"])
    assert named <= set(re.findall(r"--[a-z-]+[a-z]", capsys.readouterr().out))


def test_too_little_disk(trial, monkeypatch, capsys):
    monkeypatch.setattr(machine, "free_disk", lambda path: 100)
    code, text = plan(capsys, "--run-dir", "/there")
    assert code == 1 and "1.0 GB on the disk of /there; there are 0.0 MB" in text


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Puts a shell script in place of the trial, whose folder is its $3."""

    def write(lines):
        python = tmp_path / "python"
        python.write_text(f"#!/bin/sh\n{lines}\n")
        python.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(python))
        return python

    return write


@pytest.mark.parametrize("number", ["KILL", "ABRT"])
def test_the_first_steps_are_killed_for_memory(number, script, capsys, tmp_path):
    script(f"kill -{number} $$")
    before = signal.getsignal(signal.SIGTERM)
    code, text = plan(capsys, "--json", str(tmp_path / "plan.json"))
    assert code == 1 and "It does not fit. The first steps ran out of memory" in text
    assert "--crop-size" in text
    assert json.loads((tmp_path / "plan.json").read_text())["forecast"] is None
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_first_steps_say_that_memory_ran_out(script, capsys):
    script("""echo '{"forecast": null}' > $3/outcome.json""")
    code, text = plan(capsys)
    assert code == 1 and "The first steps ran out of memory" in text


def test_a_loss_is_not_finite(script, tmp_path):
    script("""echo '{"stopped": "cycle_loss became nan"}' > $3/outcome.json""")
    config = TrainConfig(DatasetConfig("demo"))
    with pytest.raises(TrainingStoppedError, match="cycle_loss became nan"):
        planning.plan_training(config, tmp_path / "run")


def test_a_fault_of_the_trial_is_not_hidden(script, tmp_path):
    script("exit 3")
    config = TrainConfig(DatasetConfig("demo"))
    with pytest.raises(RuntimeError, match="exit code 3"):
        planning.plan_training(config, tmp_path / "run")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_trial_and_leaves_nothing(number, script, tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    started, ready = tmp_path / "started", tmp_path / "ready"
    python = script(f"echo $$ > {started}; mv {started} {ready}; exec sleep 60")
    process = subprocess.Popen(
        [PYTHON, "-c", PLAN, str(python)],
        env={**os.environ, "TMPDIR": str(temporary)},
        stderr=subprocess.PIPE,
        text=True,
    )
    tiny.wait_until(ready.exists)
    assert list(temporary.iterdir())
    process.send_signal(number)
    assert "interrupted" in process.communicate(timeout=30)[1]
    assert process.returncode == cli.EXIT_INTERRUPTED
    assert not list(temporary.iterdir())
    with pytest.raises(ProcessLookupError):
        os.kill(int(ready.read_text()), 0)


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
    # As on a machine with a network; nothing is downloaded.
    answers = "cyclegan_tf.data.sources._any_server_answers"
    monkeypatch.setattr(answers, lambda urls: True)
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
        (["--resume", "runs/h2z"], "new runs only; remove --resume runs/h2z"),
    ],
)
def test_mistakes(arguments, message, capsys, tmp_path, monkeypatch):
    (tmp_path / "taken/file").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["plan", *arguments]) == 2
    assert message in capsys.readouterr().err
