"""What phones' GPUs run: the same output without mirrored padding or large sums."""

import exported
import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny

import cyclegan_tf
from cyclegan_tf.export import litert
from cyclegan_tf.export.gpu_safe import ScaledMoments, gpu_safe
from cyclegan_tf.export.litert_runtime import LiteRTModel, cpu_only_operations
from cyclegan_tf.photographs import PHOTOGRAPHS
from cyclegan_tf.pretrained.read import read_network
from cyclegan_tf.translation.inference import Moments, inference_model

GENERATORS = {
    "resnet": lambda: cyclegan_tf.resnet_generator(4, 1),
    "bilinear": lambda: cyclegan_tf.resnet_generator(4, 1, upsampling="bilinear"),
    "antialiased": lambda: cyclegan_tf.resnet_generator(
        4, 1, downsampling="antialiased", upsampling="antialiased"
    ),
    "unet": lambda: cyclegan_tf.unet_generator(4, 3),
}


@pytest.mark.parametrize("name", GENERATORS)
def test_the_same_output_in_operations_of_gpus(name):
    generator = GENERATORS[name]()
    content = litert.convert(
        inference_model(generator), "float32", (40, 48), for_gpu=True
    )
    converted = LiteRTModel(content)
    assert not {"MIRROR_PAD", "MEAN"} & converted.operations.keys()
    assert not cpu_only_operations(converted.operations, "float32")
    assert max(converted.ranks) == 4
    image = tiny.images(1, 48)[:, :40]
    np.testing.assert_allclose(converted(image), generator(image), atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 16, 24, 3), (1, 1, 1, 3), (1, 7, 13, 3)])
def test_the_moments_of_any_size(shape):
    x = np.random.default_rng(0).normal(3, 20, shape).astype("float32")
    x[..., 0] = 0
    for safe, plain in zip(ScaledMoments()(x), Moments()(x), strict=True):
        np.testing.assert_allclose(safe, plain, rtol=1e-5, atol=1e-5)


def half_sum(values):
    """Add along the first axis in pairs, each sum rounded to float16.

    So do the threads of a GPU; one by one, a sum stops growing before it overflows.
    """
    while len(values) > 1:
        values = values[::2] + values[1::2]
    return values[0]


def half_mean(x, *_, **__):
    """The mean of an image as a GPU in half precision adds it up, in one stage."""
    pixels = np.asarray(x)[0].reshape(-1, x.shape[-1])
    mean = half_sum(pixels) / np.float16(len(pixels))
    return tf.constant(mean[None, None, None], tf.float16)


def half_pool(x, window, *_):
    """The mean of each window, likewise."""
    (height, width), values = window, np.asarray(x)[0]
    rows, columns = values.shape[0] // height, values.shape[1] // width
    blocks = values.reshape(rows, height, columns, width, -1).transpose(1, 3, 0, 2, 4)
    blocks = blocks.reshape(height * width, rows, columns, -1)
    return tf.constant(half_sum(blocks)[None] / np.float16(len(blocks)), tf.float16)


@pytest.mark.parametrize(
    ("mean", "deviation", "peak"),
    [
        (2, 1, 0),  # the sum of all pixels is too large for float16
        (0, 20, 0),  # the sum of their squares
        (0, 0.1, 300),  # one square
    ],
)
def test_half_precision_holds_the_sums_of_two_stages_only(
    mean, deviation, peak, monkeypatch
):
    """On maps of 256x256, like those before the norms of trained generators."""
    monkeypatch.setattr(tf, "reduce_mean", half_mean)
    monkeypatch.setattr(tf.nn, "avg_pool2d", half_pool)
    x = np.random.default_rng(0).normal(mean, deviation, (1, 256, 256, 2))
    x[0, :2, :2] += peak
    x = tf.constant(x, tf.float16)
    with np.errstate(over="ignore", invalid="ignore"):
        one_stage = Moments(dtype="float16")(x)
        two_stages = ScaledMoments(dtype="float16")(x)
    assert not np.isfinite(np.concatenate(one_stage)).all()
    exact = np.asarray(x, "float64")
    spread = exact.std((1, 2))
    np.testing.assert_allclose(
        two_stages[0][0, 0], exact.mean((1, 2)), atol=0.01 * spread.max()
    )
    np.testing.assert_allclose(two_stages[1][0, 0], spread**2, rtol=0.02)


def in_half_precision(model):
    """Copy a model so that all of it is computed in float16."""

    def copy(operation):
        config = operation.get_config()
        if isinstance(operation, keras.layers.Layer):
            config["dtype"] = "float16"
        return type(operation).from_config(config)

    image = keras.Input(model.input_shape[1:], dtype="float16")
    half = keras.models.clone_model(model, image, clone_function=copy)
    half.set_weights(model.get_weights())
    return half


def test_the_trained_mobile_generator_in_half_precision(shared):
    """It is lost as it is, and the same image when it is made safe."""
    weights = shared / "weights/horse2zebra_mobile/latest_net_G.pth"
    model = inference_model(read_network(weights).network)
    (image,) = exported.photographs(PHOTOGRAPHS[0].parent, 1, side=64)
    expected = np.asarray(model(image))

    def psnr(model):
        output = in_half_precision(model)(image.astype("float16"))
        return 10 * np.log10(4 / np.mean((np.float32(output) - expected) ** 2))

    assert psnr(gpu_safe(model)) >= 40
    assert not psnr(model) > 20  # or NaN
