"""A network tells how it was built, also after it was saved and loaded."""

import keras
import numpy as np
import pytest

from cyclegan_tf.models.networks.architecture import Architecture
from cyclegan_tf.models.networks.graph import normalization_of
from cyclegan_tf.pretrained.recognition import architecture_of, same_network_of_ours

SMALL = {"filters": 2, "num_residual_blocks": 1}
AFFINE = {"norm": "instance_affine", "norm_epsilon": 1e-3}
CASES = [
    ("resnet", SMALL),
    ("resnet", {**SMALL, **AFFINE, "padding": "same", "dropout": 0.3}),
    ("resnet", {**SMALL, "num_residual_blocks": 0, "upsampling": "bilinear"}),
    ("resnet", {**SMALL, "image_shape": (None, None, 1), "output_channels": 3}),
    ("resnet", {**SMALL, "image_shape": (16, 32, 3), "norm": "none"}),
    ("resnet", {**SMALL, "downsampling": "antialiased", "upsampling": "antialiased"}),
    ("resnet", {**SMALL, "downsampling": "antialiased"}),
    ("resnet", {**SMALL, "upsampling": "antialiased"}),
    ("patchgan", {"filters": 2, "downsampling": "antialiased"}),
    ("mobile_resnet", {"filters": (2, 3, 4, 5, 6), "block_filters": (7, 8)}),
    ("mobile_resnet", {"filters": (2,) * 5, "block_filters": (1,), **AFFINE}),
    ("unet", {"filters": 2, "num_levels": 5, "norm": "batch"}),
    ("unet", {"filters": 2, "num_levels": 6, "dropout": 0.5, "upsampling": "nearest"}),
    ("patchgan", {"filters": 2, "num_layers": 2, "padding": "same", **AFFINE}),
    ("patchgan", {"filters": 2, "num_layers": 5}),
    ("pixel", {"filters": 2, "norm": "batch"}),
]


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_round_trip(kind, options, tmp_path):
    network = Architecture(kind, options).build("anything")
    network.save(tmp_path / "a.keras")
    found = architecture_of(keras.saving.load_model(tmp_path / "a.keras"))
    assert found.kind == kind
    assert {option: found.options[option] for option in options} == options
    assert architecture_of(found.build()) == found


def test_in_half_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = Architecture("resnet", {**SMALL, **AFFINE}).build()
    finally:
        keras.config.set_dtype_policy("float32")
    assert architecture_of(network).options["norm_epsilon"] == 1e-3


def test_an_outline_holds_no_values():
    outline = Architecture("resnet", {"filters": 4096}).outline()
    assert outline.get_layer("block_0_conv_0").kernel.shape == (3, 3, 16384, 16384)
    # Ending such a scope initializes what Keras knows to have no values: of this
    # network, 174 GB.
    with keras.StatelessScope():
        pass


def test_words():
    words = str(Architecture("resnet", {"filters": 64, "num_residual_blocks": 9}))
    assert words == "ResNet generator (9 residual blocks, 64 filters)"
    one = str(Architecture("patchgan", {"filters": 2, "num_layers": 1}))
    assert one == "PatchGAN discriminator (1 layer, 2 filters)"


def other_network(extra):
    """The names of our layers, with another layer in between."""
    image = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(2, 4, strides=2, name="layer_0_conv")(image)
    x = keras.layers.Conv2D(4, extra, name="layer_1_conv")(x)
    return keras.Model(image, keras.layers.Conv2D(1, 4, name="head_conv")(x))


def test_others_are_none_of_ours():
    assert architecture_of(other_network(extra=3)) is None
    sequential = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(3, 3)])
    assert architecture_of(sequential) is None
    assert normalization_of(other_network(extra=4))["norm"] == "none"


def renamed(network):
    """The same network with layers of other names."""
    return keras.models.clone_model(
        network,
        clone_function=lambda layer: layer.__class__.from_config(
            {**layer.get_config(), "name": f"other_{layer.name}"}
        ),
    )


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("resnet", {**SMALL, **AFFINE, "padding": "same"}),
        ("resnet", {**SMALL, "norm": "batch", "upsampling": "nearest"}),
        ("patchgan", {"filters": 2, "num_layers": 3, "padding": "same", **AFFINE}),
        ("patchgan", {"filters": 2, "num_layers": 1}),
    ],
)
def test_the_same_network_under_other_names(kind, options):
    network = Architecture(kind, options).build()
    stranger = renamed(network)
    stranger.set_weights(network.get_weights())
    assert architecture_of(stranger) is None
    found = same_network_of_ours(stranger)
    assert architecture_of(found) == architecture_of(network)
    x = np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, 3)).astype("float32")
    np.testing.assert_allclose(found(x), network(x), rtol=0, atol=1e-6)


def test_another_computation_with_the_same_weights():
    """Shapes alone do not make a network ours: here an activation is missing."""
    image = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(2, 4, strides=2, padding="same")(image)
    for filters in (4, 1):
        x = keras.layers.Conv2D(filters, 4, padding="same")(x)
    assert same_network_of_ours(keras.Model(image, x)) is None
