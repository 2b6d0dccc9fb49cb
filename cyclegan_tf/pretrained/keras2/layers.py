"""Rebuild a model of Keras 2 from stock layers of Keras 3.

Keras 3 refuses models with layers of TensorFlow Addons, which is retired and cannot be
imported beside it. This module maps each known layer of the saved description to an
equivalent stock layer or operation, and refuses all others.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import keras
from keras import layers, ops

from cyclegan_tf.models.networks.architecture import Architecture
from cyclegan_tf.models.networks.blocks import instance_norm
from cyclegan_tf.pretrained.keras2.files import Keras2Model, Weights
from cyclegan_tf.pretrained.recognition import same_network_of_ours

Options = Mapping[str, Any]

_CONV = ("kernel_size", "strides", "padding", "dilation_rate", "use_bias", "activation")

# Layers that are the same in Keras 3, and the options that affect their output.
_STOCK_LAYERS: Mapping[str, tuple[str, ...]] = {
    "Activation": ("activation",),
    "Add": (),
    "AveragePooling2D": ("pool_size", "strides", "padding"),
    "BatchNormalization": ("momentum", "epsilon", "center", "scale"),
    "Concatenate": ("axis",),
    "Conv2D": ("filters", "groups", *_CONV),
    "Conv2DTranspose": ("filters", "output_padding", *_CONV),
    "Cropping2D": ("cropping",),
    "DepthwiseConv2D": ("depth_multiplier", *_CONV),
    "Dropout": ("rate",),
    "GaussianNoise": ("stddev",),
    "GroupNormalization": ("groups", "epsilon", "center", "scale"),
    "MaxPooling2D": ("pool_size", "strides", "padding"),
    "ReLU": ("max_value", "negative_slope", "threshold"),
    "SpatialDropout2D": ("rate",),
    "UpSampling2D": ("size", "interpolation"),
    "ZeroPadding2D": ("padding",),
}
# A dict would name a function of the user, which the file does not contain.
_ACTIVATIONS = ["elu", "gelu", "linear", "relu", "selu", "sigmoid", "swish", "tanh"]
# TensorFlow functions between the layers, by their names in Keras 2.
_OPERATIONS: Mapping[str, Callable[..., Any]] = {
    "__operators__.add": lambda x, y, **_: x + y,
    "compat.v1.pad": lambda x, paddings, mode, **_: ops.pad(x, paddings, mode.lower()),
    "concat": lambda *x, axis, **_: ops.concatenate(x, axis),
    "math.add": lambda x, y, **_: x + y,
    "math.sigmoid": lambda x, **_: ops.sigmoid(x),
    "math.tanh": lambda x, **_: ops.tanh(x),
    "nn.leaky_relu": lambda x, alpha=0.2, **_: ops.leaky_relu(x, alpha),
    "nn.relu": lambda x, **_: ops.relu(x),
}


def build_keras2_model(model: Keras2Model) -> keras.Model:
    """Build the same network from stock layers, for images of any size.

    Args:
        model: the content of the file.

    Returns:
        A functional model, float (batch, height, width, channels) in and out: a network
        of `cyclegan_tf.models.networks` if one computes the same, else one with the
        layer names of the file.

    Raises:
        ValueError: if a layer is unknown or does not fit its weights; the message names
            the first one.
    """
    if model.config is None:
        return _example_generator(model.weights)
    config = model.config["config"]
    descriptions = config["layers"]
    first = descriptions[0]["config"]
    shape = list(first.get("batch_input_shape") or first.get("batch_shape") or ())
    if len(shape) != 4:
        raise ValueError(f"its input of shape {shape} is not a batch of images")
    image = keras.Input((None, None, shape[-1]), name="image")
    if model.config["class_name"] == "Sequential":
        output = image
        for description in descriptions:
            output = _apply(description, [output], {})
    else:
        output = _apply_graph(config, image)
    network = keras.Model(image, output, name=config["name"])
    _set_weights(network, model.weights)
    return same_network_of_ours(network) or network


def _example_generator(weights: Weights) -> keras.Model:
    """Build the generator of the old Keras example from weights alone.

    Weights do not record padding and epsilon, so both are the example's.
    """
    arrays = [array for layer in weights.values() for array in layer.values()]
    kernels = [array for array in arrays if array.ndim == 4]
    try:
        architecture = Architecture(
            "resnet",
            {
                "filters": kernels[0].shape[-1],
                # Stem, head and 2 convolutions each way are outside residual blocks.
                "num_residual_blocks": (len(kernels) - 6) // 2,
                "image_shape": (None, None, kernels[0].shape[-2]),
                "output_channels": kernels[-1].shape[-1],
                "norm": "instance_affine",
                "norm_epsilon": 1e-3,
                "padding": "same",
            },
        )
        sizes = [math.prod(weight.shape) for weight in architecture.outline().weights]
        if sizes != [array.size for array in arrays]:
            raise ValueError("other sizes")
    except (IndexError, ValueError):
        raise ValueError(
            "it holds weights without the description of their model, and they are not "
            "those of the Keras example's generator"
        ) from None
    network = architecture.build()
    for variable, array in zip(network.weights, arrays):
        variable.assign(array.reshape(variable.shape))
    return network


def _apply_graph(config: Options, image: Any) -> Any:
    """Call the layers of a functional model, which are listed in topological order."""
    if len(config["input_layers"]) != 1 or len(config["output_layers"]) != 1:
        raise ValueError("it has several inputs or outputs")
    tensors: dict[str, Any] = {config["input_layers"][0][0]: image}
    for description in config["layers"]:
        name = description["name"]
        if name in tensors:
            continue
        nodes = description["inbound_nodes"]
        if len(nodes) != 1:
            raise ValueError(f"its layer {name!r} is called {len(nodes)} times")
        # A layer has a list of inputs, an operation a single input.
        sources = [nodes[0]] if isinstance(nodes[0][0], str) else nodes[0]
        arguments = {
            key: _tensor_or_value(value, tensors)
            for key, value in sources[0][3].items()
        }
        inputs = [tensors[source[0]] for source in sources]
        tensors[name] = _apply(description, inputs, arguments)
    return tensors[config["output_layers"][0][0]]


def _tensor_or_value(value: Any, tensors: Mapping[str, Any]) -> Any:
    """Resolve an argument of an operation: `["conv2d", 0, 0]` is a tensor."""
    is_tensor = isinstance(value, list) and value and isinstance(value[0], str)
    return tensors[value[0]] if is_tensor else value


def _apply(description: Options, inputs: list[Any], arguments: Options) -> Any:
    """Apply one layer of the description."""
    kind = description["class_name"].removeprefix("Addons>")
    options = description["config"]
    name = description.get("name") or options.get("name", "")
    if kind == "InputLayer":
        return inputs[0]
    if options.get("data_format") == "channels_first":
        raise ValueError(f"its layer {name!r} has the channels first")
    if kind == "TFOpLambda":
        kind = options["function"]
        if kind in _OPERATIONS:
            return _OPERATIONS[kind](*inputs, **arguments)
    if kind == "InstanceNormalization" and options.get("axis", -1) in (-1, 3):
        norm = instance_norm(
            options["epsilon"],
            scale=options["scale"],
            center=options["center"],
            name=name,
        )
        return norm(inputs[0])
    if kind == "ReflectionPadding2D":
        return _reflection_padding(inputs[0], options.get("padding", (1, 1)))
    if kind == "LeakyReLU":
        return ops.leaky_relu(inputs[0], options["alpha"])
    if kind not in _STOCK_LAYERS:
        raise ValueError(f"its layer {name!r} of class {kind!r} is not known here")
    known = {key: options[key] for key in _STOCK_LAYERS[kind] if key in options}
    if known.get("activation", "linear") not in _ACTIVATIONS:
        raise ValueError(
            f"its layer {name!r} has the activation {known['activation']!r}, which is "
            "not known here"
        )
    if "Conv" in kind or "Normalization" in kind:
        # Layers without weights get new names: old ones may clash with Keras's own.
        known["name"] = name
    layer = getattr(layers, kind)(**known)
    return layer(inputs[0] if len(inputs) == 1 else inputs)


def _reflection_padding(x: Any, padding: Any) -> Any:
    """Apply the custom padding layer of CycleGANs in Keras 2.

    As in the Keras example, padding is (width, height), and one pixel if the file names
    none.
    """
    width, height = (padding, padding) if isinstance(padding, int) else padding
    return ops.pad(
        x, ((0, 0), (height, height), (width, width), (0, 0)), mode="reflect"
    )


def _set_weights(network: keras.Model, weights: Weights) -> None:
    for layer in network.layers:
        if not layer.weights:
            continue
        arrays = dict(weights.get(layer.name, {}))
        if "depthwise_kernel" in arrays:
            arrays["kernel"] = arrays.pop("depthwise_kernel")
        for variable in layer.weights:
            array = arrays.get(variable.name)
            if array is None or array.shape != tuple(variable.shape):
                found = "nothing" if array is None else f"the shape {array.shape}"
                raise ValueError(
                    f"the {variable.name} of its layer {layer.name!r} should have the "
                    f"shape {tuple(variable.shape)}, but has {found}"
                )
            variable.assign(array)
