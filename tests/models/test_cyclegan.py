"""The training step: gradients, weights, precision, replicas, saving."""

import concurrent.futures

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny

import cyclegan_tf
from cyclegan_tf.models.acceleration.adam import Adam
from cyclegan_tf.models.cyclegan import CycleGAN


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


def test_both_cycles_teach_both_generators():
    """G learns from |G(F(y)) - y|, where it comes last, and from |F(G(x)) - x|."""
    real_x, real_y = tiny.images(2, seed=1), tiny.images(2, seed=2)

    def gradient_of_g(cycle_weight):
        keras.utils.set_random_seed(0)
        model = tiny.cyclegan(
            pool_size=0, cycle_weight=cycle_weight, identity_weight=0.0
        )
        model.compile(
            keras.optimizers.SGD(1.0), keras.optimizers.SGD(1.0), run_eagerly=True
        )
        before = model.generator_g.get_weights()
        model.train_on_batch(real_x, real_y)
        return [a - b for a, b in zip(before, model.generator_g.get_weights())]

    keras.utils.set_random_seed(0)
    model = tiny.cyclegan(pool_size=0)
    g, f = model.generator_g, model.generator_f
    weights = [weight.value for weight in g.trainable_weights]
    with tf.GradientTape(persistent=True) as tape:
        inner = tf.reduce_mean(tf.abs(f(g(real_x)) - real_x))
        outer = tf.reduce_mean(tf.abs(g(f(real_y)) - real_y))
    inner_gradient = tape.gradient(inner, weights)
    outer_gradient = tape.gradient(outer, weights)
    assert max(np.abs(gradient).max() for gradient in inner_gradient) > 1e-4

    parts = zip(gradient_of_g(1.0), gradient_of_g(0.0), inner_gradient, outer_gradient)
    for with_cycle, without, from_inner, from_outer in parts:
        # Differences of float32 weights around 0.1.
        np.testing.assert_allclose(
            with_cycle - without, from_inner + from_outer, atol=1e-5
        )


def test_losses_are_what_the_docstring_says():
    model = tiny.cyclegan(pool_size=0, cycle_weight=3.0, identity_weight=2.0)
    model.compile(run_eagerly=True)
    real_x, real_y = tiny.images(2, seed=1), tiny.images(2, seed=2)
    logs = model.test_on_batch(real_x, real_y, return_dict=True)
    g, f = model.generator_g, model.generator_f
    d_x, d_y = model.discriminator_x, model.discriminator_y

    def mean(x):
        return float(np.mean(np.asarray(x)))

    expected = {
        "generator_g_loss": mean((d_y(g(real_x)) - 1) ** 2),
        "generator_f_loss": mean((d_x(f(real_y)) - 1) ** 2),
        "cycle_x_loss": mean(abs(f(g(real_x)) - real_x)),
        "cycle_y_loss": mean(abs(g(f(real_y)) - real_y)),
        "identity_x_loss": mean(abs(f(real_x) - real_x)),
        "identity_y_loss": mean(abs(g(real_y) - real_y)),
        "discriminator_x_loss": (
            mean((d_x(real_x) - 1) ** 2) + mean(d_x(f(real_y)) ** 2)
        )
        / 2,
        "discriminator_y_loss": (
            mean((d_y(real_y) - 1) ** 2) + mean(d_y(g(real_x)) ** 2)
        )
        / 2,
    }
    expected["generator_loss"] = (
        expected["generator_g_loss"]
        + expected["generator_f_loss"]
        + 3 * (expected["cycle_x_loss"] + expected["cycle_y_loss"])
        + 2 * (expected["identity_x_loss"] + expected["identity_y_loss"])
    )
    expected["loss"] = expected["cycle_x_loss"] + expected["cycle_y_loss"]
    assert set(logs) == {"loss", *CycleGAN.loss_names}
    assert {name: float(value) for name, value in logs.items()} == pytest.approx(
        expected, rel=1e-4
    )


def test_each_optimizer_updates_its_networks_only():
    model = tiny.cyclegan(pool_size=0)
    model.compile(
        keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.0), run_eagerly=True
    )
    discriminator = model.discriminator_x.get_weights()
    generator = model.generator_f.get_weights()
    model.train_on_batch(tiny.images(1), tiny.images(1, seed=1))
    for old, new in zip(discriminator, model.discriminator_x.get_weights()):
        np.testing.assert_array_equal(old, new)
    changed = zip(generator, model.generator_f.get_weights())
    assert max(np.abs(old - new).max() for old, new in changed) > 0


def test_discriminators_judge_fakes_from_before_the_update():
    """However far the generators jump, the discriminators' gradient is the same."""
    gradients = []
    for rate in (0.0, 1e3):
        keras.utils.set_random_seed(0)
        model = tiny.cyclegan(pool_size=0)
        model.compile(
            keras.optimizers.SGD(rate), keras.optimizers.SGD(1.0), run_eagerly=True
        )
        before = model.discriminator_y.get_weights()
        model.train_on_batch(tiny.images(1), tiny.images(1, seed=1))
        after = model.discriminator_y.get_weights()
        gradients.append([old - new for old, new in zip(before, after)])
    for first, second in zip(*gradients):
        np.testing.assert_allclose(first, second, atol=1e-6)


def test_no_identity_term_without_weight():
    model = tiny.cyclegan(identity_weight=0.0)
    model.compile(run_eagerly=True)
    logs = model.train_on_batch(tiny.images(1), tiny.images(1), return_dict=True)
    assert float(logs["identity_x_loss"]) == 0.0


@pytest.mark.parametrize("loss", ["bce", "hinge", "wgan-gp"])
def test_other_adversarial_losses_train(loss):
    model = tiny.cyclegan()
    model.compile(adversarial_loss=loss, run_eagerly=True)
    before = model.discriminator_x.get_weights()
    history = model.fit(tiny.dataset(4), verbose=0).history
    assert np.isfinite([history[name] for name in CycleGAN.loss_names]).all()
    assert np.abs(before[0] - model.discriminator_x.get_weights()[0]).max() > 0


def test_the_penalty_is_part_of_the_wgan_loss():
    model = tiny.cyclegan(pool_size=0)
    model.compile(adversarial_loss="wgan-gp", run_eagerly=True)
    for weight in model.discriminator_x.weights:
        weight.assign(np.zeros(weight.shape))
    logs = model.test_on_batch(tiny.images(2), tiny.images(2), return_dict=True)
    # A critic that says 0 everywhere has gradient 0: half of 10 * (0 - 1)^2.
    assert float(logs["discriminator_x_loss"]) == pytest.approx(5.0, rel=1e-4)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_follows_float32(policy):
    """The same gradients but for the rounding, loss scaling taken out again."""

    def step(policy):
        keras.utils.set_random_seed(0)
        keras.config.set_dtype_policy(policy)
        try:
            model = tiny.cyclegan(resnet=True, pool_size=0)
        finally:
            keras.config.set_dtype_policy("float32")
        optimizers = [keras.optimizers.SGD(1.0) for _ in range(2)]
        if policy == "mixed_float16":
            # The default starts at 2^15 and skips the steps that overflow.
            optimizers = [
                keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=2.0**8)
                for optimizer in optimizers
            ]
        # The reference needs no graph.
        model.compile(*optimizers, run_eagerly=policy == "float32")
        before = model.get_weights()
        logs = model.train_on_batch(
            tiny.images(2, seed=1), tiny.images(2, seed=2), return_dict=True
        )
        moved = [old - new for old, new in zip(before, model.get_weights())]
        return logs, np.concatenate([np.ravel(array) for array in moved])

    expected_logs, expected = step("float32")
    logs, found = step(policy)
    for name in CycleGAN.loss_names:
        assert float(logs[name]) == pytest.approx(float(expected_logs[name]), rel=0.02)
    # A wrong scale would show in the size as a factor of 2 or more. Neither size nor
    # direction can be the same: the gradient of |a - b| is a sign, which rounding turns
    # where a and b are close. On processors that emulate bfloat16, six seeds gave sizes
    # from 0.93 to 1.04 of float32's, and correlations from 0.90 to 0.96.
    assert np.linalg.norm(found) == pytest.approx(np.linalg.norm(expected), rel=0.15)
    assert np.corrcoef(found, expected)[0, 1] > 0.85


def test_float16_scales_the_loss_by_itself():
    model = tiny.cyclegan_in_float16()
    model.compile(discriminator_optimizer="sgd")
    for optimizer in (model.generator_optimizer, model.discriminator_optimizer):
        assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    history = model.fit(tiny.dataset(), epochs=2, verbose=0).history
    assert np.isfinite([history[name] for name in CycleGAN.loss_names]).all()


def test_jit_compile_gives_the_same_step():
    def trained(**options):
        keras.utils.set_random_seed(0)
        model = tiny.cyclegan(pool_size=2)
        model.compile(keras.optimizers.SGD(0.01), keras.optimizers.SGD(0.01), **options)
        model.fit(tiny.dataset(4), verbose=0)
        return model

    plain, compiled = trained(run_eagerly=True), trained(jit_compile=True)
    assert compiled.get_compile_config()["jit_compile"]
    assert tiny.largest_difference(plain, compiled) < 1e-5


@pytest.mark.parametrize(
    "options", [{"jit_compile": "auto"}, {"jit_compile": True, "run_eagerly": True}]
)
def test_xla_is_on_or_off(options):
    with pytest.raises(ValueError, match="jit_compile must be True or False"):
        tiny.cyclegan().compile(**options)


def test_eager_gives_the_same_step():
    def trained(**options):
        keras.utils.set_random_seed(0)
        model = tiny.cyclegan(pool_size=2)
        model.compile(keras.optimizers.SGD(0.01), keras.optimizers.SGD(0.01), **options)
        model.fit(tiny.dataset(4), verbose=0)
        return model

    assert tiny.largest_difference(trained(), trained(run_eagerly=True)) < 1e-5


def test_a_generator_is_traced_once():
    """However often a step calls it: with an identity loss no more than without."""

    def operations(identity_weight):
        model = tiny.cyclegan(identity_weight=identity_weight, pool_size=0)
        model.compile()
        batch = tf.zeros((1, 16, 16, 3))
        step = tf.function(model.train_step, autograph=False)
        graph = step.get_concrete_function((batch, batch)).graph
        return sum(operation.type == "Conv2D" for operation in graph.get_operations())

    assert operations(5.0) == operations(0.0) == 0


def test_the_remapper_is_off_for_the_training_and_translation_of_a_unet(capfd):
    generators = [cyclegan_tf.unet_generator(2, 3) for _ in range(2)]
    discriminators = [cyclegan_tf.patchgan_discriminator(2, 1) for _ in range(2)]
    model = cyclegan_tf.CycleGAN(*generators, *discriminators)
    model.compile()
    model.fit(tiny.dataset(), verbose=0)
    [image] = tiny.noise(1, 16)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: cyclegan_tf.Translator(generators[0])(image)).result()
    assert "remapper" not in capfd.readouterr().err


@pytest.mark.parametrize("loss", ["lsgan", "wgan-gp"])
def test_rematerialized_gradients_are_the_same(loss):
    def gradients(remat):
        keras.utils.set_random_seed(0)
        model = tiny.cyclegan(resnet=True, pool_size=0)
        model.compile(
            keras.optimizers.SGD(1.0),
            keras.optimizers.SGD(1.0),
            adversarial_loss=loss,
            remat=remat,
        )
        before = model.get_weights()
        model.train_on_batch(tiny.images(2, seed=1), tiny.images(2, seed=2))
        return [old - new for old, new in zip(before, model.get_weights())]

    for found, expected in zip(gradients(True), gradients(False), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_accumulated_gradients_are_those_of_the_whole_batch():
    """Four steps of one image update as one step of four, also through the pools."""

    def trained(batch_size, steps):
        keras.utils.set_random_seed(0)
        model = tiny.cyclegan(pool_size=3)
        model.compile(
            *(
                keras.optimizers.SGD(
                    0.02, gradient_accumulation_steps=steps if steps > 1 else None
                )
                for _ in range(2)
            ),
            run_eagerly=steps == 1,
        )
        model.fit(tiny.dataset(8, batch_size), verbose=0)
        return [
            weight.numpy()
            for name in CycleGAN.network_names
            for weight in getattr(model, name).weights
        ]

    for found, expected in zip(trained(1, 4), trained(4, 1), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.fixture(scope="module")
def two_replicas():
    """One for the module: a second one would reuse the keys of its collectives."""
    devices = [device.name for device in tf.config.list_logical_devices("CPU")]
    assert len(devices) == 2
    return tf.distribute.MirroredStrategy(devices)


def trained_under(strategy, pool_size, make_optimizer, dataset, jit_compile=False):
    """On a single device without a graph, which gives the same step."""
    keras.utils.set_random_seed(0)
    alone = strategy.num_replicas_in_sync == 1
    with strategy.scope():
        model = tiny.cyclegan(pool_size=pool_size)
        model.compile(
            *(make_optimizer(), make_optimizer()),
            run_eagerly=alone,
            jit_compile=jit_compile,
        )
    return model, model.fit(dataset, verbose=0).history


@pytest.fixture
def float64():
    """A difference of rounding turns signs, which gradients of |a - b| are.

    In float32 that alone can move weights by 5e-5 in three steps.
    """
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def float64_dataset(count):
    images = (tiny.images(count, seed=1), tiny.images(count, seed=2))
    return tf.data.Dataset.from_tensor_slices(
        tuple(array.astype("float64") for array in images)
    ).batch(4)


@pytest.mark.parametrize("pool_size", [0, 3])
def test_two_replicas_equal_one_with_the_whole_batch(pool_size, two_replicas, float64):
    """Weights after three steps; as the history is shared, also with a pool."""
    dataset = float64_dataset(12)
    one, one_history = trained_under(
        tf.distribute.get_strategy(), pool_size, Adam, dataset
    )
    two, two_history = trained_under(two_replicas, pool_size, Adam, dataset)
    assert two.distribute_strategy.num_replicas_in_sync == 2
    assert tiny.largest_difference(one, two) < 1e-9
    for name in CycleGAN.loss_names:
        assert two_history[name] == pytest.approx(one_history[name], rel=1e-6)
    if pool_size:
        assert int(two.pool_x.num_seen.numpy()) == 12


def test_xla_compiles_each_replica(two_replicas, float64):
    dataset = float64_dataset(8)
    one, _ = trained_under(tf.distribute.get_strategy(), 3, Adam, dataset)
    two, _ = trained_under(two_replicas, 3, Adam, dataset, jit_compile=True)
    assert tiny.largest_difference(one, two) < 1e-9


@pytest.mark.parametrize("pool_size", [0, 2])
def test_fit_on_a_distributed_dataset(two_replicas, pool_size):
    with two_replicas.scope():
        model = tiny.cyclegan(pool_size=pool_size)
        model.compile()
    batches = tf.data.Dataset.from_tensor_slices((tiny.images(4), tiny.images(4)))
    batches = two_replicas.experimental_distribute_dataset(batches.batch(2))
    model.fit(batches, steps_per_epoch=2, verbose=0)
    assert int(model.generator_optimizer.iterations.numpy()) == 2
    if pool_size:
        assert int(model.pool_x.num_seen.numpy()) == 4


def test_an_uneven_batch_counts_every_image_once(two_replicas, float64):
    dataset = float64_dataset(7)  # 2 + 2 images, then 2 + 1
    one, _ = trained_under(tf.distribute.get_strategy(), 2, Adam, dataset)
    two, _ = trained_under(two_replicas, 2, Adam, dataset)
    assert tiny.largest_difference(one, two) < 1e-9


@pytest.mark.parametrize("form", ["dataset", "generator", "arrays", "PyDataset"])
def test_a_last_batch_that_leaves_a_replica_empty(form, two_replicas):
    """Five images in batches of four: one image is left for two replicas."""
    x, y = tiny.images(5), tiny.images(5, seed=1)
    batches = [(x[:4], y[:4]), (x[4:], y[4:])]

    class Sequence(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, i):
            return batches[i]

    data, options = {
        "dataset": ((tf.data.Dataset.from_tensor_slices((x, y)).batch(4),), {}),
        "generator": ((iter(batches),), {"steps_per_epoch": 2}),
        "arrays": ((x, y), {"batch_size": 4}),
        "PyDataset": ((Sequence(),), {}),
    }[form]
    with two_replicas.scope():
        model = tiny.cyclegan()
        model.compile()
    if form in ("arrays", "PyDataset"):
        sentence = "too few for 2 replicas|2 replicas got no images"
        with pytest.raises(ValueError, match=sentence):
            model.fit(*data, verbose=0, **options)
    else:
        history = model.fit(*data, verbose=0, **options).history
        assert np.isfinite(history["loss"]).all()


def test_replicas_go_on_exactly(two_replicas, tmp_path):
    """With a loss that draws random numbers in each step."""

    def fresh():
        with two_replicas.scope():
            model = tiny.cyclegan(pool_size=3)
            model.compile(adversarial_loss="wgan-gp")
        return model

    whole, rest = fresh(), fresh()
    whole.fit(tiny.dataset(8, 4), verbose=0)
    whole.save(tmp_path / "model.keras")
    rest.load_weights(tmp_path / "model.keras")
    for model in (whole, rest):
        model.fit(tiny.dataset(8, 4), verbose=0)
    assert int(rest.pool_x.num_seen.numpy()) == 16
    assert tiny.largest_difference(whole, rest) == 0.0


def test_a_saved_model_goes_on_training(tmp_path):
    """Also where it was saved between two updates."""
    model = tiny.cyclegan(pool_size=3)
    schedule = cyclegan_tf.LinearDecay(1e-3, 4, 1, 2)
    model.compile(
        Adam(schedule, gradient_accumulation_steps=3),
        "rmsprop",
        adversarial_loss="bce",
        remat=True,
        steps_per_execution=2,
    )
    model.fit(tiny.dataset(), verbose=0)
    model.save(tmp_path / "model.keras")
    restored = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(restored.discriminator_optimizer, keras.optimizers.RMSprop)
    assert int(restored.generator_optimizer.iterations) == 1
    assert restored.get_compile_config()["remat"]
    assert restored.steps_per_execution == 2
    model.fit(tiny.dataset(), verbose=0)
    restored.fit(tiny.dataset(), verbose=0)
    assert tiny.largest_difference(model, restored) == 0.0


def test_predict_translates_x_to_y():
    model = tiny.cyclegan()
    images = tiny.images(3)
    expected = model.generator_g(images)
    np.testing.assert_allclose(model.predict(images, verbose=0), expected, atol=1e-6)


def test_fit_on_arrays():
    model = tiny.cyclegan()
    model.compile(run_eagerly=True)
    history = model.fit(tiny.images(4), tiny.images(4), batch_size=2, verbose=0)
    assert set(history.history) == {"loss", *CycleGAN.loss_names}


def test_networks_must_fit_one_another():
    gray = cyclegan_tf.resnet_generator(4, 1, image_shape=(None, None, 1))
    colour = cyclegan_tf.resnet_generator(4, 1)
    discriminator = cyclegan_tf.patchgan_discriminator(4, 1)
    with pytest.raises(ValueError, match="generator_g's output must have 1 channels"):
        cyclegan_tf.CycleGAN(colour, gray, discriminator, discriminator)

    to_gray = cyclegan_tf.resnet_generator(4, 1, output_channels=1)
    to_colour = cyclegan_tf.resnet_generator(
        4, 1, image_shape=(None, None, 1), output_channels=3
    )
    judge_gray = cyclegan_tf.patchgan_discriminator(4, 1, image_shape=(None, None, 1))
    with pytest.raises(ValueError, match="identity_weight must be 0"):
        cyclegan_tf.CycleGAN(to_gray, to_colour, discriminator, judge_gray)
    model = cyclegan_tf.CycleGAN(
        to_gray, to_colour, discriminator, judge_gray, identity_weight=0.0
    )
    model.compile(run_eagerly=True)
    model.train_on_batch(tiny.images(1), tiny.images(1)[..., :1])


def test_unknown_loss():
    with pytest.raises(ValueError, match="must be one of lsgan"):
        tiny.cyclegan().compile(adversarial_loss="gan")
