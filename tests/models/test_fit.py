"""`fit` takes what Keras takes, and refuses the rest in a sentence."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny
import torch

import cyclegan_tf
from cyclegan_tf.models.cyclegan import CycleGAN


@pytest.fixture
def model():
    """Eager, which for a few steps is faster than tracing them."""
    model = tiny.cyclegan(pool_size=3)
    model.compile(run_eagerly=True)
    return model


X, Y = tiny.images(4, seed=1), tiny.images(4, seed=2)


def generator(batches=2):
    for i in range(batches):
        yield X[2 * i : 2 * i + 2], Y[2 * i : 2 * i + 2]


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 2

    def __getitem__(self, i):
        return X[2 * i : 2 * i + 2], Y[2 * i : 2 * i + 2]


def dataset(x=X, y=Y):
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(2)


def of_unknown_rank():
    return dataset().map(
        lambda x, y: tf.numpy_function(
            lambda x, y: (x, y), (x, y), (tf.float32, tf.float32)
        )
    )


def torch_loader():
    pairs = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))
    return torch.utils.data.DataLoader(pairs, batch_size=2)


def trained_on(data, pool_size, run_eagerly=True):
    keras.utils.set_random_seed(0)
    model = tiny.cyclegan(pool_size=pool_size)
    model.compile(
        keras.optimizers.SGD(0.01),
        keras.optimizers.SGD(0.01),
        run_eagerly=run_eagerly,
    )
    model.fit(data, shuffle=False, steps_per_epoch=2, verbose=0)
    return model


@pytest.fixture(scope="module")
def trained_on_a_dataset():
    return {pool_size: trained_on(dataset(), pool_size) for pool_size in (0, 3)}


@pytest.mark.parametrize("pool_size", [0, 3])
@pytest.mark.parametrize(
    "data",
    [
        generator,
        Batches,
        torch_loader,
        of_unknown_rank,
        lambda: dataset(X.astype("float64"), Y.astype("float64")),
        lambda: dataset(X.astype("float16"), Y.astype("float16")),
    ],
    ids=["generator", "PyDataset", "DataLoader", "rank", "float64", "float16"],
)
def test_every_form_of_data_trains_alike(data, pool_size, trained_on_a_dataset):
    # Only in a graph has the data an unknown rank.
    found = trained_on(data(), pool_size, run_eagerly=data is not of_unknown_rank)
    assert int(found.generator_optimizer.iterations) == 2
    # float16 images differ from float32 ones by up to 5e-4.
    limit = 2e-3 if pool_size else 1e-4
    assert tiny.largest_difference(found, trained_on_a_dataset[pool_size]) < limit


@pytest.mark.parametrize(
    ("x", "y", "sentence"),
    [
        (np.zeros((4, 16, 16, 3), "uint8"), Y, "real_x must be float images in"),
        (X, (Y + 1) * 127.5, r"real_y must be images in \[-1, 1\], but a batch has v"),
        (X, Y * np.nan, "values from nan to nan"),
        (X, Y[:3], "must have the same number of images. Received: 4 and 3"),
        (X[:, :, :, :1], Y, r"real_x must be batches of images \(batch, height"),
        (X[0], Y[0], r"Received: shape \(16, 16, 3\)"),
        (X, None, "A batch must be .real_x, real_y.: images of both domains"),
        ([], None, "fit needs at least one batch"),
    ],
    ids=["uint8", "0-255", "nan", "unequal", "gray", "unbatched", "one", "empty"],
)
def test_refused_arrays(model, x, y, sentence):
    with pytest.raises(ValueError, match=sentence) as error:
        model.fit(x, y, verbose=0)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (lambda: dataset().map(lambda x, y: x), "A batch must be .* Received: one"),
        (lambda: dataset().map(lambda x, y: (x, y, y)), "Received: 3 items"),
        (lambda: dataset((X * 255).astype("uint8")), "dtype uint8; divide"),
        (lambda: dataset().unbatch(), r"Received: shape \(16, 16, 3\)"),
        (
            lambda: dataset(np.concatenate([X[:2], (X[2:] + 1) * 127.5])),
            r"real_x must be images in \[-1, 1\], but a batch has values from",
        ),
        (
            lambda: (pair for pair in [((X + 1) * 127.5, Y)]),
            "real_x must be images in",
        ),
    ],
    ids=["one", "weights", "uint8", "unbatched", "second batch", "generator"],
)
def test_refused_batches(model, data, sentence):
    with pytest.raises(ValueError, match=sentence) as error:
        model.fit(data(), verbose=0)
    assert "\n" not in str(error.value)


def test_sides_must_fit_the_generators():
    model = tiny.cyclegan(resnet=True)
    model.compile(run_eagerly=True)
    images = tiny.images(2, side=30)
    with pytest.raises(ValueError, match="width 30; make both multiples of 4"):
        model.fit(images, images, verbose=0)


def test_the_size_of_a_pool_is_that_of_its_first_images(model):
    model.fit(X, Y, verbose=0)
    larger = tiny.images(2, side=20)
    with pytest.raises(ValueError, match=r"holds images of \(16, 16, 3\), and takes"):
        model.fit(larger, larger, verbose=0)


def test_a_size_that_changes_on_the_way(model):
    model.compile()

    def sizes():
        for side in (16, 20):
            yield tiny.images(1, side=side), tiny.images(1, side=side)

    data = tf.data.Dataset.from_generator(
        sizes, output_signature=(tf.TensorSpec((None, None, None, 3)),) * 2
    )
    with pytest.raises(ValueError, match="the image pool holds images of"):
        model.fit(data, verbose=0)


def test_batches_of_unlike_length(model):
    model.compile()
    data = tf.data.Dataset.zip(
        *(
            tf.data.Dataset.from_tensor_slices(z).batch(3)
            for z in (X, np.tile(Y, (2, 1, 1, 1)))
        )
    )
    with pytest.raises(ValueError, match="batches of equal length"):
        model.fit(data, verbose=0)


def test_validation_data_are_checked_too(model):
    with pytest.raises(ValueError, match="real_y must be images in"):
        model.fit(X, Y, validation_data=(X, Y * 255), verbose=0)
    with pytest.raises(ValueError, match="dtype uint8"):
        model.evaluate((X * 255).astype("uint8"), Y, verbose=0)
    history = model.fit(X, Y, validation_data=dataset(), epochs=2, verbose=0).history
    assert len(history["val_loss"]) == 2


def test_the_methods_of_keras_after_fit(model, tmp_path):
    model.fit(X, Y, verbose=0)
    results = model.evaluate(X, Y, return_dict=True, verbose=0)
    assert set(results) == {"loss", *CycleGAN.loss_names}
    assert model.predict(X, verbose=0).shape == X.shape
    assert np.isfinite(model.train_on_batch(X, Y, return_dict=True)["loss"])
    assert np.isfinite(model.test_on_batch(X, Y, return_dict=True)["loss"])
    model.export(tmp_path / "exported", verbose=False)
    exported = tf.saved_model.load(str(tmp_path / "exported"))
    np.testing.assert_allclose(exported.serve(X), model.generator_g(X), atol=1e-5)


def test_loss_is_the_sum_of_the_quality_losses(model):
    logs = model.test_on_batch(X, Y, return_dict=True)
    assert float(logs["loss"]) == pytest.approx(
        sum(float(logs[name]) for name in CycleGAN.quality_losses)
    )


def test_callbacks_move_both_rates(model):
    model.compile(
        keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.2), run_eagerly=True
    )
    halve = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    model.fit(X, Y, callbacks=[halve], verbose=0)
    both = model.generator_optimizer, model.discriminator_optimizer
    rates = [float(optimizer.learning_rate) for optimizer in both]
    assert rates == pytest.approx([0.05, 0.1])

    # No loss falls by 100 at once.
    plateau = keras.callbacks.ReduceLROnPlateau("loss", 0.1, patience=1, min_delta=100)
    model.fit(X, Y, epochs=2, callbacks=[plateau], verbose=0)
    rates = [float(optimizer.learning_rate) for optimizer in both]
    assert rates == pytest.approx([0.005, 0.01])

    model.optimizer.learning_rate = 1.0
    assert [float(optimizer.learning_rate) for optimizer in both] == [1.0, 1.0]


def test_terminate_on_nan_fires(model):
    model.generator_g.layers[1].kernel.assign(
        np.full(model.generator_g.layers[1].kernel.shape, np.nan)
    )
    history = model.fit(
        X, Y, epochs=3, callbacks=[keras.callbacks.TerminateOnNaN()], verbose=0
    )
    assert len(history.epoch) == 1


@pytest.mark.parametrize("monitor", ["val_loss", "val_cycle_x_loss"])
def test_callbacks_know_that_less_is_better(model, monitor, tmp_path):
    best = keras.callbacks.ModelCheckpoint(
        tmp_path / "best.keras", monitor=monitor, save_best_only=True
    )
    stop = keras.callbacks.EarlyStopping(monitor, patience=1, min_delta=100)
    history = model.fit(
        *(X, Y),
        epochs=5,
        validation_data=(X, Y),
        callbacks=[best, stop],
        verbose=0,
    )
    assert len(history.epoch) == 2
    assert best.best == pytest.approx(min(history.history[monitor]))
    keras.saving.load_model(tmp_path / "best.keras")


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"optimizer": "adam"}, "optimizer"),
        ({"loss": "mse"}, "loss"),
        ({"metrics": ["mae"]}, "metrics"),
    ],
)
def test_compile_refuses_what_it_does_not_use(model, arguments, name):
    with pytest.raises(ValueError, match=f"computes its losses itself.*: {name}$"):
        model.compile(**arguments)


@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("fit", "sample_weight"),
        ("fit", "class_weight"),
        ("evaluate", "sample_weight"),
        ("train_on_batch", "sample_weight"),
        ("train_on_batch", "class_weight"),
        ("test_on_batch", "sample_weight"),
    ],
)
def test_weights_of_images_are_refused(model, method, name):
    with pytest.raises(ValueError, match=f"do not support {name}; leave it out"):
        getattr(model, method)(X, Y, **{name: np.ones(4)})
    with pytest.raises(ValueError, match="must be .real_x, real_y.. Received: 3 items"):
        model.fit(X, Y, validation_data=(X, Y, np.ones(4)), verbose=0)


def test_regularizers_are_refused():
    image = keras.Input((None, None, 3))
    convolution = keras.layers.Conv2D(
        3, 3, padding="same", kernel_regularizer="l2", name="regular"
    )
    generator = keras.Model(image, convolution(image))
    model = cyclegan_tf.CycleGAN(
        generator, tiny.generator(), tiny.discriminator(), tiny.discriminator()
    )
    with pytest.raises(ValueError, match="generator_g must not have reg.* layer regu"):
        model.compile()


def test_freezing_needs_a_new_compile(model):
    model.generator_f.trainable = False
    for method in (model.fit, model.train_on_batch):
        with pytest.raises(ValueError, match="compile again"):
            method(X, Y)
    model.compile(run_eagerly=True)
    before = model.generator_f.get_weights(), model.generator_g.get_weights()
    model.fit(X, Y, verbose=0)
    for old, new in zip(before[0], model.generator_f.get_weights()):
        np.testing.assert_array_equal(old, new)
    assert np.abs(before[1][0] - model.generator_g.get_weights()[0]).max() > 0


@pytest.mark.parametrize("how", ["load_weights", "set_weights"])
def test_weights_bring_the_pools(model, how, tmp_path):
    model.fit(X, Y, verbose=0)
    fresh = tiny.cyclegan(pool_size=3)
    if how == "load_weights":
        model.save_weights(tmp_path / "all.weights.h5")
        fresh.load_weights(tmp_path / "all.weights.h5")
    else:
        fresh.set_weights(model.get_weights())
    assert int(fresh.pool_x.num_seen.value) == 4
    assert tiny.largest_difference(fresh, model) == 0.0


def with_dropout():
    networks = [cyclegan_tf.unet_generator(2, 4, dropout=True) for _ in "gf"]
    networks += [tiny.discriminator() for _ in "xy"]
    return cyclegan_tf.CycleGAN(*networks, pool_size=3)


@pytest.mark.parametrize(
    ("build", "loss"),
    [
        (lambda: tiny.cyclegan(pool_size=3), "bce"),
        (lambda: tiny.cyclegan(pool_size=3), "wgan-gp"),
        (with_dropout, "lsgan"),
    ],
    ids=["bce", "wgan-gp", "dropout"],
)
def test_a_model_goes_on_exactly(build, loss, tmp_path):
    """One epoch, saved, and one of a fresh model equal two: nothing is drawn anew."""

    def fresh():
        model = build()
        model.compile(adversarial_loss=loss, run_eagerly=True)
        return model

    whole, first, second = fresh(), fresh(), fresh()
    first.set_weights(whole.get_weights())
    first.load_own_variables(states_of(whole))
    whole.fit(dataset(), epochs=2, verbose=0)
    first.fit(dataset(), verbose=0)
    first.save(tmp_path / "model.keras")
    second.load_weights(tmp_path / "model.keras")
    second.fit(dataset(), verbose=0)
    assert tiny.largest_difference(second, whole) == 0.0


def states_of(model):
    store = {}
    model.save_own_variables(store)
    return store
