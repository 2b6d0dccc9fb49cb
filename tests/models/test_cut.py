"""CUT and FastCUT train as the authors' code, whose faults are not repeated."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny
from reference import GOLDEN, Recorded, recorded_training
from torch_cut import LAYERS, TorchCUT, correct_norm, faulty_norm

import cyclegan_tf
from cyclegan_tf.models.cut import CUT
from cyclegan_tf.models.losses import patch_nce_loss
from cyclegan_tf.models.networks.features import encoder_features, projection_heads

LOSSES = {
    "G_GAN": "generator_g_loss",
    "NCE": "nce_x_loss",
    "NCE_Y": "nce_y_loss",
    "G": "generator_loss",
    "D": "discriminator_y_loss",
}
ANTIALIASED = {"downsampling": "antialiased", "upsampling": "antialiased"}


recorded = recorded_training("cut")


def positions(recorded, step):
    """The recorded positions of each call and layer."""
    arrays = [recorded.arrays[f"patch_ids/{step}/{layer}"] for layer in LAYERS]
    return [[array[call] for array in arrays] for call in (0, 1)]


def torch_model(recorded, norm):
    state_dicts = {
        name: recorded.state_dict(f"latest_net_{name}") for name in ("G", "D", "F")
    }
    return TorchCUT(state_dicts, recorded.settings, norm)


def weights_by_torch_name(model):
    """Our weights by the names of the recorded ones, with their axes."""
    convs = [
        ("stem_conv", "G.model.1"),
        ("down_0_conv", "G.model.4"),
        ("down_1_conv", "G.model.8"),
        *(
            (f"block_{i}_conv_{j}", f"G.model.{12 + i}.conv_block.{4 * j + 1}")
            for i in range(9)
            for j in (0, 1)
        ),
        ("up_0_conv", "G.model.22"),
        ("up_1_conv", "G.model.26"),
        ("head_conv", "G.model.30"),
        ("layer_0_conv", "D.model.0"),
        ("layer_1_conv", "D.model.3"),
        ("layer_2_conv", "D.model.7"),
        ("layer_3_conv", "D.model.11"),
        ("head_conv", "D.model.14"),
    ]
    for ours, theirs in convs:
        network = model.generator_g if theirs[0] == "G" else model.discriminator_y
        layer = network.get_layer(ours)
        yield f"{theirs}.weight", layer.kernel, (2, 3, 1, 0)
        yield f"{theirs}.bias", layer.bias, (0,)
    for i, feature in enumerate(encoder_features(model.generator_g)):
        for j in (0, 1):
            layer = model.heads.get_layer(f"{feature}_dense_{j}")
            yield f"F.mlp_{i}.{2 * j}.weight", layer.kernel, (1, 0)
            yield f"F.mlp_{i}.{2 * j}.bias", layer.bias, (0,)


def our_model(recorded):
    filters = recorded.settings["ngf"]
    generator = cyclegan_tf.resnet_generator(filters, 9, **ANTIALIASED)
    channels = {n: t.shape[-1] for n, t in encoder_features(generator).items()}
    model = CUT(
        generator,
        cyclegan_tf.patchgan_discriminator(filters, downsampling="antialiased"),
        projection_heads(channels, recorded.settings["netF_nc"]),
        num_patches=recorded.settings["num_patches"],
    )
    arrays = {
        f"{name}.{key}": array
        for name in ("G", "D", "F")
        for key, array in recorded.state_dict(f"latest_net_{name}").items()
    }
    for name, weight, axes in weights_by_torch_name(model):
        weight.assign(arrays[name].transpose(axes))
    return model


def relative_errors(found, expected):
    """Largest differences as shares of the largest value, but of mere rounding."""
    return {
        name: np.abs(found[name] - array).max() / np.abs(array).max()
        for name, array in expected.items()
        if np.abs(array).max() > 1e-12
    }


def test_the_record_has_a_fault_of_pytorch(recorded):
    """CUT in PyTorch repeats the record, but only with the faulty gradient."""
    model = torch_model(recorded, faulty_norm)
    for step, expected in enumerate(recorded.losses):
        losses, gradients = model.step(*recorded.batch(step), positions(recorded, step))
        expected = {name: expected[name] for name in losses}
        assert losses == pytest.approx(expected, rel=1e-9)
        if step == 0:
            arrays = recorded.arrays
            keys = {name: f"grad_{name[0]}/{name[2:]}" for name in gradients}
            assert not recorded.is_whole or set(keys.values()) <= set(arrays)
            record = {name: arrays[key] for name, key in keys.items() if key in arrays}
            assert max(relative_errors(gradients, record).values()) < 1e-9

    values = torch_model(recorded, correct_norm)
    _, gradients = values.step(*recorded.batch(0), positions(recorded, 0))
    errors = relative_errors(gradients, record)
    assert {name[0] for name, error in errors.items() if error > 1e-9} == {"G"}


def test_three_steps_of_the_authors_code(float64, monkeypatch):
    recorded = Recorded(GOLDEN / "cut")
    theirs, ours = torch_model(recorded, correct_norm), our_model(recorded)
    ours.compile(recorded.adam(), recorded.adam(), run_eagerly=True)
    drawn = []
    monkeypatch.setattr(ours, "_draw_positions", lambda *_: tf.constant(drawn.pop(0)))
    for step in range(3):
        chosen = positions(recorded, step)
        drawn[:] = [*chosen[0], *chosen[1]]
        ours.reset_metrics()
        logs = ours.train_on_batch(*recorded.batch(step), return_dict=True)
        losses, gradients = theirs.step(*recorded.batch(step), chosen)
        assert not drawn
        # TensorFlow resizes in float32, and the slope of its leaky ReLU is a float32.
        # Adam divides by gradients near 0, so later steps depart further.
        tolerance = 1e-4 if step else 1e-6
        found = {name: logs[LOSSES[name]] for name in losses}
        assert found == pytest.approx(losses, rel=tolerance)
        if step == 0:
            expected = {name: recorded.losses[0][name] for name in losses}
            assert losses == pytest.approx(expected, rel=1e-9)
            first = (
                ours.generator_optimizer.first_gradients
                | ours.discriminator_optimizer.first_gradients
            )
            found = {
                name: first[id(weight)].transpose(np.argsort(axes))
                for name, weight, axes in weights_by_torch_name(ours)
            }
            assert max(relative_errors(found, gradients).values()) < 1e-5


def small(**options):
    generator = cyclegan_tf.resnet_generator(4, 1, **ANTIALIASED)
    discriminator = cyclegan_tf.patchgan_discriminator(4, 2)
    return CUT(generator, discriminator, num_patches=16, **options)


def batches(count, side=32):
    images = np.random.default_rng(0).uniform(-1, 1, (2, count, side, side, 3))
    return tuple(images.astype("float32"))


def generator_losses(model, x, y):
    return model._generator_losses(model._translate(tf.constant(x), tf.constant(y)))


def test_equal_features_give_the_log_of_the_patches():
    same = np.ones((2, 64, 8), "float32") / np.sqrt(8)
    np.testing.assert_allclose(patch_nce_loss(same, same), np.log(64), rtol=1e-6)


def test_a_query_meets_its_key_in_the_row():
    queries = np.eye(4, dtype="float32")[None]
    keys = np.eye(4, dtype="float32")[None, [0, 1, 2, 2]]
    logits = np.einsum("qc,kc->qk", queries[0], keys[0]) / 0.07
    rows = np.log(np.exp(logits).sum(1)) - np.diag(logits)
    np.testing.assert_allclose(patch_nce_loss(queries, keys), [rows.mean()], rtol=1e-5)


def test_heads_of_zeros_have_finite_gradients():
    heads = projection_heads({"a": 3, "b": 5}, width=4)
    zeros = [np.zeros((1, 2, 3), "float32"), np.zeros((1, 2, 5), "float32")]
    with tf.GradientTape() as tape:
        projected = heads(zeros)
        loss = sum(tf.reduce_sum(vectors) for vectors in projected)
    assert all(
        np.isfinite(g).all() for g in tape.gradient(loss, heads.trainable_weights)
    )


def test_positions_are_never_drawn_twice():
    model = small()
    features = np.zeros((1, 5, 5, 1))
    drawn = [model._draw_positions(features, True).numpy() for _ in range(3)]
    assert all(len(set(positions)) == 16 for positions in drawn)
    assert len(set(map(tuple, drawn))) == 3
    few = model._draw_positions(np.zeros((1, 2, 3, 1)), True).numpy()
    assert sorted(few) == [0, 1, 2, 3, 4, 5]
    of_test = [model._draw_positions(features, False).numpy() for _ in range(2)]
    np.testing.assert_array_equal(*of_test)


def test_keys_are_the_features_of_the_images_and_learn_nothing():
    model = small()
    model.compile(run_eagerly=True)
    x, y = batches(2)
    with tf.GradientTape() as tape:
        translation = model._translate(tf.constant(x), tf.constant(y))
    encoder = keras.Model(
        model.generator_g.input, list(encoder_features(model.generator_g).values())
    )
    for keys, images in zip(translation.keys, (x, y), strict=True):
        for key, feature in zip(keys, encoder(images), strict=True):
            np.testing.assert_allclose(key, feature, rtol=0, atol=1e-4)
    gradients = tape.gradient(translation.keys, model.generator_weights)
    assert gradients == [None] * len(gradients)


def test_a_batch_of_two_is_two_of_one(monkeypatch):
    model = small()
    model.compile(run_eagerly=True)
    x, y = batches(2)
    monkeypatch.setattr(model, "_draw_positions", lambda *_: tf.range(16))
    both = generator_losses(model, x, y)
    for i in range(2):
        alone = generator_losses(model, x[i : i + 1], y[i : i + 1])
        for name, value in alone.items():
            np.testing.assert_allclose(both[name][i], value[0], rtol=1e-4)


def test_the_identity_term_is_half():
    model = small(nce_weight=2.0)
    model.compile(run_eagerly=True)
    losses = generator_losses(model, *batches(1))
    contrast = 0.5 * (losses["nce_x_loss"] + losses["nce_y_loss"])
    expected = losses["generator_g_loss"] + 2 * contrast
    np.testing.assert_allclose(losses["generator_loss"], expected, rtol=1e-6)
    assert abs(float(losses["nce_x_loss"][0] - losses["nce_y_loss"][0])) > 1e-4

    fast = small(nce_identity=False)
    fast.compile(run_eagerly=True)
    assert "nce_y_loss" not in generator_losses(fast, *batches(1))


@pytest.mark.parametrize("flipped", [True, False])
def test_flips_come_back_before_the_comparison(flipped, monkeypatch):
    """Position p of the key, in the image as it is, meets position p of the query."""
    model = small(flip_equivariance=True, nce_identity=False)
    model.compile(run_eagerly=True)
    x, y = map(tf.constant, batches(1))
    drawn = tf.constant(0.4 if flipped else 0.6)
    monkeypatch.setattr(keras.random, "uniform", lambda *_, **__: drawn)
    compared = []
    monkeypatch.setattr(
        model, "_contrast", lambda *it: compared.append(it) or tf.zeros(1)
    )
    translation = model._translate(x, y)
    model._contrasts(translation, True)

    def mirrored(images):
        return images[:, :, ::-1] if flipped else images

    generator = model.generator_g
    fake = generator(mirrored(x))
    np.testing.assert_allclose(translation.fake_y, fake, rtol=0, atol=1e-5)
    encode = keras.Model(generator.input, list(encoder_features(generator).values()))
    ((queries, keys, _),) = compared
    for query, feature in zip(queries, encode(fake), strict=True):
        np.testing.assert_allclose(query, mirrored(feature), rtol=0, atol=1e-4)
    for key, feature in zip(keys, encode(x), strict=True):
        np.testing.assert_allclose(key, feature, rtol=0, atol=1e-4)


@pytest.mark.parametrize("options", [{}, {"flip_equivariance": True}], ids=str)
def test_saved_and_resumed(options, tmp_path, eagerly):
    x, y = batches(2)
    model = small(nce_weight=3.0, **options)
    model.compile()
    model.fit(x, y, batch_size=1, verbose=0, shuffle=False)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert (loaded.nce_weight, loaded.num_patches) == (3.0, 16)
    for either in (model, loaded):
        either.fit(x, y, batch_size=1, verbose=0, shuffle=False)
    for ours, theirs in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_half_precision_starts_with_finite_losses():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = small()
    finally:
        keras.config.set_dtype_policy("float32")
    for network in (model.generator_g, model.discriminator_y):
        cyclegan_tf.xavier_start(network)
    model.compile(run_eagerly=True)
    assert all(weight.dtype == "float32" for weight in model.heads.weights)
    logs = model.train_on_batch(*batches(1), return_dict=True)
    assert all(np.isfinite(value) for value in logs.values())


def test_rematerialized_steps_are_the_same():
    losses = {}
    for remat in (False, True):
        keras.utils.set_random_seed(0)
        model = small()
        model.compile(remat=remat, run_eagerly=True)
        logs = [model.train_on_batch(*batches(1), return_dict=True) for _ in range(2)]
        losses[remat] = logs[1]
    assert losses[True] == pytest.approx(losses[False], rel=1e-4)


def test_two_replicas_equal_one_with_the_whole_batch():
    x, y = batches(2, side=16)
    networks = []
    for devices in (["CPU:0"], ["CPU:0", "CPU:1"]):
        keras.utils.set_random_seed(0)
        with tiny.replicas(*devices).scope():
            model = small()
            model._draw_positions = lambda *_: tf.range(8)
            # Adam would enlarge rounding in the gradients of biases before a norm.
            model.compile(keras.optimizers.SGD(1e-3), keras.optimizers.SGD(1e-3))
        started = model.generator_g.get_weights()[0]
        model.fit(x, y, batch_size=2, verbose=0, shuffle=False)
        assert np.abs(model.generator_g.get_weights()[0] - started).max() > 1e-6
        networks.append(model.networks)
    for one, two in zip(*(it.values() for it in networks), strict=True):
        for ours, theirs in zip(one.get_weights(), two.get_weights(), strict=True):
            # Gradients of the heads are as large as 1e4, with rounding to match.
            tolerance = max(1e-5, 1e-4 * np.abs(theirs).max())
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance)


def test_networks_that_do_not_fit():
    discriminator = cyclegan_tf.patchgan_discriminator(2, 1)
    with pytest.raises(ValueError, match="CUT needs a resnet_generator"):
        CUT(cyclegan_tf.unet_generator(2, 2), discriminator)
    gray = cyclegan_tf.resnet_generator(2, 1, output_channels=1)
    with pytest.raises(ValueError, match="generator_g's output must have as many"):
        CUT(gray, discriminator)
