"""The ONNX file, and what other runtimes make of it."""

import importlib.util

import numpy as np
import pytest
import tiny

import cyclegan_tf
from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.export.onnx import OnnxModel, require_onnx, write_onnx
from cyclegan_tf.translation.inference import inference_model

GENERATORS = {
    "resnet": lambda: cyclegan_tf.resnet_generator(4, 1),
    "unet": lambda: cyclegan_tf.unet_generator(4, 5),
    "nearest": lambda: cyclegan_tf.resnet_generator(4, 1, upsampling="nearest"),
    "bilinear": lambda: cyclegan_tf.resnet_generator(4, 1, upsampling="bilinear"),
    "batch_norm": lambda: cyclegan_tf.resnet_generator(4, 1, norm="batch"),
}


@pytest.mark.parametrize("name", GENERATORS)
def test_onnx_runtime_agrees(name, tmp_path):
    generator = GENERATORS[name]()
    write_onnx(tmp_path / "g.onnx", inference_model(generator))
    exported = OnnxModel(tmp_path / "g.onnx")
    for images in (tiny.images(2, 32), tiny.images(1, 64)[:, :32]):
        np.testing.assert_allclose(exported(images), generator(images), atol=1e-4)
    assert exported.operations["Conv"] > 1


def test_names_of_inputs_outputs_and_dimensions(tmp_path):
    import onnx

    write_onnx(tmp_path / "g.onnx", inference_model(GENERATORS["resnet"]()))
    graph = onnx.load(tmp_path / "g.onnx").graph
    for (value,), name in ((graph.input, "image"), (graph.output, "translated")):
        assert value.name == name
        dimensions = [
            d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim
        ]
        assert dimensions == ["batch", "height", "width", 3]


def test_another_vendors_runtime_agrees(tmp_path):
    import openvino

    generator = GENERATORS["resnet"]()
    write_onnx(tmp_path / "g.onnx", inference_model(generator))
    precision = {"INFERENCE_PRECISION_HINT": "f32"}
    model = openvino.Core().compile_model(str(tmp_path / "g.onnx"), "CPU", precision)
    images = tiny.images(2, 32)
    translated = model({"image": images})["translated"]
    np.testing.assert_allclose(translated, generator(images), atol=1e-3)


def test_the_extra_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'cyclegan_tf\[onnx\]'"):
        require_onnx()
