"""The networks are the reference's, and need nothing but Keras to load."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tiny

import cyclegan_tf
from cyclegan_tf.models.networks import blocks
from cyclegan_tf.models.networks.blocks import instance_norm
from cyclegan_tf.models.networks.graph import size_multiple
from cyclegan_tf.models.networks.initializers import xavier_start

# Trainable parameters of the PyTorch reference, 64 filters.
PARAMETERS = [
    (cyclegan_tf.resnet_generator, {}, 11_378_179),
    (cyclegan_tf.resnet_generator, {"norm": "batch"}, 11_383_427),
    (cyclegan_tf.resnet_generator, {"norm": "none"}, 11_372_931),
    (cyclegan_tf.resnet_generator, {"image_shape": (None, None, 1)}, 11_365_633),
    (cyclegan_tf.resnet_generator, {"num_residual_blocks": 6}, 7_837_699),
    (
        cyclegan_tf.resnet_generator,
        {"num_residual_blocks": 6, "norm": "batch"},
        7_841_411,
    ),
    (cyclegan_tf.mobile_resnet_generator, {}, 356_867),
    (cyclegan_tf.unet_generator, {}, 54_409_603),
    (cyclegan_tf.unet_generator, {"norm": "batch"}, 54_413_955),
    (cyclegan_tf.unet_generator, {"num_levels": 7}, 41_825_667),
    (cyclegan_tf.unet_generator, {"num_levels": 7, "norm": "batch"}, 41_828_995),
    (cyclegan_tf.patchgan_discriminator, {}, 2_764_737),
    (cyclegan_tf.patchgan_discriminator, {"norm": "batch"}, 2_765_633),
    (cyclegan_tf.patchgan_discriminator, {"num_layers": 1}, 136_385),
    (cyclegan_tf.patchgan_discriminator, {"num_layers": 2}, 662_977),
    (cyclegan_tf.patchgan_discriminator, {"num_layers": 4}, 6_959_553),
    (cyclegan_tf.patchgan_discriminator, {"num_layers": 5}, 11_154_369),
    (cyclegan_tf.patchgan_discriminator, {"downsampling": "antialiased"}, 2_764_737),
    (
        cyclegan_tf.resnet_generator,
        {"downsampling": "antialiased", "upsampling": "antialiased"},
        11_378_179,
    ),
    (cyclegan_tf.pixel_discriminator, {}, 8_705),
]

# Each kind of network, small.
NETWORKS = {
    "resnet": lambda **options: cyclegan_tf.resnet_generator(4, 2, **options),
    "mobile": lambda **options: cyclegan_tf.mobile_resnet_generator(
        (2, 4, 8, 4, 2), (3, 5), **options
    ),
    "unet": lambda **options: cyclegan_tf.unet_generator(4, 5, **options),
    "patchgan": lambda **options: cyclegan_tf.patchgan_discriminator(4, **options),
    "pixel": lambda **options: cyclegan_tf.pixel_discriminator(4, **options),
}


@pytest.fixture(params=NETWORKS)
def build(request):
    return NETWORKS[request.param]


def random_images(*shape):
    return np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")


@pytest.mark.parametrize(("build", "options", "expected"), PARAMETERS)
def test_parameter_counts(build, options, expected):
    weights = build(**options).trainable_weights
    assert sum(int(np.prod(weight.shape)) for weight in weights) == expected


@pytest.mark.parametrize(
    "upsampling", ["transpose", "nearest", "bilinear", "antialiased"]
)
@pytest.mark.parametrize("kind", ["resnet", "mobile", "unet"])
def test_generators_keep_the_size(kind, upsampling):
    generator = NETWORKS[kind](upsampling=upsampling, dropout=0.5)
    translated = generator(random_images(2, 64, 96, 3))
    assert translated.shape == (2, 64, 96, 3)
    assert np.abs(translated).max() <= 1


def test_resnet_rounds_sides_up_to_four():
    generator = NETWORKS["resnet"]()
    assert generator(random_images(1, 29, 32, 3)).shape == (1, 32, 32, 3)


def test_channels():
    generator = NETWORKS["resnet"](image_shape=(None, None, 1), output_channels=3)
    assert generator(random_images(1, 16, 16, 1)).shape == (1, 16, 16, 3)


@pytest.mark.parametrize(
    ("num_layers", "side"), [(1, 126), (2, 62), (3, 30), (4, 14), (5, 6)]
)
def test_patchgan_map(num_layers, side):
    discriminator = cyclegan_tf.patchgan_discriminator(2, num_layers)
    assert discriminator.compute_output_shape((1, 256, 256, 3)) == (1, side, side, 1)


def test_size_multiple():
    assert size_multiple(NETWORKS["resnet"]()) == 4
    assert size_multiple(NETWORKS["mobile"]()) == 4
    assert size_multiple(NETWORKS["unet"]()) == 32
    assert size_multiple(NETWORKS["resnet"](upsampling="nearest")) == 4


def test_the_size_multiple_of_networks_of_others():
    for expected, make in tiny.foreign_generators().values():
        assert size_multiple(make()) == expected
    image = keras.Input((None, None, 3))
    larger = keras.Model(image, keras.layers.UpSampling2D()(image))
    with pytest.raises(ValueError, match="256x288 pixels becomes one of 512x576"):
        size_multiple(larger)
    with pytest.raises(ValueError, match="256x288 pixels becomes one of 62x70"):
        size_multiple(cyclegan_tf.patchgan_discriminator(2, 2))


def test_every_layer_starts_different():
    """A shared initializer would give layers of one shape the same weights."""
    generator = cyclegan_tf.resnet_generator(4, 3)
    kernels = [
        generator.get_layer(f"block_{i}_conv_{j}").kernel.numpy()
        for i in range(3)
        for j in range(2)
    ]
    for i, kernel in enumerate(kernels):
        assert kernel.std() == pytest.approx(0.02, rel=0.1)
        for other in kernels[:i]:
            assert np.abs(kernel - other).max() > 0.01


def test_two_generators_start_different():
    first, second = (cyclegan_tf.resnet_generator(4, 1) for _ in range(2))
    assert np.abs(first.get_weights()[0] - second.get_weights()[0]).max() > 0.01


def formula(x, epsilon=1e-5):
    """Ulyanov et al., equation 6, in float64."""
    x = np.asarray(x, "float64")
    mean, variance = x.mean((1, 2), keepdims=True), x.var((1, 2), keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon)


def test_instance_norm_is_the_formula():
    x = 3 * random_images(2, 5, 7, 4) + 1
    np.testing.assert_allclose(instance_norm()(x), formula(x), atol=1e-6)
    image = keras.Input((None, None, 4))
    network = keras.Model(image, instance_norm(1e-3)(image))
    assert network.output_shape == (None, None, None, 4)
    np.testing.assert_allclose(network(x), formula(x, 1e-3), atol=1e-6)


def test_instance_norm_in_half_precision_keeps_float32_statistics():
    """In float16 the square of 300 would overflow."""
    x = np.float16(300 * random_images(1, 8, 8, 2))
    layer = keras.layers.GroupNormalization.from_config(
        instance_norm().get_config() | {"dtype": "mixed_float16"}
    )
    normalized = layer(keras.ops.convert_to_tensor(x))
    assert normalized.dtype == "float16"
    np.testing.assert_allclose(normalized, formula(x), atol=2e-3)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_outputs_are_float32_under_mixed_precision(build, policy):
    keras.config.set_dtype_policy(policy)
    try:
        network = build()
    finally:
        keras.config.set_dtype_policy("float32")
    convolutions = [
        layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)
    ]
    assert {layer.compute_dtype for layer in convolutions} == {policy[6:]}
    assert network(random_images(1, 32, 32, 3)).dtype == "float32"


def test_saved_networks_load_in_plain_keras(tmp_path):
    """All of them in one process that never imports this package."""
    images = random_images(1, 32, 32, 3)
    for name, build in NETWORKS.items():
        for norm in ("instance", "instance_affine", "batch", "none"):
            network = build(norm=norm)
            network.save(tmp_path / f"{name}-{norm}.keras")
            np.save(tmp_path / f"{name}-{norm}.npy", network(images))
    np.save(tmp_path / "images.npy", images)
    script = """
import pathlib, sys, keras, numpy as np
images = np.load("images.npy")
for path in sorted(pathlib.Path().glob("*.keras")):
    found = np.asarray(keras.saving.load_model(path)(images))
    np.testing.assert_array_equal(found, np.load(path.with_suffix(".npy")), path.name)
    print(path.name)
assert not any(name.startswith("cyclegan_tf") for name in sys.modules)
"""
    result = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.split()) == 4 * len(NETWORKS)


@pytest.mark.parametrize(
    ("build", "options", "message"),
    [
        (cyclegan_tf.resnet_generator, {"norm": "layer"}, "norm must be one of"),
        (cyclegan_tf.resnet_generator, {"upsampling": "cubic"}, "upsampling must be"),
        (cyclegan_tf.resnet_generator, {"filters": 0}, "filters must be at least 1"),
        (cyclegan_tf.resnet_generator, {"num_residual_blocks": -1}, "not be negative"),
        (cyclegan_tf.resnet_generator, {"norm_epsilon": 0}, "norm_epsilon must be"),
        (cyclegan_tf.resnet_generator, {"padding": "valid"}, "padding must be one of"),
        (cyclegan_tf.mobile_resnet_generator, {"filters": (1, 2)}, "five numbers"),
        (cyclegan_tf.mobile_resnet_generator, {"block_filters": (0,)}, "at least 1"),
        (cyclegan_tf.unet_generator, {"num_levels": 1}, "num_levels must be at least"),
        (cyclegan_tf.patchgan_discriminator, {"num_layers": 6}, "from 1 to 5"),
        (cyclegan_tf.pixel_discriminator, {"norm": "no"}, "norm must be one of"),
    ],
)
def test_wrong_options(build, options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


@pytest.mark.parametrize("height, width", [(7, 8), (2, 5)])
def test_antialiased_downsampling_is_a_binomial_filter(height, width):
    images = keras.random.normal((1, height, width, 1), seed=0)
    x = np.pad(np.asarray(images)[0, :, :, 0], 1, mode="reflect")
    x = (x[:-2] + 2 * x[1:-1] + x[2:]) / 4
    x = (x[:, :-2] + 2 * x[:, 1:-1] + x[:, 2:]) / 4
    halved = np.asarray(blocks.blur_and_halve(images))[0, :, :, 0]
    np.testing.assert_allclose(halved, x[::2, ::2], atol=1e-6)


@pytest.mark.parametrize("height, width", [(1, 1), (3, 4)])
def test_antialiased_upsampling_is_the_filter_of_cut(height, width):
    images = keras.random.normal((1, height, width, 1), seed=0)
    pixel = keras.Input((None, None, 1))
    up = keras.Model(
        pixel, blocks.upsample(pixel, 1, "antialiased", use_bias=False, name="conv")
    )
    kernel = np.zeros((3, 3, 1, 1))
    kernel[1, 1] = 1
    up.set_weights([kernel])

    x = np.pad(np.asarray(images)[0, :, :, 0], 1, mode="edge")
    spread = np.zeros((2 * height + 7, 2 * width + 7))
    for i, row in enumerate([1, 3, 3, 1]):  # a transposed convolution of stride 2
        for j, column in enumerate([1, 3, 3, 1]):
            part = spread[i : i + 2 * height + 4 : 2, j : j + 2 * width + 4 : 2]
            part += x * row * column / 16
    expected = spread[3 : 3 + 2 * height, 3 : 3 + 2 * width]
    np.testing.assert_allclose(up(images)[0, :, :, 0], expected, atol=1e-6)


def test_cut_starts_from_xavier():
    network = cyclegan_tf.resnet_generator(16, 1, norm="instance_affine")
    xavier_start(network)
    kernel = np.asarray(network.get_layer("down_1_conv").kernel)
    expected = 0.02 * np.sqrt(2 / (9 * (32 + 64)))
    assert np.std(kernel) == pytest.approx(expected, rel=0.05)
    # A truncated normal would end at two standard deviations.
    assert np.abs(kernel).max() > 3 * expected
    assert not np.any(network.get_layer("head_conv").bias)
    assert np.mean(network.get_layer("stem_norm").gamma) == pytest.approx(1, abs=0.05)
