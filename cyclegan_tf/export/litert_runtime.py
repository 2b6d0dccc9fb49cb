"""A LiteRT file, run by LiteRT; TensorFlow is not imported.

Needs the extra `litert`. How such a file is made is in `litert.py`.
"""

import collections
import importlib.metadata
import pathlib
from typing import Any

import numpy as np

from cyclegan_tf._shared.extras import require_package
from cyclegan_tf._shared.quiet import quiet_stderr

# The operations that LiteRT's GPU delegate accepts, of those our generators convert to:
# the cases of `NewOperationParser` in tflite/delegates/gpu/common/model_builder.cc of
# google-ai-edge/LiteRT at 34ec5bad. (Its documentation, "GPU delegates for LiteRT",
# last updated 2025-07-24, is older: no MIRROR_PAD, MEAN, RSQRT, LEAKY_RELU, TANH.) The
# delegate also checks shapes and types on the device, so this promises nothing. It
# folds a DEQUANTIZE of float16 weights into the operation that reads them.
GPU_DELEGATE_OPERATIONS = frozenset({
    "ABS", "ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D",
    "DEQUANTIZE", "DIV", "LEAKY_RELU", "MAX_POOL_2D", "MEAN", "MIRROR_PAD", "MUL",
    "PACK", "PAD", "PADV2", "QUANTIZE", "RELU", "RESHAPE", "RESIZE_BILINEAR",
    "RESIZE_NEAREST_NEIGHBOR", "RSQRT", "SLICE", "SQUARE", "SQUARED_DIFFERENCE",
    "STRIDED_SLICE", "SUB", "TANH", "TRANSPOSE_CONV",
})  # fmt: skip


class LiteRTModel:
    """A generator in a LiteRT file: a `Runtime` of the parity report.

    Args:
        content: the file, or its bytes.
        threads: int. Processor threads. Defaults to `1`.

    Attributes:
        size: (height, width) of the images it takes, `None` for a free side.
        channels: int. Channels of the input.
        ranks: how many tensors of each rank the graph holds.
    """

    def __init__(self, content: pathlib.Path | bytes, threads: int = 1):
        from ai_edge_litert.interpreter import Interpreter

        if isinstance(content, pathlib.Path):
            content = content.read_bytes()
        self.threads = threads
        self.runtime = f"ai-edge-litert {importlib.metadata.version('ai-edge-litert')}"
        self.operations, self.ranks = _contents_of(content)
        self._interpreter = Interpreter(model_content=content, num_threads=threads)
        self._input = self._interpreter.get_input_details()[0]
        self._output = self._interpreter.get_output_details()[0]
        height, width, self.channels = map(int, self._input["shape_signature"][1:])
        # Free sides are -1 there.
        self.size = (height if height > 0 else None, width if width > 0 else None)
        self._shape: tuple[int, ...] | None = None

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Translate one image.

        Args:
            image: float32 (1, height, width, channels) in [-1, 1], of the size that
                the file takes.

        Returns:
            float32 (1, height, width, output channels) in [-1, 1].
        """
        if image.shape != self._shape:
            self._interpreter.resize_tensor_input(self._input["index"], image.shape)
            with quiet_stderr():  # It names what it computes with, once.
                self._interpreter.allocate_tensors()
            self._shape = image.shape
        self._interpreter.set_tensor(
            self._input["index"], _quantize(image, self._input)
        )
        self._interpreter.invoke()
        output = self._interpreter.get_tensor(self._output["index"])
        return _dequantize(output, self._output)


def require_litert() -> None:
    """Check that LiteRT is installed.

    Raises:
        InputError: if it is not.
    """
    require_package("ai_edge_litert", "LiteRT", "runs .tflite files", "litert")


def cpu_only_operations(operations: dict[str, int], variant: str) -> list[str]:
    """List the operations that the GPU delegate leaves to the processor.

    Args:
        operations: of a LiteRT file, by name.
        variant: its number formats. The delegate takes no int16 tensors at all.

    Returns:
        Names in alphabetical order.
    """
    accepted = frozenset() if variant == "int16x8" else GPU_DELEGATE_OPERATIONS
    return sorted(operations.keys() - accepted)


def _contents_of(content: bytes) -> tuple[dict[str, int], dict[int, int]]:
    """Count the operations by name, and the tensors by rank."""
    from ai_edge_litert import schema_py_generated as schema

    names = {code: name for name, code in vars(schema.BuiltinOperator).items()}
    model = schema.ModelT.InitFromPackedBuf(content)
    operations: collections.Counter[str] = collections.Counter()
    ranks: collections.Counter[int] = collections.Counter()
    for subgraph in model.subgraphs:
        for operator in subgraph.operators:
            code = model.operatorCodes[operator.opcodeIndex]
            custom = code.customCode
            builtin = max(code.builtinCode, code.deprecatedBuiltinCode)
            operations[custom.decode() if custom else names[builtin]] += 1
        for tensor in subgraph.tensors:
            ranks[0 if tensor.shape is None else len(tensor.shape)] += 1
    return dict(sorted(operations.items())), dict(sorted(ranks.items()))


def _quantize(image: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    dtype = details["dtype"]
    if dtype == np.float32:
        return image
    scale, zero_point = details["quantization"]
    limits = np.iinfo(dtype)
    levels = np.round(image / scale + zero_point)
    return np.clip(levels, limits.min, limits.max).astype(dtype)


def _dequantize(output: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    if details["dtype"] == np.float32:
        return output
    scale, zero_point = details["quantization"]
    return ((output.astype(np.float32) - zero_point) * scale).astype(np.float32)
