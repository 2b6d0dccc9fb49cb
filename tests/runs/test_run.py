"""The run folder."""

import dataclasses
import errno
import json
import os
import shutil
import subprocess
import sys

import keras
import pytest
import tiny

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf._shared.files import temporary_name
from cyclegan_tf.config.options import (
    DatasetConfig,
    NetworkConfig,
    OptimizationConfig,
    TrainConfig,
)
from cyclegan_tf.config.stored import from_dict, to_dict
from cyclegan_tf.runs.checkpoints import Position
from cyclegan_tf.runs.run import Run

CONFIG = TrainConfig(DatasetConfig("demo"))


@pytest.fixture
def run(tmp_path):
    return Run.create(tmp_path / "run", CONFIG)


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    model = tiny.cyclegan(pool_size=2)
    model.compile(run_eagerly=True)
    model.fit(tiny.dataset(2), verbose=0)
    return model


def steps(run):
    return [position.step for position in run.checkpoints.positions().values()]


def test_config_round_trip(run):
    assert Run(run.folder).config == CONFIG
    content = json.loads((run.folder / "config.json").read_text())
    assert {"cyclegan_tf", "tensorflow", "keras"} <= content["versions"].keys()


def test_config_values_are_checked():
    values = to_dict(CONFIG)
    assert from_dict(TrainConfig, values) == CONFIG
    values["networks"]["norm"] = "layer"
    with pytest.raises(InputError, match="norm cannot be 'layer'"):
        from_dict(TrainConfig, values)
    values["networks"] = {"filters": "many"}
    with pytest.raises(InputError, match="filters cannot be 'many'"):
        from_dict(TrainConfig, values)
    with pytest.raises(InputError, match="unknown option 'blocks'"):
        from_dict(NetworkConfig, {"blocks": 9})
    with pytest.raises(InputError, match="incomplete"):
        from_dict(TrainConfig, {})


def test_a_folder_in_use_is_refused(run, tmp_path):
    with pytest.raises(InputError, match="already holds a run.*`resume="):
        Run.create(run.folder, CONFIG)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/file").touch()
    with pytest.raises(InputError, match="is not empty"):
        Run.create(tmp_path / "other", CONFIG)
    with pytest.raises(InputError, match="is not a run folder"):
        Run(tmp_path / "other")


def test_another_process_is_kept_out(run):
    script = f"""
from pathlib import Path
from cyclegan_tf.runs.run import Run
with Run(Path({str(run.folder)!r})).locked():
    pass
"""
    command = [sys.executable, "-c", script]
    with run.locked():
        refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Another process is training in" in refused.stderr
    subprocess.run(command, check=True)


def test_another_version_or_damage(run):
    path = run.folder / "config.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"format": 99}))
    with pytest.raises(InputError, match="has format 99"):
        Run(run.folder)
    for damaged in ("{", "[" * 100_000):
        path.write_text(damaged)
        with pytest.raises(InputError, match="cannot be read as the options of a run"):
            Run(run.folder)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("config", value) for value in (5, [], None, {}, {"dataset": 3})),
        *(("versions", value) for value in (5, ["1.0"], "1.0")),
        ("format", None),
        *(("networks", value) for value in (3, [1], "resnet")),
        *(("objective", value) for value in (3, {"method": []})),
        ("optimization", {"learning_rate": 10**400}),
        ("record", {"keep_best": {}}),
    ],
    ids=lambda value: str(value)[:20],
)
def test_options_of_another_shape(name, value, run):
    path = run.folder / "config.json"
    content = json.loads(path.read_text())
    place = content if name in content else content["config"]
    place[name] = value
    path.write_text(json.dumps(content))
    with pytest.raises(InputError):
        Run(run.folder)


def test_options_may_change_but_not_the_networks(run):
    longer = dataclasses.replace(
        CONFIG, optimization=OptimizationConfig(decay_epochs=300)
    )
    run.check_change(longer)
    run.change_config(longer)
    assert Run(run.folder).config == longer
    wider = dataclasses.replace(CONFIG, networks=NetworkConfig(filters=32))
    with pytest.raises(InputError, match="networks with filters=64.*filters=32"):
        run.check_change(wider)


def test_checkpoints_keep_the_newest_and_the_best(run, model):
    for step, score in [(10, 0.5), (20, 0.3), (30, 0.4), (35, None), (40, 0.6)]:
        run.save_checkpoint(model, Position(step, 10, score))
        assert run.generator_path("g").is_file()
    assert steps(run) == [20, 40]


def test_older_checkpoints_stay_until_the_new_one_is_on_the_disk(
    run, model, monkeypatch
):
    run.save_checkpoint(model, Position(1, 1))

    def fail(descriptor):
        raise OSError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(InputError, match="power cut"):
            run.save_checkpoint(model, Position(2, 1))
    assert steps(run) == [1]
    run.save_checkpoint(model, Position(3, 1))
    assert steps(run) == [3]


def test_restore_brings_everything_back(run, model):
    run.save_checkpoint(model, Position(1, 1, 0.5))
    other = tiny.cyclegan(pool_size=2)
    other.compile(run_eagerly=True)
    other.build_for(*[(None, 16, 16, 3)] * 2)
    assert run.restore(other) == Position(1, 1, 0.5)
    assert tiny.largest_difference(model, other) == 0.0
    for part in ("generator_optimizer", "discriminator_optimizer"):
        for a, b in zip(getattr(model, part).variables, getattr(other, part).variables):
            assert (a.numpy() == b.numpy()).all()
    model.fit(tiny.dataset(), verbose=0)
    other.fit(tiny.dataset(), verbose=0)
    assert tiny.largest_difference(model, other) == 0.0


def test_restore_without_checkpoint(run, model):
    assert run.restore(model) is None


def test_restore_drops_what_came_after(run, model):
    run.save_checkpoint(model, Position(10, 10, 0.5))
    deep = "[" * 100_000
    run.metrics.write_text('{"step": 10}\n[]\n' + deep + '\n{"step": 20}\n{"st')
    leftover = run.folder / "checkpoints" / temporary_name("step-00000020")
    leftover.mkdir()
    (leftover / "model.keras").touch()
    run.restore(model)
    assert run.metrics.read_text() == '{"step": 10}\n'
    assert not leftover.exists()


def test_another_architecture(run, model):
    run.save_checkpoint(model, Position(1, 1))
    wider = tiny.cyclegan(filters=6, pool_size=2)
    wider.compile()
    wider.build_for(*[(None, 16, 16, 3)] * 2)
    with pytest.raises(InputError, match="does not fit the given options"):
        run.restore(wider)


@pytest.mark.parametrize(
    ("name", "content"),
    [("model.keras", ""), ("state.json", "{"), ("state.json", "{}")],
)
def test_a_damaged_checkpoint(run, model, name, content):
    run.save_checkpoint(model, Position(10, 10, 0.5))
    run.save_checkpoint(model, Position(20, 10, 0.6))
    damaged = run.folder / "checkpoints/step-00000020"
    (damaged / name).write_text(content)
    with pytest.raises(InputError, match=f"{damaged} cannot be read as .*; remove it"):
        run.restore(model)
    shutil.rmtree(damaged)
    assert run.restore(model).step == 10


def test_generators_that_could_not_be_written_are_when_the_run_goes_on(
    run, model, monkeypatch
):
    run.save_checkpoint(model, Position(10, 10, 0.5))
    old = run.generator_path("g").read_bytes()
    model.fit(tiny.dataset(2), verbose=0)

    def save(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(model.generator_g, "save", save)
        with pytest.raises(InputError, match="Step 20 cannot be written.*No space"):
            run.save_checkpoint(model, Position(20, 10, 0.4))
        assert run.generator_path("g").read_bytes() == old
        with pytest.raises(InputError, match="Step 20 cannot be written.*No space"):
            run.restore(model)
    assert run.restore(model).step == 20
    for folder in (run.folder, run.folder / "best"):
        written = keras.saving.load_model(folder / "generator_g.keras")
        assert tiny.largest_difference(written, model.generator_g) == 0.0


def test_a_full_disk_spares_the_last_good_checkpoint(run, model, monkeypatch):
    run.save_checkpoint(model, Position(10, 10, 0.5))

    def save(path):
        path.write_bytes(b"the first half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(model, "save", save)
    with pytest.raises(InputError, match="No space left.*step-00000010.*are untouched"):
        run.save_checkpoint(model, Position(20, 10, 0.5))
    assert steps(run) == [10]
    assert len(list((run.folder / "checkpoints").iterdir())) == 1
    assert run.restore(model).step == 10
