"""Models that Keras 2 saved, with layers of TensorFlow Addons."""

import json
import pathlib
import shutil

import h5py
import keras
import numpy as np
import pytest

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.models.networks.blocks import Normalization
from cyclegan_tf.pretrained.keras2.files import (
    Keras2Model,
    read_h5,
    read_keras_zip,
    read_saved_model,
)
from cyclegan_tf.pretrained.keras2.layers import build_keras2_model
from cyclegan_tf.pretrained.recognition import architecture_of

GOLDEN = pathlib.Path(__file__).parents[2] / "golden/addons"


@pytest.fixture(scope="module")
def golden():
    """A generator of the Keras example, and an instance norm, as Addons computed."""
    return dict(np.load(GOLDEN / "golden.npz"))


def assert_golden(network, golden):
    np.testing.assert_allclose(network(golden["x"]), golden["y"], rtol=0, atol=1e-4)
    options = architecture_of(network).options
    assert options["num_residual_blocks"] == 9 and options["filters"] == 4
    assert (options["norm"], options["padding"]) == ("instance_affine", "same")
    assert options["norm_epsilon"] == 1e-3


def test_h5(golden):
    assert_golden(build_keras2_model(read_h5(GOLDEN / "generator.h5")), golden)


def test_saved_model(golden, shared):
    model = read_saved_model(shared / "golden/addons/savedmodel")
    assert_golden(build_keras2_model(model), golden)


def test_weights_alone_are_taken_for_those_of_the_keras_example(golden, shared):
    model = read_h5(shared / "golden/addons/generator.weights_only.h5")
    assert model.config is None
    assert_golden(build_keras2_model(model), golden)


def test_instance_norm_is_that_of_addons(golden):
    image = keras.Input(golden["instance_norm_in"].shape[1:])
    normalize = Normalization("instance_affine", float(golden["instance_norm_epsilon"]))
    network = keras.Model(image, normalize(image, "norm"))
    gamma, beta = golden["instance_norm_gamma"], golden["instance_norm_beta"]
    network.get_layer("norm").set_weights([gamma, beta])
    np.testing.assert_allclose(
        network(golden["instance_norm_in"]),
        golden["instance_norm_out"],
        rtol=0,
        atol=1e-5,
    )


def layer(class_name, name, *inputs, arguments=None, **options):
    """Describe a layer as Keras 2 does."""
    return {
        "class_name": class_name,
        "name": name,
        "config": {"name": name, **options},
        "inbound_nodes": [[[source, 0, 0, arguments or {}] for source in inputs]]
        if inputs
        else [],
    }


def model(*layers, weights=None):
    return Keras2Model(
        {
            "class_name": "Functional",
            "config": {
                "name": "model",
                "layers": [
                    layer("InputLayer", "input", batch_input_shape=[None, 8, 8, 2]),
                    *layers,
                ],
                "input_layers": [["input", 0, 0]],
                "output_layers": [[layers[-1]["name"], 0, 0]],
            },
        },
        weights or {},
    )


X = np.random.default_rng(0).normal(size=(2, 8, 8, 2)).astype(np.float32)


def operation(function, *sources, **arguments):
    """A TFOpLambda layer, whose node is not a list of nodes."""
    described = layer("TFOpLambda", function, function=function)
    described["inbound_nodes"] = [[sources[0], 0, 0, {**arguments, "name": None}]]
    return described


@pytest.mark.parametrize(
    ("described", "expected"),
    [
        (operation("nn.relu", "input"), np.maximum(X, 0)),
        (operation("math.tanh", "input"), np.tanh(X)),
        (operation("math.sigmoid", "input"), 1 / (1 + np.exp(-X))),
        (operation("nn.leaky_relu", "input", alpha=0.3), np.where(X > 0, X, 0.3 * X)),
        (operation("math.add", "input", y=["input", 0, 0]), 2 * X),
        (operation("__operators__.add", "input", y=1.5), X + 1.5),
        (
            operation(
                "compat.v1.pad",
                "input",
                paddings=[[0, 0], [1, 1], [2, 2], [0, 0]],
                mode="REFLECT",
                constant_values=0,
            ),
            np.pad(X, [(0, 0), (1, 1), (2, 2), (0, 0)], mode="reflect"),
        ),
        (
            layer("ReflectionPadding2D", "pad", "input", padding=[2, 1]),
            np.pad(X, [(0, 0), (1, 1), (2, 2), (0, 0)], mode="reflect"),
        ),
        (
            layer("ReflectionPadding2D", "pad", "input"),
            np.pad(X, [(0, 0), (1, 1), (1, 1), (0, 0)], mode="reflect"),
        ),
        (
            layer("LeakyReLU", "leaky", "input", alpha=0.2),
            np.where(X > 0, X, 0.2 * X),
        ),
        (
            layer("Concatenate", "both", "input", "input", axis=-1),
            np.concatenate([X, X], axis=-1),
        ),
        (layer("Add", "sum", "input", "input"), 2 * X),
        (
            layer(
                "Addons>InstanceNormalization",
                "norm",
                "input",
                axis=-1,
                epsilon=0.1,
                center=False,
                scale=False,
            ),
            (X - X.mean((1, 2), keepdims=True))
            / np.sqrt(X.var((1, 2), keepdims=True) + 0.1),
        ),
    ],
    ids=lambda value: value["name"] if isinstance(value, dict) else "",
)
def test_what_is_made_again(described, expected):
    network = build_keras2_model(model(described))
    np.testing.assert_allclose(network(X), expected, rtol=0, atol=1e-5)


def test_the_result_is_plain_keras(tmp_path):
    """An architecture of somebody else keeps its layers, and any Keras loads it."""
    kernel = np.random.default_rng(1).normal(size=(3, 3, 2, 2)).astype(np.float32)
    network = build_keras2_model(
        model(
            layer(
                *("Conv2D", "my_conv", "input"),
                **{"filters": 2, "kernel_size": [3, 3], "strides": [2, 2]},
                **{"padding": "same", "use_bias": False, "activation": "relu"},
            ),
            layer("UpSampling2D", "up", "my_conv", size=[2, 2]),
            layer("Dropout", "drop", "up", rate=0.5),
            weights={"my_conv": {"kernel": kernel}},
        )
    )
    assert network.input_shape == (None, None, None, 2)
    network.save(tmp_path / "a.keras")
    loaded = keras.saving.load_model(tmp_path / "a.keras")
    np.testing.assert_array_equal(loaded(X), network(X))
    np.testing.assert_array_equal(loaded.get_layer("my_conv").kernel, kernel)


@pytest.mark.parametrize(
    ("described", "message"),
    [
        (
            layer("Lambda", "evil", "input", function=["code"]),
            "'evil' of class 'Lambda'",
        ),
        (layer("MyLayer", "mine", "input"), "'mine' of class 'MyLayer' is not known"),
        (
            operation("raw_ops.ReadFile", "input"),
            "'raw_ops.ReadFile' is not known here",
        ),
        (layer("Activation", "act", "input", activation="my"), "activation 'my'"),
        (
            layer("Activation", "act", "input", activation={"class_name": "function"}),
            "activation .*function",
        ),
        (
            layer("UpSampling2D", "up", "input", size=2, data_format="channels_first"),
            "'up' has the channels first",
        ),
        (
            layer(
                *("Conv2D", "conv", "input"),
                **{"filters": 2, "kernel_size": 3, "activation": "linear"},
            ),
            "kernel of its layer 'conv' should have the shape .*, but has nothing",
        ),
    ],
    ids=lambda value: value["name"] if isinstance(value, dict) else "",
)
def test_what_is_not_known_is_named(described, message):
    with pytest.raises(ValueError, match=message):
        build_keras2_model(model(described))


def test_a_shared_layer_and_other_inputs():
    shared_layer = layer("Add", "sum", "input", "input")
    shared_layer["inbound_nodes"] *= 2
    with pytest.raises(ValueError, match="'sum' is called 2 times"):
        build_keras2_model(model(shared_layer))
    two = model(layer("Add", "sum", "input", "input"))
    two.config["config"]["output_layers"] *= 2
    with pytest.raises(ValueError, match="several inputs or outputs"):
        build_keras2_model(two)
    flat = model(layer("Add", "sum", "input", "input"))
    flat.config["config"]["layers"][0]["config"]["batch_input_shape"] = [None, 5]
    with pytest.raises(ValueError, match="not a batch of images"):
        build_keras2_model(flat)


def test_weights_of_something_else(tmp_path):
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file.attrs["layer_names"] = ["dense"]
        file.create_group("dense").attrs["weight_names"] = ["dense/kernel:0"]
        file["dense/dense/kernel:0"] = np.ones((3, 3), np.float32)
    with pytest.raises(ValueError, match="not those of the Keras example"):
        build_keras2_model(read_h5(tmp_path / "weights.h5"))


@pytest.mark.parametrize("kept", [0, 100, 200_000])
def test_a_truncated_h5(kept, tmp_path):
    path = tmp_path / "generator.h5"
    path.write_bytes((GOLDEN / "generator.h5").read_bytes()[:kept])
    with pytest.raises(InputError, match="cannot be read as a Keras .h5 file"):
        read_h5(path)


def test_an_h5_that_unfolds(tmp_path):
    with h5py.File(tmp_path / "bomb.h5", "w") as file:
        group = file.create_group("conv")
        file.attrs["layer_names"] = ["conv"]
        group.attrs["weight_names"] = ["kernel:0"]
        group.create_dataset("kernel:0", (100_000, 100_000), "f4", chunks=True)
    assert (tmp_path / "bomb.h5").stat().st_size < 100_000
    with pytest.raises(InputError, match="its arrays claim 40000000000"):
        read_h5(tmp_path / "bomb.h5")


@pytest.mark.parametrize("way", ["link", "external link", "external", "virtual"])
def test_an_h5_that_leads_to_other_files(way, tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["kernel:0"] = np.ones(4, np.float32)
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        group = file.create_group("conv")
        file.attrs["layer_names"] = ["conv"]
        group.attrs["weight_names"] = ["kernel:0"]
        secret = str(tmp_path / "secret.h5")
        if way == "link":
            group["kernel:0"] = h5py.SoftLink("/elsewhere")
        elif way == "external link":
            group["kernel:0"] = h5py.ExternalLink(secret, "kernel:0")
        elif way == "external":
            group.create_dataset("kernel:0", (4,), "f4", external=[(secret, 0, 16)])
        else:
            layout = h5py.VirtualLayout((4,), "f4")
            layout[:] = h5py.VirtualSource(secret, "kernel:0", (4,), "f4")
            group.create_virtual_dataset("kernel:0", layout)
    with pytest.raises(InputError, match="holds conv/kernel:0, which points elsewhere"):
        read_h5(tmp_path / "weights.h5")


def test_a_damaged_saved_model(shared, tmp_path):
    source = shared / "golden/addons/savedmodel"
    for damaged in ("keras_metadata.pb", "variables/variables.index"):
        folder = tmp_path / damaged.replace("/", "_")
        shutil.copytree(source, folder, copy_function=shutil.copyfile)
        (folder / damaged).chmod(0o644)
        (folder / damaged).write_bytes(b"\xff\xffdamaged")
        with pytest.raises(
            InputError, match="cannot be read as a SavedModel of Keras 2"
        ):
            read_saved_model(folder)
    (folder / "keras_metadata.pb").unlink()
    with pytest.raises(InputError, match="without keras_metadata.pb"):
        read_saved_model(folder)


def test_a_keras_zip_of_keras_2(tmp_path):
    """Written here as Keras 2.13 to 2.15 do: by class names and running numbers."""
    import io
    import zipfile

    kernel = np.random.default_rng(1).normal(size=(1, 1, 2, 2)).astype(np.float32)
    options = {"filters": 2, "kernel_size": 1, "use_bias": False}
    described = model(
        layer("Conv2D", "first", "input", **options),
        layer("Conv2D", "second", "first", **options),
        layer(
            *("Addons>InstanceNormalization", "norm", "second"),
            **{"axis": -1, "epsilon": 1e-3, "center": True, "scale": False},
        ),
    )
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file["layers/conv2d/vars/0"] = kernel
        file["layers/conv2d_1/vars/0"] = 2 * kernel
        file["layers/instance_normalization/vars/0"] = np.full(2, 5, np.float32)
    described.config["config"]["layers"][-1]["class_name"] = "InstanceNormalization"
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(described.config))
        archive.writestr("model.weights.h5", content.getvalue())
    network = build_keras2_model(read_keras_zip(tmp_path / "a.keras"))
    np.testing.assert_allclose(network(X).numpy().mean((1, 2)), 5.0, atol=1e-5)
    np.testing.assert_array_equal(network.get_layer("second").kernel, 2 * kernel)

    (tmp_path / "a.keras").write_bytes(b"PK\x03\x04damaged")
    with pytest.raises(InputError, match="cannot be read as a .keras file of Keras 2"):
        read_keras_zip(tmp_path / "a.keras")
