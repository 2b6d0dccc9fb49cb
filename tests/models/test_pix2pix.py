"""pix2pix trains as the authors' code; what it publishes is deterministic."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from reference import gradient_errors, recorded_training

import cyclegan_tf
from cyclegan_tf.pretrained.pytorch.keys import weights_by_key
from cyclegan_tf.pretrained.pytorch.weights import network_from_state_dict

LOSSES = {"G_GAN": "generator_g_loss", "D": "discriminator_y_loss"}


recorded = recorded_training("pix2pix")


def test_steps_of_the_authors_code(recorded, float64):
    generator, discriminator = (
        network_from_state_dict(recorded.state_dict(f"latest_net_{name}"))
        for name in "GD"
    )
    model = cyclegan_tf.Pix2Pix(generator, discriminator)
    model.compile(recorded.adam(), recorded.adam(), run_eagerly=True)
    for step, expected in enumerate(recorded.losses):
        model.reset_metrics()
        logs = model.train_on_batch(*recorded.batch(step), return_dict=True)
        for theirs, ours in LOSSES.items():
            assert logs[ours] == pytest.approx(expected[theirs], rel=1e-6)
        assert 100 * logs["l1_loss"] == pytest.approx(expected["G_L1"], rel=1e-6)
        assert logs["generator_loss"] == pytest.approx(expected["G"], rel=1e-6)

    arrays = recorded.arrays
    for network, optimizer, name in (
        (generator, model.generator_optimizer, "G"),
        (discriminator, model.discriminator_optimizer, "D"),
    ):
        gradients = {
            key.removeprefix(f"grad_{name}/"): arrays[key]
            for key in arrays
            if key.startswith(f"grad_{name}/")
        }
        errors = dict(gradient_errors(optimizer.first_gradients, network, gradients))
        assert errors.keys() == gradients.keys()
        assert max(errors.values()) < 1e-6
        for key, variable, _ in weights_by_key(network):
            if recorded.is_whole and "running" in key:
                theirs = arrays[f"running_after/{name}/{key}"]
                np.testing.assert_allclose(variable, theirs, rtol=0, atol=5e-3)
    if not recorded.is_whole:
        return
    real_x, _ = recorded.batch(0)
    for outputs, name in (
        (generator(real_x, training=True), "fake_y_after"),
        (generator(real_x), "fake_y_after_eval"),
    ):
        np.testing.assert_allclose(outputs, arrays[name], rtol=0, atol=5e-3)


def small(dropout=0.5, **options):
    return cyclegan_tf.Pix2Pix(
        cyclegan_tf.unet_generator(4, 6, norm="batch", dropout=dropout),
        cyclegan_tf.patchgan_discriminator(
            4, 2, image_shape=(None, None, 6), norm="batch"
        ),
        **options,
    )


def pairs(count, side=64):
    images = np.random.default_rng(0).uniform(-1, 1, (2, count, side, side, 3))
    return tuple(images.astype("float32"))


def test_a_published_generator_treats_each_image_alone():
    model = small()
    model.compile(run_eagerly=True)
    x, y = pairs(4)
    model.fit(x, y, batch_size=1, verbose=0)
    both = model.predict(x[:2], verbose=0)
    np.testing.assert_allclose(both[:1], model.predict(x[:1], verbose=0), atol=1e-5)
    np.testing.assert_allclose(both[1:], model.predict(x[1:2], verbose=0), atol=1e-5)
    assert model.publish()["g"] is not model.generator_g


def test_a_published_generator_computes_as_in_training_with_one_image():
    model = small(dropout=0.0)
    model.compile(run_eagerly=True)
    x, y = pairs(2)
    model.fit(x, y, batch_size=1, verbose=0)
    in_training = model.generator_g(x[:1], training=True)
    np.testing.assert_allclose(
        model.predict(x[:1], verbose=0), in_training, rtol=0, atol=1e-5
    )


def test_running_statistics_on_request():
    model = small(inference_norm="running")
    model.compile(run_eagerly=True)
    assert model.publish()["g"] is model.generator_g


def test_a_published_generator_loads_in_plain_keras(tmp_path):
    model = small()
    generator = model.publish()["g"]
    generator.save(tmp_path / "g.keras")
    loaded = keras.saving.load_model(tmp_path / "g.keras")
    assert not any(
        isinstance(layer, keras.layers.BatchNormalization | keras.layers.Dropout)
        for layer in loaded.layers
    )
    x, _ = pairs(1)
    np.testing.assert_array_equal(loaded(x), generator(x))


def test_validation_uses_what_is_published():
    model = small()
    model.compile(run_eagerly=True)
    x, y = pairs(2)
    logs = model.evaluate(x, y, batch_size=1, verbose=0, return_dict=True)
    distance = np.mean(np.abs(model.predict(x, verbose=0) - y))
    assert logs["l1_loss"] == logs["loss"] == pytest.approx(distance, rel=1e-5)


def test_saved_and_resumed(tmp_path, eagerly):
    x, y = pairs(2)
    tf.random.set_seed(0)
    model = small(l1_weight=10.0, inference_norm="running")
    model.compile()
    model.fit(x, y, batch_size=2, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert (loaded.l1_weight, loaded.inference_norm) == (10.0, "running")
    for either in (model, loaded):
        either.fit(x, y, batch_size=2, verbose=0)
    for ours, theirs in zip(model.get_weights(), loaded.get_weights()):
        np.testing.assert_array_equal(ours, theirs)


def test_wrong_channels():
    with pytest.raises(ValueError, match="discriminator_y must take 6 channels"):
        cyclegan_tf.Pix2Pix(
            cyclegan_tf.unet_generator(2, 2), cyclegan_tf.patchgan_discriminator(2, 1)
        )
    with pytest.raises(ValueError, match="inference_norm must be"):
        small(inference_norm="batch")
