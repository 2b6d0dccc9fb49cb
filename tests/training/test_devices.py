"""Two real processes on one machine train as one would, and end together."""

import json
import signal
import socket
import time

import pytest
import tensorflow as tf
import tiny
from processes import Program

from cyclegan_tf.cli import main as cli
from cyclegan_tf.models.cyclegan import CycleGAN
from cyclegan_tf.runs.run import Run
from cyclegan_tf.training import devices

OPTIONS = [
    *("--filters", "2", "--num-residual-blocks", "1", "--pool-size", "3"),
    *("--discriminator-filters", "2", "--num-layers", "1"),
    *("--load-size", "20", "--crop-size", "16", "--batch-size", "4"),
    *("--validation-images", "4", "--sample-images", "1"),
    *("--constant-epochs", "3", "--decay-epochs", "0"),
    # With a large epsilon Adam does not make full steps of what is only rounding, as
    # the gradient of a bias before an instance norm is. The rate is low because the
    # gradient of |a - b| is a sign, which rounding turns where a and b are close: one
    # such pixel moved weights by 2.5e-5 at ten times this rate.
    *("--learning-rate", "1e-4", "--epsilon", "1.0"),
]
STEPS_PER_EPOCH = 5
STEPS = 3 * STEPS_PER_EPOCH


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    tiny.write_domains(folder, 4 * STEPS_PER_EPOCH, splits=("trainA",))
    return tiny.write_domains(folder, 4, splits=("trainB", "testA", "testB"))


def free_addresses(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    addresses = [f"127.0.0.1:{item.getsockname()[1]}" for item in sockets]
    for item in sockets:
        item.close()
    return addresses


def start(folders, *arguments):
    """Begin a training with a worker in each of the folders."""
    addresses = free_addresses(len(folders))
    workers = []
    for index, folder in enumerate(folders):
        config = {
            "cluster": {"worker": addresses},
            "task": {"type": "worker", "index": index},
        }
        workers.append(
            Program(
                folder.parent / f"log-{addresses[index]}",
                *("train", *arguments),
                cwd=folder,
                environment={"TF_CONFIG": json.dumps(config)},
            )
        )
    return workers


def wait_for_step(workers, run_dir, step):
    def reached():
        for worker in workers:
            assert worker.is_running, worker.end()
        folders = sorted((run_dir / "checkpoints").glob("step-*"))
        return bool(folders) and int(folders[-1].name.removeprefix("step-")) >= step

    tiny.wait_until(reached, seconds=300)


def end_of(worker):
    """Return its exit code and what it said; it has a minute."""
    code, said = worker.end(60)
    assert "Traceback" not in said
    return code, said


def records(run_dir):
    lines = (run_dir / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_two_workers_equal_one_through_death_and_resume(folder, tmp_path, eagerly):
    """Lost, stopped and gone on with, they end where one process ends.

    The same global batches, the image pool on: its history is shared as well.
    """
    chief_folder, other_folder = tmp_path / "chief", tmp_path / "other"
    chief_folder.mkdir()
    other_folder.mkdir()
    run_dir = chief_folder / "run"
    new = ("--data", folder, *OPTIONS, "--checkpoint-minutes", "0")
    new += ("--strategy", "multi-worker", "--run-dir", "run")

    # A relative run folder is another one for the other worker, which writes nothing.
    chief, other = workers = start([chief_folder, other_folder], *new)
    wait_for_step(workers, run_dir, STEPS_PER_EPOCH + 1)
    other.send(signal.SIGKILL)
    began = time.monotonic()
    code, errors = end_of(chief)
    assert code == 3
    assert "Another worker has ended or cannot be reached" in errors
    assert "start all workers again with --resume run" in errors
    assert time.monotonic() - began < 60
    assert end_of(other)[0] == -signal.SIGKILL
    assert not list(other_folder.iterdir())

    # Both go on, and stop together after one of them is asked to.
    reached = Run(run_dir).step
    workers = start([chief_folder, chief_folder], "--resume", "run")
    wait_for_step(workers, run_dir, reached + 2)
    workers[1].send(signal.SIGTERM)
    ends = [end_of(worker) for worker in workers]
    assert [code for code, _ in ends] == [130, 130]
    assert f"Resuming after step {reached}." in ends[0][1]
    assert reached + 2 <= Run(run_dir).step < STEPS

    # One process goes on to the end.
    resume = ["train", "--resume", str(run_dir), "--strategy", "single"]
    resume += ["--checkpoint-minutes", "10"]
    assert cli.main(resume) == 0
    one_dir = tmp_path / "one"
    assert (
        cli.main(["train", "--data", str(folder), "--run-dir", str(one_dir), *OPTIONS])
        == 0
    )
    two, one = Run(run_dir), Run(one_dir)
    assert two.step == one.step == STEPS
    two_model, one_model = (run.checkpoints.load_newest()[1] for run in (two, one))
    assert int(two_model.pool_x.num_seen.numpy()) == 4 * STEPS
    for name in CycleGAN.network_names:
        networks = getattr(two_model, name), getattr(one_model, name)
        assert tiny.largest_difference(*networks) < 1e-5, name
    # Images of such networks: 23 times as far apart, where a pixel's sign had turned.
    assert tiny.largest_difference(two_model.pool_x, one_model.pool_x) < 1e-3
    for found, expected in zip(records(run_dir), records(one_dir), strict=True):
        assert found["step"] == expected["step"]
        for name, value in expected.items():
            if name.startswith("val_"):
                assert found[name] == pytest.approx(value, rel=1e-4), name
    first, *_, last = records(one_dir)
    # Or the weights would be equal for want of training.
    assert first["val_generator_loss"] - last["val_generator_loss"] > 1e-3


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, "needs the environment variable TF_CONFIG"),
        ("{", "TF_CONFIG must be like"),
        pytest.param("[" * 100_000, "TF_CONFIG must be like", id="deep"),
        ("[]", "TF_CONFIG must be like"),
        (
            '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
            "TF_CONFIG must be like",
        ),
        (
            '{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, '
            '"task": {"type": "ps", "index": 0}}',
            "with jobs named worker or chief",
        ),
        (
            '{"cluster": {"worker": ["a"]}, "task": {"type": "worker", "index": 0}}',
            "TF_CONFIG must be like",
        ),
    ],
)
def test_a_missing_or_malformed_tf_config(
    config, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if config is not None:
        monkeypatch.setenv("TF_CONFIG", config)
    where = ["--data", "demo", "--run-dir", str(tmp_path / "run")]
    assert cli.main(["train", *where, "--strategy", "multi-worker"]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_workers_must_connect_first(tmp_path, monkeypatch, capsys):
    """In a process that has used TensorFlow, as this one has."""
    tiny.cyclegan()
    addresses = free_addresses(2)
    config = {
        "cluster": {"worker": addresses},
        "task": {"type": "worker", "index": 0},
    }
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    where = ["--data", "demo", "--run-dir", str(tmp_path / "run")]
    assert cli.main(["train", *where, "--strategy", "multi-worker"]) == 2
    assert "before TensorFlow computes anything" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"avx512f", "avx512_bf16"}, "mixed_bfloat16"),
        ({"avx512f", "amx_bf16"}, "mixed_bfloat16"),
        ({"avx512f"}, "float32"),
        (set(), "float32"),
    ],
)
def test_processors(flags, expected, monkeypatch):
    monkeypatch.setattr(devices, "processor_flags", lambda: flags)
    assert devices.fastest_precision() == expected


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ([(9, 0)], "mixed_bfloat16"),
        ([(8, 0), (7, 5)], "float32"),
        ([None], "float32"),
    ],
)
def test_gpus(capabilities, expected, monkeypatch):
    monkeypatch.setattr(
        tf.config, "list_physical_devices", lambda kind: list(capabilities)
    )
    monkeypatch.setattr(
        tf.config.experimental,
        "get_device_details",
        lambda gpu: {"compute_capability": gpu} if gpu else {},
    )
    assert devices.fastest_precision() == expected
