"""How far the layers of a network see, for those that see a few pixels only."""

from typing import Any

import keras

from cyclegan_tf._shared.errors import InputError

# By class name, as `keras.ops` in a functional model are objects of private classes.
_POINTWISE = frozenset(
    {
        "Activation",
        "Add",
        "BatchNormalization",
        "Cast",
        "Concatenate",
        "Dropout",
        "GaussianNoise",
        "LeakyRelu",
        "Multiply",
        "ReLU",
        "Relu",
        "Rsqrt",
        "Sigmoid",
        "SpatialDropout2D",
        "Subtract",
        "Tanh",
    }
)
_CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


def inputs_of(operation: Any) -> list[str]:
    """Name the tensors that a layer or one of the `keras.ops` was called with."""
    return [tensor.name for tensor in keras.tree.flatten(operation.input)]


def rates(operation: Any) -> tuple[int, int]:
    """Return by how much an operation divides and multiplies the sides.

    Args:
        operation: a layer or one of the `keras.ops` in a model that `inference_model`
            returned.

    Raises:
        InputError: if it is not known here.
    """
    kind = type(operation).__name__
    if isinstance(operation, _CONVOLUTIONS):
        return max(operation.strides), 1
    if isinstance(operation, keras.layers.Conv2DTranspose):
        return 1, max(operation.strides)
    if kind == "Resize":
        return 1, max(operation.factors)
    if kind in _POINTWISE | {"Pad", "ZeroPadding2D", "Cropping2D"}:
        return 1, 1
    raise refused(operation.name, kind)


def margin_after(operation: Any, margin: int) -> int:
    """Return how many pixels at the border are not those of the whole image.

    Where an image has been cut into tiles, an operation sees the padding of its own
    instead of the neighbouring tile.

    Args:
        operation: one that `rates` knows.
        margin: int. So many pixels at the border of its input are not.

    Returns:
        So many of its output are not, or fewer.
    """
    if isinstance(operation, keras.layers.Conv2DTranspose):
        stride = max(operation.strides)
        return max(margin * stride + _extent(operation) - stride, 0)
    if isinstance(operation, _CONVOLUTIONS):
        if operation.padding == "same":
            margin += _extent(operation) // 2
        return -(-margin // max(operation.strides))
    kind = type(operation).__name__
    if kind == "Resize":
        between = 0 if operation.interpolation == "nearest" else 1
        return (margin + between) * max(operation.factors)
    if kind == "Pad":
        return margin + max(max(sides) for sides in operation.pad_width[1:3])
    if kind == "ZeroPadding2D":
        return margin + max(max(sides) for sides in operation.padding)
    if kind == "Cropping2D":
        return max(margin - min(min(sides) for sides in operation.cropping), 0)
    return margin


def refused(name: str, kind: str) -> InputError:
    """Say that an operation is not known here."""
    return InputError(
        f"The generator's {name} ({kind}) cannot be computed in tiles; translate "
        "without them."
    )


def _extent(convolution: Any) -> int:
    """Pixels from the first to the last that one output pixel sees."""
    return (max(convolution.kernel_size) - 1) * max(convolution.dilation_rate) + 1
