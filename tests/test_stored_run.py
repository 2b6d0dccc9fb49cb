"""A run folder and a generator's file of an earlier version load, and train on.

`golden/run` is a run of two steps. `golden.npz` holds an image `x`, its translation
`y` by `generator_g.keras`, and `y_resumed`, its translation after the version that
wrote the run trained it for a second epoch.
"""

import dataclasses
import pathlib
import shutil

import keras
import numpy as np
import pytest

from cyclegan_tf.runs.run import Run
from cyclegan_tf.training.train import resume

GOLDEN = pathlib.Path(__file__).parent / "golden/run"


@pytest.fixture
def golden():
    with np.load(GOLDEN / "golden.npz") as arrays:
        return dict(arrays)


def translate(path, images):
    return keras.saving.load_model(path).predict(images, verbose=0)


def test_a_stored_generator_loads(golden):
    translated = translate(GOLDEN / "generator_g.keras", golden["x"])
    np.testing.assert_allclose(translated, golden["y"], atol=1e-6)


def test_a_stored_run_resumes(golden, tmp_path):
    folder = shutil.copytree(GOLDEN, tmp_path / "run")
    config = Run(folder).config
    # Determinism would stay on in the process, and keep XLA from other tests.
    options = dataclasses.replace(
        config.optimization, decay_epochs=1, deterministic=False
    )
    epochs = []
    told = keras.callbacks.LambdaCallback(on_epoch_end=lambda i, _: epochs.append(i))
    changed = dataclasses.replace(config, optimization=options)
    resume(str(folder), changed, callbacks=[told])
    assert epochs == [1]
    translated = translate(folder / "generator_g.keras", golden["x"])
    # Adam moves each weight by up to 2e-4 a step, whatever the gradient's size: where
    # a gradient is near 0, other processors round it to the other sign.
    np.testing.assert_allclose(translated, golden["y_resumed"], atol=1e-3)
