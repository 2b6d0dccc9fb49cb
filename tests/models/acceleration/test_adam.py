"""Our Adam is Keras's."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from cyclegan_tf.models.acceleration.adam import Adam

OPTIONS = {"beta_1": 0.5, "beta_2": 0.99, "epsilon": 1e-8}


def trained(optimizer, dtype="float32", steps=6):
    """Take steps with gradients that differ in size by orders of magnitude."""
    random = np.random.default_rng(0)
    variables = [
        keras.Variable(random.normal(size=shape), dtype=dtype)
        for shape in ((3, 3, 4, 8), (8,))
    ]
    optimizer.build(variables)

    @tf.function(autograph=False)
    def step(gradients):
        optimizer.apply(gradients)

    for i in range(steps):
        step(
            [
                tf.constant(10.0 ** (i % 3) * random.normal(size=v.shape), dtype)
                for v in variables
            ]
        )
    return [np.asarray(v) for v in variables + optimizer.variables]


def schedule():
    return keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"global_clipnorm": 1.0},
        {"weight_decay": 0.1},
        {"gradient_accumulation_steps": 2},
    ],
)
def test_equals_keras_adam(dtype, options):
    ours = trained(Adam(schedule(), **OPTIONS, **options), dtype)
    theirs = trained(keras.optimizers.Adam(schedule(), **OPTIONS, **options), dtype)
    for found, expected in zip(ours, theirs, strict=True):
        # Learning rates are float32 in both.
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6)


def test_goes_on_from_weights_that_keras_adam_saved(tmp_path):
    def model(optimizer):
        keras.utils.set_random_seed(0)
        layers = [keras.Input((3,)), keras.layers.Dense(2)]
        model = keras.Sequential(layers)
        model.compile(optimizer, "mse")
        return model

    data = np.ones((4, 3), "float32"), np.ones((4, 2), "float32")
    first = model(keras.optimizers.Adam(schedule(), **OPTIONS))
    first.fit(*data, verbose=0)
    first.save_weights(tmp_path / "model.weights.h5")
    second = model(Adam(schedule(), **OPTIONS))
    second.optimizer.build(second.trainable_variables)
    second.load_weights(tmp_path / "model.weights.h5")
    assert int(second.optimizer.iterations) == 1
    for continued in (first, second):
        continued.fit(*data, verbose=0)
    for found, expected in zip(second.get_weights(), first.get_weights()):
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_defaults_are_the_papers():
    config = Adam().get_config()
    assert config["learning_rate"] == pytest.approx(2e-4)
    assert (config["beta_1"], config["beta_2"]) == (0.5, 0.999)
    assert Adam.from_config(config).get_config() == config


def test_has_no_amsgrad():
    with pytest.raises(ValueError, match="no amsgrad"):
        Adam(amsgrad=True)
