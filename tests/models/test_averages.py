"""Averaged weights follow the trained ones, and are what is validated and published."""

import keras
import numpy as np
import pytest
import tiny

from cyclegan_tf.models.acceleration.adam import Adam


def compiled(model, decay=0.9, **options):
    model.compile(Adam(average_decay=decay, **options), Adam(**options))
    return model


def published(model):
    return model.publish()["g"].get_weights()


def trained(model):
    return model.generator_g.get_weights()


def test_they_are_the_moving_average_of_each_update():
    model = tiny.cyclegan(pool_size=0)
    model.compile(Adam(average_decay=0.3), Adam(), run_eagerly=True)
    images = tiny.images(1)
    expected = None
    for updates in range(4):
        model.train_on_batch(images, images)
        decay = min(0.3, updates / (updates + 9))
        weights = trained(model)
        if expected is None:
            expected = weights
        expected = [decay * a + (1 - decay) * w for a, w in zip(expected, weights)]
        for average, value in zip(published(model), expected):
            np.testing.assert_allclose(average, value, rtol=0, atol=1e-6)
    assert any(not np.array_equal(*it) for it in zip(published(model), trained(model)))


def test_before_the_first_update_they_are_the_weights():
    model = compiled(tiny.cyclegan(pool_size=0))
    model.generator_g.set_weights([weight + 1 for weight in trained(model)])
    for average, weight in zip(published(model), trained(model)):
        np.testing.assert_array_equal(average, weight)


def test_training_does_not_use_them():
    weights = {}
    for decay in (0.0, 0.9):
        keras.utils.set_random_seed(0)
        model = tiny.cyclegan(pool_size=0)
        model.compile(Adam(average_decay=decay), Adam(), run_eagerly=True)
        for _ in range(2):
            model.train_on_batch(tiny.images(1), tiny.images(1, seed=1))
        weights[decay] = model.get_weights()
    for with_averages, without in zip(weights[0.9], weights[0.0], strict=True):
        np.testing.assert_array_equal(with_averages, without)


def test_validation_and_predictions_use_them():
    model = tiny.cyclegan(pool_size=0)
    model.compile(Adam(1e-2, average_decay=0.9), Adam(1e-2), run_eagerly=True)
    images = tiny.images(2)
    for _ in range(4):
        model.train_on_batch(images, images)
    g, f = model.publish()["g"], model.publish()["f"]
    cycled = f(g(images))
    logs = model.evaluate(images, images, verbose=0, return_dict=True)
    expected = np.mean(np.abs(cycled - images))
    assert logs["cycle_x_loss"] == pytest.approx(expected, rel=1e-5)
    of_the_trained = model.generator_f(model.generator_g(images))
    assert abs(np.mean(np.abs(of_the_trained - images)) - expected) > 1e-4
    np.testing.assert_allclose(model.predict(images, verbose=0), g(images), atol=1e-5)


def test_accumulation_averages_only_updates():
    model = tiny.cyclegan(pool_size=0)
    adam = {"gradient_accumulation_steps": 2}
    model.compile(Adam(average_decay=0.9, **adam), Adam(**adam), run_eagerly=True)
    images = tiny.images(1)
    seen = []
    for _ in range(4):
        model.train_on_batch(images, images)
        seen.append(published(model)[0])
    np.testing.assert_array_equal(seen[1], seen[2])
    assert not np.array_equal(seen[0], seen[1])
    assert not np.array_equal(seen[2], seen[3])


def test_they_are_saved_and_go_on(tmp_path, eagerly):
    images = tiny.images(2)
    model = compiled(tiny.cyclegan(pool_size=0))
    model.fit(images, images, batch_size=1, verbose=0, shuffle=False)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for either in (model, loaded):
        either.fit(images, images, batch_size=1, verbose=0, shuffle=False)
    for ours, theirs in zip(published(model), published(loaded), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not np.array_equal(published(model)[0], trained(model)[0])


def test_replicas_share_them():
    images = tiny.images(4)
    averages = []
    for devices in (["CPU:0"], ["CPU:0", "CPU:1"]):
        keras.utils.set_random_seed(0)
        with tiny.replicas(*devices).scope():
            model = compiled(tiny.cyclegan(pool_size=0))
        model.fit(images, images, batch_size=2, epochs=2, verbose=0, shuffle=False)
        averages.append(published(model))
    for one, two in zip(*averages, strict=True):
        if one.ndim > 1:  # the gradient of a bias before a norm is rounding
            np.testing.assert_allclose(one, two, rtol=0, atol=1e-5)


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_wrong_decays(decay):
    with pytest.raises(ValueError, match="average_decay must be at least 0"):
        Adam(average_decay=decay)
