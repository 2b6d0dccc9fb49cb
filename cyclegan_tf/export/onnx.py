"""The generator as an ONNX file, by Keras and tf2onnx, and run by ONNX Runtime.

Needs the extra `onnx`.
"""

import collections
import pathlib
import warnings
from typing import TYPE_CHECKING

import numpy as np

from cyclegan_tf._shared.extras import require_package

if TYPE_CHECKING:
    import keras
    import onnx

# Of 2021: ONNX Runtime, OpenVINO, TensorRT and the browsers' runtimes take it.
OPSET = 15


class OnnxModel:
    """A generator in an ONNX file, as a function from image to image.

    Args:
        path: the file.
        threads: int. Processor threads. Defaults to `1`.

    Attributes:
        runtime: name and version of the runtime.
        threads: int.
        operations: how often the graph holds each operation, by name.
    """

    def __init__(self, path: pathlib.Path, threads: int = 1):
        import onnx
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.threads = threads
        self.runtime = f"onnxruntime {onnxruntime.__version__}"
        self.operations = dict(
            sorted(
                collections.Counter(
                    node.op_type for node in onnx.load(path).graph.node
                ).items()
            )
        )
        self._session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Translate images, float32 (batch, height, width, channels) in [-1, 1]."""
        return self._session.run(["translated"], {"image": image})[0]


def require_onnx() -> None:
    """Check that all that writing and running ONNX takes is there.

    Raises:
        InputError: if a package is not installed.
    """
    for package in ("onnx", "tf2onnx", "onnxruntime"):
        require_package(package, f"The package {package}", "ONNX files need", "onnx")


def write_onnx(path: pathlib.Path, model: "keras.Model") -> None:
    """Write a model as ONNX, for batches of any size.

    Input `image` and output `translated` are float32 (batch, height, width, channels)
    in [-1, 1].

    Args:
        path: the file.
        model: what `inference_model` returned.
    """
    import keras
    import onnx
    from onnx.tools import update_model_dims

    with warnings.catch_warnings():
        # Keras asks NumPy for what tf2onnx used to need.
        warnings.filterwarnings("ignore", "In the future `np.object`", FutureWarning)
        model.export(
            str(path),
            format="onnx",
            verbose=False,
            input_signature=[
                keras.InputSpec("float32", model.input_shape, name="image")
            ],
            opset_version=OPSET,
        )
    written = onnx.load(path)
    _rename_output(written, "translated")
    dimensions = ["batch", "height", "width"]
    # Before, the names of free dimensions are numbers of the converter's.
    named = update_model_dims.update_inputs_outputs_dims(
        written,
        {"image": [*dimensions, model.input_shape[-1]]},
        {"translated": [*dimensions, model.output_shape[-1]]},
    )
    onnx.checker.check_model(named)
    onnx.save(named, path)


def _rename_output(written: "onnx.ModelProto", name: str) -> None:
    output = written.graph.output[0]
    for node in written.graph.node:
        for i, result in enumerate(node.output):
            if result == output.name:
                node.output[i] = name
    output.name = name
