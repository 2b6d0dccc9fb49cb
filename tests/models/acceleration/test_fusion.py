"""Fewer operations, the same results."""

import collections

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny

import cyclegan_tf
from cyclegan_tf.models.acceleration.fusion import fused
from cyclegan_tf.models.acceleration.tracing import traced
from cyclegan_tf.models.networks.blocks import instance_norm


def kinds(network):
    return collections.Counter(type(each).__name__ for each in network.operations)


def outputs_and_gradients(network, weights, images):
    """Output, and the gradients of its mean square for the images and the weights."""

    @tf.function(autograph=False)
    def step(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            output = network(images, training=True)
            loss = tf.reduce_mean(tf.square(tf.cast(output, tf.float32)))
        return output, tape.gradient(loss, [images, *weights])

    output, gradients = step(images)
    return [np.asarray(each, np.float32) for each in (output, *gradients)]


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """Processors compute the operations for GPUs, too: in graphs, by oneDNN."""
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [kind])


NETWORKS = pytest.mark.parametrize(
    "network",
    [
        lambda: cyclegan_tf.resnet_generator(4, 2),
        lambda: cyclegan_tf.mobile_resnet_generator([4, 4, 8, 4, 4], [4, 4]),
        lambda: cyclegan_tf.unet_generator(4, num_levels=4, norm="instance_affine"),
        lambda: cyclegan_tf.patchgan_discriminator(4, 2, norm_epsilon=1e-2),
        lambda: cyclegan_tf.resnet_generator(48, 1),
    ],
    ids=["resnet", "mobile_resnet", "unet", "patchgan", "wide_resnet"],
)


@pytest.mark.parametrize("batch", [1, 3])
@NETWORKS
def test_results_are_the_same(network, batch):
    # Where a ReLU's input is zero but for rounding, gradients may differ by all of it.
    keras.utils.set_random_seed(0)
    network = network()
    images = tf.constant(tiny.images(batch, side=32))
    weights = [weight.value for weight in network.trainable_weights]
    expected = outputs_and_gradients(network, weights, images)
    found = outputs_and_gradients(fused(network), weights, images)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


@NETWORKS
def test_results_are_the_same_on_a_gpu(network, as_on_a_gpu):
    test_results_are_the_same(network, batch=3)
    assert "NarrowConv" not in kinds(fused(network()))


def calls_in_a_gradient(network, spec):
    """Return the call of a traced network in a graph, and that of its gradient."""
    call = traced(network)

    @tf.function(autograph=False)
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = call(x, training=True, any_length=spec.shape[0] is None)
        return tape.gradient(y, x)

    operations = gradient.get_concrete_function(spec).graph.get_operations()
    return [each for each in operations if "PartitionedCall" in each.type]


def test_a_gpu_gets_one_operation_for_an_instance_norm(as_on_a_gpu):
    images = keras.Input((8, 8, 4))
    network = fused(keras.Model(images, instance_norm(scale=True)(images)))
    calls = calls_in_a_gradient(network, tf.TensorSpec((None, 8, 8, 4)))
    library = calls[0].graph.as_graph_def().library.function
    names = {call.get_attr("f").name for call in calls}
    found = collections.Counter(
        node.op
        for function in library
        if function.signature.name in names
        for node in function.node_def
    )
    assert found["FusedBatchNormV3"] == found["FusedBatchNormGradV3"] == 1
    assert found["Transpose"] == 4
    assert not {"Mean", "Rsqrt", "InvertPermutation", "Tile"} & found.keys()


@pytest.mark.parametrize("batch", [1, 4])
def test_the_gradient_of_an_instance_norm_keeps_its_input_once(batch):
    images = keras.Input((64, 64, 8))
    network = fused(keras.Model(images, keras.ops.relu(instance_norm()(images))))
    shape = (batch, 64, 64, 8)
    forward, backward = calls_in_a_gradient(network, tf.TensorSpec(shape))
    kept = [each.shape for each in backward.inputs if each.op is forward]
    sizes = [shape.num_elements() for shape in kept]
    # The input of the norm, and the output of the ReLU.
    assert sizes.count(batch * 64 * 64 * 8) == 2


@pytest.mark.parametrize(
    ("network", "cancelled"),
    [
        # All but the first and the last convolution of a discriminator are normalized.
        (lambda: cyclegan_tf.patchgan_discriminator(4, 2), 2),
        (lambda: cyclegan_tf.resnet_generator(4, 2), 1 + 2 + 2 * 2 + 2),
        (lambda: cyclegan_tf.resnet_generator(4, 2, norm="none"), 0),
        (lambda: cyclegan_tf.mobile_resnet_generator([4, 4, 8, 4, 4], [4, 4]), 13),
    ],
)
def test_a_bias_that_a_norm_takes_away_is_not_trained(network, cancelled):
    network = network()
    assert kinds(fused(network))["CancelledBias"] == cancelled
    images = tf.constant(tiny.images(2, side=32))
    biases = [
        layer.bias.value
        for layer in network.layers
        if getattr(layer, "bias", None) is not None
    ]
    for bias in biases:
        bias.assign(tf.fill(bias.shape, 0.5))
    found = outputs_and_gradients(fused(network), biases, images)
    expected = outputs_and_gradients(network, biases, images)
    assert sum(not gradient.any() for gradient in found[2:]) == cancelled
    np.testing.assert_allclose(found[0], expected[0], atol=2e-5)


def normalized_twice(images):
    """The bias shows in the second of the outputs."""
    convolved = keras.layers.Conv2D(4, 3)(images)
    return [instance_norm()(convolved), keras.layers.ReLU()(convolved)]


def an_output_itself(images):
    convolved = keras.layers.Conv2D(4, 3)(images)
    return [instance_norm()(convolved), convolved]


def through_an_activation(images):
    return instance_norm()(keras.layers.Conv2D(4, 3, activation="relu")(images))


def by_shared_layers(images):
    """Keras knows the first calls only: of the second, one goes to a ReLU."""
    convolution, norm = keras.layers.Conv2D(3, 3), instance_norm()
    first = norm(convolution(images))
    return [first, keras.layers.ReLU()(convolution(first))]


@pytest.mark.parametrize(
    "build",
    [normalized_twice, an_output_itself, through_an_activation, by_shared_layers],
)
def test_a_bias_that_matters_stays(build):
    images = keras.Input((16, 16, 3))
    network = keras.Model(images, build(images))
    assert kinds(fused(network))["CancelledBias"] == 0


def test_the_size_of_a_batch_may_be_unknown():
    network = cyclegan_tf.resnet_generator(4, 1)
    images = tiny.images(3, side=16)
    call = tf.function(fused(network), autograph=False).get_concrete_function(
        tf.TensorSpec((None, None, None, 3))
    )
    np.testing.assert_allclose(call(tf.constant(images)), network(images), atol=1e-5)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_normalized_as_precisely(dtype):
    images = keras.Input((32, 32, 3), dtype=dtype)
    policy = f"mixed_{dtype}"
    norm = keras.layers.GroupNormalization(-1, epsilon=1e-5, dtype=policy)
    network = keras.Model(images, norm(images))
    joined = fused(network)
    assert kinds(joined) == {"InputLayer": 1, "InstanceNorm": 1}
    values = tf.cast(7 + tf.random.normal((2, 32, 32, 3), seed=0), dtype)
    exact = instance_norm()(tf.cast(values, tf.float32))
    found = joined(values)
    assert found.dtype == dtype
    # Only the result is rounded: half a step of the numbers below 8.
    step = 8 * {"bfloat16": 2**-8, "float16": 2**-11}[dtype]
    np.testing.assert_allclose(tf.cast(found, tf.float32), exact, atol=step / 2 + 1e-5)


def test_mixed_precision_stays_with_the_network():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = cyclegan_tf.resnet_generator(48, 1)
    finally:
        keras.config.set_dtype_policy("float32")
    joined = fused(network)
    counts = kinds(joined)
    assert counts["InstanceNorm"] == 7
    assert counts["NarrowConv"] == 1
    assert counts["Cast"] == 0
    images = tiny.images(1, side=32)
    found, expected = joined(images), network(images)
    assert found.dtype == expected.dtype == tf.float32
    # bfloat16 has 8 bits; the two round in different places.
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_the_layers_are_shared():
    network = cyclegan_tf.resnet_generator(4, 2)
    joined = fused(network)
    assert kinds(joined)["InstanceNorm"] == 9
    assert not {"Cropping2D", "GroupNormalization"} & kinds(joined).keys()
    assert [id(each) for each in joined.weights] == [id(e) for e in network.weights]


def test_the_network_stays_as_it_was(tmp_path):
    network = cyclegan_tf.resnet_generator(4, 2)
    before = network.to_json()
    fused(network)
    assert network.to_json() == before
    network.save(tmp_path / "g.keras")
    loaded = keras.saving.load_model(tmp_path / "g.keras")
    assert kinds(loaded) == kinds(network)
    assert kinds(fused(loaded))["InstanceNorm"] == 9


def test_a_sequential_model_is_fused_too():
    network = keras.Sequential(
        [keras.Input((9, 9, 2)), keras.layers.Cropping2D(((1, 0), (2, 1)))]
    )
    images = tiny.images(2, side=9)[..., :2]
    assert kinds(fused(network)) == {"InputLayer": 1, "Crop": 1}
    np.testing.assert_array_equal(fused(network)(images), network(images))


@pytest.mark.parametrize(
    ("filters", "kernel_size", "options"),
    [
        (3, 7, {}),
        (2, (5, 2), {"activation": "tanh", "use_bias": False}),
        (1, 4, {"bias_initializer": "ones"}),
    ],
)
def test_a_convolution_to_few_channels_becomes_two(filters, kernel_size, options):
    images = keras.Input((None, None, 64))
    layer = keras.layers.Conv2D(filters, kernel_size, **options)
    network = keras.Model(images, layer(images))
    joined = fused(network)
    assert kinds(joined) == {"InputLayer": 1, "NarrowConv": 1}
    assert joined.output_shape == network.output_shape
    assert [id(each) for each in joined.weights] == [id(e) for e in network.weights]
    weights = [weight.value for weight in network.weights]
    values = tf.random.normal((2, 11, 13, 64), seed=0)
    expected = outputs_and_gradients(network, weights, values)
    found = outputs_and_gradients(joined, weights, values)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_layer_may_be_called_twice():
    images = keras.Input((9, 9, 128))
    layer = keras.layers.Conv2D(1, 4)
    sum_of_halves = layer(images[..., :64]) + layer(images[..., 64:])
    network = keras.Model(images, sum_of_halves)
    joined = fused(network)
    assert kinds(joined)["NarrowConv"] == 2
    values = tf.random.normal((1, 9, 9, 128), seed=0)
    np.testing.assert_allclose(joined(values), network(values), atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"strides": 2},
        {"padding": "same"},
        {"dilation_rate": 2},
        {"groups": 3},
        {"filters": 15},
        {"kernel_size": (1, 7)},
    ],
    ids=str,
)
def test_other_convolutions_are_left_alone(options):
    images = keras.Input((16, 16, 48))
    layer = keras.layers.Conv2D(**{"filters": 3, "kernel_size": 7, **options})
    network = keras.Model(images, layer(images))
    assert kinds(fused(network)) == {"InputLayer": 1, "Conv2D": 1}


@pytest.mark.parametrize(
    "layer",
    [
        lambda: keras.layers.GroupNormalization(groups=1),
        lambda: keras.layers.GroupNormalization(groups=-1, axis=1),
        lambda: keras.layers.LayerNormalization(),
        lambda: keras.layers.BatchNormalization(synchronized=True),
    ],
)
def test_other_norms_are_left_alone(layer):
    images = keras.Input((8, 8, 4))
    network = keras.Model(images, layer()(images))
    assert kinds(fused(network)) == kinds(network)


def test_a_batch_norm_keeps_an_unbiased_running_variance():
    images = keras.Input((2, 2, 4))
    norm = keras.layers.BatchNormalization(momentum=0.9)
    network = keras.Model(images, norm(images))
    values = keras.random.normal((2, 2, 2, 4), seed=0)
    expected = network(values, training=True)
    norm.set_weights([*norm.get_weights()[:2], np.zeros(4), np.ones(4)])

    found = fused(network)(values, training=True)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    flat = np.reshape(values, (8, 4))
    np.testing.assert_allclose(norm.moving_mean, 0.1 * flat.mean(0), atol=1e-6)
    unbiased = 0.9 + 0.1 * flat.var(0, ddof=1)
    np.testing.assert_allclose(norm.moving_variance, unbiased, atol=1e-6)

    before = norm.get_weights()
    np.testing.assert_array_equal(fused(network)(values), network(values))
    np.testing.assert_array_equal(norm.get_weights(), before)


def test_float64_stays_precise():
    images = keras.Input((8, 8, 3), dtype="float64")
    norm = keras.layers.GroupNormalization(groups=-1, dtype="float64")
    network = keras.Model(images, norm(images))
    values = tf.constant(tiny.images(2, side=8).astype("float64"))
    np.testing.assert_allclose(fused(network)(values), network(values), atol=1e-14)


def test_an_image_of_one_pixel():
    images = keras.Input((1, 1, 3))
    network = keras.Model(images, instance_norm()(images))
    assert np.all(fused(network)(tf.fill((2, 1, 1, 3), 5.0)) == 0)


def test_norms_of_other_data_than_images_stay():
    network = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(4), keras.layers.BatchNormalization()]
    )
    points = tf.constant([[1.0, 2.0], [3.0, 5.0]])
    np.testing.assert_allclose(
        fused(network)(points, training=True), network(points, training=True)
    )
