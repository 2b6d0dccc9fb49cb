"""Settings of Keras that this package cannot work with, and what it works around."""

import json
import os
import pathlib
import subprocess
import sys

import keras
import pytest
import tensorflow as tf
import tiny
from keras.src.callbacks.monitor_callback import MonitorCallback

from cyclegan_tf.models.backend import check_settings

PACKAGE = str(pathlib.Path(__file__).parents[2])
SETTINGS = {
    "floatx": "float32",
    "epsilon": 1e-7,
    "backend": "tensorflow",
    "image_data_format": "channels_last",
}


def run(code, tmp_path, **settings):
    """Run Python code with a keras.json of its own."""
    (tmp_path / "keras.json").write_text(json.dumps(SETTINGS | settings))
    environment = os.environ | {"KERAS_HOME": str(tmp_path), "PYTHONPATH": PACKAGE}
    environment.pop("KERAS_BACKEND", None)
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )


def test_the_library_refuses_another_backend(tmp_path):
    code = "import cyclegan_tf; cyclegan_tf.resnet_generator()"
    process = run(code, tmp_path, backend="torch")
    last = process.stderr.splitlines()[-1]
    assert last.startswith("ImportError: cyclegan_tf needs Keras with backend ")
    assert "'torch'" in last


@pytest.mark.parametrize(
    ("setting", "value"),
    [("image_data_format", "channels_first"), ("floatx", "float16")],
)
def test_the_library_refuses_other_settings(setting, value):
    """By what it does as it is imported; these Keras can change in this process."""
    change = getattr(keras.config, f"set_{setting}")
    change(value)
    try:
        with pytest.raises(ImportError, match=f"with {setting} .*with '{value}'"):
            check_settings()
    finally:
        change(SETTINGS[setting])


def test_the_command_line_sets_them(tmp_path):
    code = (
        "from cyclegan_tf.cli.main import main; main(['recipes'])\n"
        "import keras; print(keras.backend.backend(), keras.config.floatx(), "
        "keras.config.image_data_format())"
    )
    process = run(
        code,
        tmp_path,
        backend="torch",
        image_data_format="channels_first",
        floatx="float16",
    )
    assert process.stdout.splitlines()[-1] == "tensorflow float32 channels_last"


class TestWorkarounds:
    """Each of `models/backend.py`; a failure says that it can go."""

    def test_callbacks_ask_only_a_list_of_metrics_for_a_direction(self):
        class Loss(keras.metrics.Mean):
            _direction = "down"

        class Model(keras.Model):
            @property
            def metrics(self):
                return [Loss("cycle_x_loss")]

        callback = MonitorCallback("val_cycle_x_loss")
        callback.set_model(Model())
        with pytest.raises(ValueError, match="isn't able to automatically determine"):
            callback._set_monitor_op()

    def test_a_strategy_builds_on_the_mean_of_unequal_batches(self):
        with tiny.replicas("CPU:0", "CPU:1").scope():
            model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
            model.compile("sgd", "mse")
        data = tf.data.Dataset.from_tensor_slices((tf.ones((3, 2)), tf.ones((3, 1))))
        with pytest.raises(tf.errors.InvalidArgumentError):
            model.fit(data.batch(4), shuffle=False, verbose=0)

    def test_fit_tells_evaluate_in_private_that_it_validates(self):
        told = []

        class Model(keras.Sequential):
            def evaluate(self, *arguments, **options):
                told.append(options.get("_use_cached_eval_dataset"))
                return super().evaluate(*arguments, **options)

        model = Model([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse", run_eagerly=True)
        data = tf.ones((2, 2)), tf.ones((2, 1))
        model.fit(*data, validation_data=data, verbose=0)
        assert told == [True]
