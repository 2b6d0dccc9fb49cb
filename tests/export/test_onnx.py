"""The ONNX file, and what other runtimes make of it."""

import importlib.util

import exported
import numpy as np
import pytest
import tiny

import cyclegan_tf
from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.export.onnx import OnnxModel, require_onnx, write_onnx
from cyclegan_tf.translation.inference import inference_model

GENERATORS = {
    "resnet": lambda: cyclegan_tf.resnet_generator(4, 1),
    "unet": lambda: cyclegan_tf.unet_generator(4, 3),
    "nearest": lambda: cyclegan_tf.resnet_generator(
        4, 1, upsampling="nearest", norm="batch"
    ),
    "bilinear": lambda: cyclegan_tf.resnet_generator(4, 1, upsampling="bilinear"),
}


@pytest.mark.parametrize("name", GENERATORS)
def test_onnx_runtime_agrees(name, tmp_path):
    generator = GENERATORS[name]()
    write_onnx(tmp_path / "g.onnx", inference_model(generator))
    translate = OnnxModel(tmp_path / "g.onnx")
    for images in (tiny.images(2, 32), tiny.images(1, 64)[:, :32]):
        np.testing.assert_allclose(translate(images), generator(images), atol=1e-4)
    assert translate.operations["Conv"] > 1


@pytest.fixture(scope="module")
def generator():
    return exported.two_layer_generator()


@pytest.fixture(scope="module")
def path(generator, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "g.onnx"
    write_onnx(path, inference_model(generator))
    return path


def test_names_of_inputs_outputs_and_dimensions(path):
    import onnx

    graph = onnx.load(path).graph
    for (value,), name in ((graph.input, "image"), (graph.output, "translated")):
        assert value.name == name
        dimensions = [
            d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim
        ]
        assert dimensions == ["batch", "height", "width", 3]


def test_another_vendors_runtime_agrees(generator, path):
    import openvino

    precision = {"INFERENCE_PRECISION_HINT": "f32"}
    model = openvino.Core().compile_model(str(path), "CPU", precision)
    images = tiny.images(2, 32)
    translated = model({"image": images})["translated"]
    np.testing.assert_allclose(translated, generator(images), atol=1e-3)


def test_the_extra_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'cyclegan_tf\[onnx\]'"):
        require_onnx()
