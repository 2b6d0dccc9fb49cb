"""The generator as an ONNX file: written by Keras and tf2onnx, run by ONNX Runtime.

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

# Of 2021: ONNX Runtime, OpenVINO, TensorRT and browsers' runtimes accept it.
OPSET = 15


class OnnxModel:
    """A generator in an ONNX file: a `Runtime` of the parity report.

    Args:
        path: the file.
        threads: int. Processor threads. Defaults to `1`.
    """

    def __init__(self, path: pathlib.Path, threads: int = 1):
        import onnx
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.threads = threads
        self.runtime = f"onnxruntime {onnxruntime.__version__}"
        nodes = onnx.load(path).graph.node
        operations = collections.Counter(node.op_type for node in nodes)
        self.operations = dict(sorted(operations.items()))
        self._session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Translate images, float32 (batch, height, width, channels) in [-1, 1]."""
        return self._session.run(["translated"], {"image": image})[0]


def require_onnx() -> None:
    """Check that the packages to write and run ONNX are installed.

    Raises:
        InputError: if one is not.
    """
    for package in ("onnx", "tf2onnx", "onnxruntime"):
        require_package(package, f"The package {package}", "ONNX files need", "onnx")


def write_onnx(path: pathlib.Path, model: "keras.Model") -> None:
    """Write a model as ONNX, for batches of any size.

    Input `image` and output `translated` are float32 (batch, height, width, channels)
    in [-1, 1].

    Args:
        path: the file.
        model: a model returned by `inference_model`.
    """
    import keras
    import onnx
    from onnx.tools import update_model_dims

    with warnings.catch_warnings():
        # Keras sets an old NumPy name that tf2onnx once needed.
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
    # The converter names free dimensions by numbers.
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
