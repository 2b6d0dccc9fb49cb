"""Facts about the graph of a functional model: operations, norms, strides."""

import collections
import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras

from cyclegan_tf.models.networks.blocks import NORM_EPSILON

# The ResNet pads by reflection at a quarter of the size, which needs sides of 2 pixels.
SMALLEST_SIDE = 8

# Around a convolution and the norm behind it.
_MAPS_AT_ONCE = 4


def operations(network: keras.Model) -> list[Any]:
    """List the layers and `keras.ops` of a network in the order of the calls.

    The network is a functional or sequential model. The input layer is left out.
    """
    if isinstance(network, keras.Sequential):
        network = keras.Model(network.inputs, network.outputs)
    return [
        operation
        for operation in network.operations
        if not isinstance(operation, keras.layers.InputLayer)
    ]


def outputs_of(network: keras.Model) -> Any:
    """Return the output tensor of a network, or the list of several."""
    return network.outputs if len(network.outputs) > 1 else network.outputs[0]


def inputs_of(operation: Any) -> list[keras.KerasTensor]:
    """List the input tensors of an operation."""
    tensors: list[keras.KerasTensor] = keras.tree.flatten(operation.input)
    return tensors


def consumers(network: keras.Model) -> Mapping[int, Sequence[Any]]:
    """Map the `id` of each tensor to the operations that take it."""
    found: dict[int, list[Any]] = collections.defaultdict(list)
    for operation in operations(network):
        for tensor in inputs_of(operation):
            found[id(tensor)].append(operation)
    return found


def calls_each_once(network: keras.Model) -> bool:
    """Whether no operation is called twice, so that `consumers` knows all calls.

    Keras remembers the tensors of an operation's first call only. A second call shows
    where an unknown tensor enters another operation or leaves the network.
    """
    found = operations(network)
    known = {id(tensor) for tensor in network.inputs}
    known |= {
        id(tensor) for each in found for tensor in keras.tree.flatten(each.output)
    }
    taken = [
        *network.outputs,
        *(tensor for each in found for tensor in inputs_of(each)),
    ]
    return all(id(tensor) in known for tensor in taken)


def is_instance_norm(operation: Any) -> bool:
    """Whether an operation normalizes each channel of each image (batch, ..., C)."""
    return (
        isinstance(operation, keras.layers.GroupNormalization)
        and operation.axis in (-1, 3)
        # Keras replaces -1 by the number of channels when it builds the layer.
        and operation.groups in (-1, operation.input.shape[-1])
    )


# Operations that never mix the images of a batch; some names are of `keras.ops`.
_ALONE = {
    "Activation",
    "Add",
    "AveragePooling2D",
    "Conv2D",
    "Conv2DTranspose",
    "Cropping2D",
    "Dense",
    "DepthwiseConv2D",
    "GroupNormalization",
    "Identity",
    "LeakyReLU",
    "LeakyRelu",
    "MaxPooling2D",
    "Pad",
    "ReLU",
    "Relu",
    "SeparableConv2D",
    "Sigmoid",
    "Tanh",
    "UpSampling2D",
    "ZeroPadding2D",
}


def treats_images_alone(network: keras.Model) -> bool:
    """Whether the output for an image never depends on the others of its batch.

    It is so with instance norm, not with batch norm or dropout. An operation that is
    not known here counts as mixing.
    """
    return all(
        (
            type(operation).__name__ in _ALONE
            and type(operation).__module__.startswith("keras.")
        )
        or (
            isinstance(operation, keras.layers.Concatenate)
            and operation.axis in (-1, 3)
        )
        for operation in operations(network)
    )


def normalization_of(network: keras.Model) -> dict[str, Any]:
    """Return the normalization of a functional model, by its first norm layer.

    Returns:
        The arguments `"norm"` and `"norm_epsilon"` of the network functions.
    """
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            return {"norm": "batch", "norm_epsilon": layer.epsilon}
        if is_instance_norm(layer):
            affine = layer.scale or layer.center
            norm = "instance_affine" if affine else "instance"
            return {"norm": norm, "norm_epsilon": layer.epsilon}
    return {"norm": "none", "norm_epsilon": NORM_EPSILON}


def size_multiple(generator: keras.Model) -> int:
    """Return the number that image sides must be multiples of to keep their size.

    Args:
        generator: a functional model. It may hold others.

    Returns:
        The product of the strides: 4 for the ResNet, `2 ** num_levels` for the
        U-Net. If that does not keep the size, the smallest power of two that does.

    Raises:
        ValueError: if there is none, as for a discriminator or super-resolution.
    """
    if len(generator.input_shape) != 4 or len(generator.output_shape) != 4:
        raise ValueError("it is not a network from images to images")
    powers = (2**exponent for exponent in range(11))
    for multiple in (math.prod(_shrinking(generator)), *powers):
        with contextlib.suppress(ValueError):  # maps that do not fit together
            sides, found = _probe(generator, multiple)
            if sides == found:
                return multiple
    (height, width), found = _probe(generator, 32)
    raise ValueError(
        f"an image of {height}x{width} pixels becomes one of {found[0]}x{found[1]}"
    )


def _shrinking(network: keras.Model) -> Iterator[int]:
    """List the strides of all that shrinks images, also in models inside."""
    for operation in operations(network):
        if isinstance(operation, keras.Function | keras.Sequential):
            yield from _shrinking(operation)
        elif "Transpose" not in type(operation).__name__:
            strides = getattr(operation, "strides", None) or 1
            yield strides if isinstance(strides, int) else strides[0]


def bytes_per_pixel(generator: keras.Model) -> float:
    """Estimate how much memory a translation needs per pixel of the image.

    TensorFlow holds several feature maps at once, so this counts the largest one that
    many times in float32: 1,048 bytes for ResNet-9, where 1,040 were measured.

    Args:
        generator: a functional model. Maps inside of models in it do not count.
    """
    _, *free, channels = generator.input_shape
    # So large that the padding counts for little.
    sides = [side or size_multiple(generator) * 128 for side in free]
    maps = [
        tensor
        for operation in operations(generator)
        for tensor in keras.tree.flatten(operation.output)
    ]
    shapes = keras.Model(generator.inputs, maps).compute_output_shape(
        (1, *sides, channels)
    )
    return _MAPS_AT_ONCE * 4 * max(map(math.prod, shapes)) / math.prod(sides)


def _probe(
    generator: keras.Model, multiple: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the sides of an image, and of its translation.

    Free sides are two multiples in a row, so that no smaller number divides both.
    """
    _, *sides, channels = generator.input_shape
    first, second = (multiple * (SMALLEST_SIDE + more) for more in range(2))
    height, width = sides[0] or first, sides[1] or second
    output = generator.compute_output_shape((1, height, width, channels))
    return (height, width), tuple(output[1:3])
