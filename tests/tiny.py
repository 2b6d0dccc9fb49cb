"""Models and images small enough to train in a test."""

import contextlib
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

import cyclegan_tf
from cyclegan_tf.config.options import DatasetConfig, TrainConfig
from cyclegan_tf.models.adversarial import AdversarialModel
from cyclegan_tf.models.networks import blocks
from cyclegan_tf.runs.run import Run


def cyclegan(filters=4, resnet=False, **options):
    """Build a model whose step is traced in seconds; with `resnet`, of our networks."""
    if resnet:
        networks = [
            *(cyclegan_tf.resnet_generator(filters, 1) for _ in range(2)),
            *(cyclegan_tf.patchgan_discriminator(filters, 2) for _ in range(2)),
        ]
    else:
        networks = [
            *(generator(filters) for _ in range(2)),
            *(discriminator(filters) for _ in range(2)),
        ]
    return cyclegan_tf.CycleGAN(*networks, **options)


def cyclegan_in_float16():
    """Build a model whose networks compute in float16."""
    keras.config.set_dtype_policy("mixed_float16")
    try:
        return cyclegan()
    finally:
        keras.config.set_dtype_policy("float32")


def generator(filters=4):
    """Two convolutions with an instance norm between them, for images of any size."""
    image = keras.Input((None, None, 3))
    x = blocks.conv(filters, 3, padding="same", name="conv_0")(image)
    x = keras.ops.relu(blocks.instance_norm()(x))
    x = blocks.conv(3, 3, padding="same", name="conv_1")(x)
    return keras.Model(image, blocks.float_output("tanh", "translated")(x))


def discriminator(filters=4):
    """Two convolutions with an instance norm between them."""
    image = keras.Input((None, None, 3))
    x = blocks.conv(filters, 4, strides=2, padding="same", name="conv_0")(image)
    x = keras.ops.leaky_relu(blocks.instance_norm()(x), 0.2)
    x = blocks.conv(1, 4, padding="same", name="conv_1")(x)
    return keras.Model(image, blocks.float_output("linear", "logits")(x))


def replicas(*devices):
    """Return a strategy that adds up without collectives.

    TensorFlow takes those of another strategy in one process, such as that of
    test_cyclegan.py, for its own, also if their types or shapes differ.
    """
    return tf.distribute.MirroredStrategy(devices, tf.distribute.ReductionToOneDevice())


def foreign_generators():
    """Small generators unlike ours: their size multiples, and what builds them."""
    layers = keras.layers

    def network(*inside):
        image = x = keras.Input((None, None, 3))
        for layer in inside:
            x = layer(x)
        return keras.Model(image, x)

    def halve():
        return layers.Conv2D(3, 3, strides=2, padding="same")

    def double(by=2):
        return layers.Conv2DTranspose(3, 3, strides=by, padding="same")

    return {
        "pooling": (2, lambda: network(layers.AveragePooling2D(2), double())),
        "pooling by 4": (4, lambda: network(layers.MaxPooling2D(4), double(4))),
        "separable": (
            2,
            lambda: network(
                layers.SeparableConv2D(4, 3, strides=2, padding="same"), double()
            ),
        ),
        "operation": (
            2,
            lambda: network(lambda x: keras.ops.average_pool(x, 2), double()),
        ),
        "slices": (2, lambda: network(lambda x: x[:, ::2, ::2], double())),
        "thirds": (3, lambda: network(layers.MaxPooling2D(3), double(3))),
        "nested": (
            4,
            lambda: network(network(halve()), network(halve()), double(4)),
        ),
        "nested twice": (2, lambda: network(network(network(halve())), double())),
        "nested resize": (
            2,
            lambda: network(
                network(halve(), layers.UpSampling2D(interpolation="bilinear"))
            ),
        ),
        "sequential": (
            2,
            lambda: network(keras.Sequential([halve()]), double()),
        ),
    }


def untrained_run(folder, filters=4, **dataset):
    """Make a run on the demo, with small generators as after a checkpoint."""
    run = Run.create(folder, TrainConfig(DatasetConfig("demo", **dataset)))
    for direction in "gf":
        network = cyclegan_tf.resnet_generator(filters, 1)
        network.save(run.generator_path(direction))
    return run


def images(count, side=16, seed=0):
    random = np.random.default_rng(seed)
    return random.uniform(-1, 1, (count, side, side, 3)).astype("float32")


def noise(count, side=32, channels=3, seed=0):
    """Images of random gray levels, uint8 (side, side, channels)."""
    random = np.random.default_rng(seed)
    return list(random.integers(0, 256, (count, side, side, channels), dtype=np.uint8))


def dataset(count=8, batch_size=2):
    pairs = (images(count, seed=1), images(count, seed=2))
    return tf.data.Dataset.from_tensor_slices(pairs).batch(batch_size)


def largest_difference(first, second):
    """Largest absolute difference of the weights of two models."""
    return max(
        np.abs(a.astype("float64") - b).max()
        for a, b in zip(first.get_weights(), second.get_weights(), strict=True)
    )


def write_domains(folder, count=4, side=24, splits=("trainA", "trainB")):
    """Write folders of random images."""
    import pathlib

    from cyclegan_tf.images import write_image

    random = np.random.default_rng(0)
    for split in splits:
        for i in range(count):
            pixels = random.integers(0, 256, (side, side, 3), dtype=np.uint8)
            write_image(pathlib.Path(folder, split, f"{i}.png"), pixels)
    return folder


@contextlib.contextmanager
def eagerly():
    """Let models train without graphs: for a few steps, tracing is most of the time."""
    compile_as_asked = AdversarialModel.compile

    def compile_eagerly(model, *arguments, **options):
        compile_as_asked(model, *arguments, **(options | {"run_eagerly": True}))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AdversarialModel, "compile", compile_eagerly)
        yield


def wait_until(condition, seconds=60):
    """Wait until `condition()` is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.1)
