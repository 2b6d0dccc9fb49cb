"""The times of a real fit, and the forecast from them by hand."""

import dataclasses
import time

import keras
import pytest
import tensorflow as tf
import tiny

from cyclegan_tf.config.options import (
    DatasetConfig,
    OptimizationConfig,
    RecordConfig,
    TrainConfig,
)
from cyclegan_tf.planning.trial import Stopwatch, forecast

CONFIG = TrainConfig(
    DatasetConfig("demo"), optimization=OptimizationConfig(constant_epochs=10)
)


def test_the_stopwatch_cuts_epochs_short_and_times_their_parts():
    class Model(keras.Model):
        steps = 0

        def train_step(self, data):
            self.steps += 1
            return {"generator_loss": tf.zeros(())}

    class Saving(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            time.sleep(0.1)

    model = Model()
    model.compile(run_eagerly=True)
    watch = Stopwatch(time.time() - 7, seconds=0)
    fit = {"epochs": 3, "steps_per_epoch": 50, "shuffle": False, "verbose": 0}
    model.fit(tiny.dataset().repeat(), **fit, callbacks=[watch, Saving()])
    assert model.steps == 3 * 2 == 1 + len(watch.steps)
    assert watch.first_step_done > 7 and min(watch.steps) > 0
    assert len(watch.ends) == 3 and min(watch.ends) >= 0.1


def test_epochs_last_for_the_seconds_of_the_stopwatch():
    class Model(keras.Model):
        steps = 0

        def train_step(self, data):
            self.steps += 1
            time.sleep(0.02)
            return {"generator_loss": tf.zeros(())}

    model = Model()
    model.compile(run_eagerly=True)
    watch = Stopwatch(time.time(), seconds=0.3)
    fit = {"epochs": 2, "steps_per_epoch": 50, "shuffle": False, "verbose": 0}
    model.fit(tiny.dataset().repeat(), **fit, callbacks=[watch])
    assert 2 * 2 < model.steps < 2 * 50
    assert sum(watch.steps) == pytest.approx(2 * 0.3, abs=0.3)


@pytest.fixture
def run_dir(tmp_path):
    """What two epochs may have written: files of round sizes."""
    for name, size in {
        "checkpoints/step-00000004/model.keras": 500,
        "checkpoints/step-00000004/state.json": 1,
        "generator_g.keras": 30,
        "generator_f.keras": 40,
        "best/generator_g.keras": 30,
        "samples/epoch-0001.png": 6,
        "samples/epoch-0002.png": 7,
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(size))
    return tmp_path


def watch(*ends):
    """First step after 16 seconds, later ones of 2, epochs of 100 steps."""
    result = Stopwatch(0)
    result.set_params({"steps": 100})
    result.first_step_done, result.steps, result.ends = 16, [1, 3], list(ends)
    return result


def test_forecast(run_dir):
    needs = forecast(watch(30, 20), CONFIG, run_dir)
    assert (needs.epochs, needs.steps_per_epoch) == (110, 100)
    assert needs.first_step_done_seconds == 16
    assert needs.step_seconds == 2
    assert needs.epoch_seconds == 100 * 2 + 20
    assert needs.total_seconds == 16 + (110 * 100 - 1) * 2 + 30 + 109 * 20
    # The newest checkpoint, the best and the next; generators of two; pictures.
    assert needs.disk_bytes == 3 * 500 + 2 * (30 + 40) + 110 * 3 * 7
    assert needs.peak_bytes > 10**8 and needs.gpu_peak_bytes == 0


@pytest.mark.parametrize(
    ("every", "evaluations"),
    [
        (1, 60 + 109 * 40),
        (10, 60 + 10 * 40),
        (50, 60 + 2 * 40),  # after 50, 100 and the last
        (200, 60),  # the last
    ],
)
def test_evaluations(every, evaluations, run_dir):
    config = dataclasses.replace(CONFIG, record=RecordConfig(evaluate_every=every))
    without = forecast(watch(30, 20), CONFIG, run_dir)
    needs = forecast(watch(30, 20 + 60, 20, 20 + 40), config, run_dir)
    assert needs.total_seconds - without.total_seconds == evaluations
    assert needs.epoch_seconds == without.epoch_seconds


def test_a_forecast_names_the_fullest_gpu(run_dir, monkeypatch):
    peaks = {"/device:GPU:0": 3000, "/device:GPU:1": 5000}
    devices = [tf.config.LogicalDevice(name, "GPU") for name in peaks]
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: devices)
    monkeypatch.setattr(
        tf.config.experimental,
        "get_memory_info",
        lambda name: {"current": 0, "peak": peaks[name]},
    )
    assert forecast(watch(30, 20), CONFIG, run_dir).gpu_peak_bytes == 5000
