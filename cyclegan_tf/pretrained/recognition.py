"""Recover the architecture of a loaded network from its layers.

A file does not record the architecture, which is needed to describe a network, to train
it further, or to convert it to another framework.
"""

from collections.abc import Callable, Mapping
from typing import Any

import keras

from cyclegan_tf.models.networks.architecture import (
    GENERATORS,
    Architecture,
    count_layers,
    kind_of,
)
from cyclegan_tf.models.networks.graph import consumers, normalization_of


def architecture_of(network: keras.Model) -> Architecture | None:
    """Find the architecture of a network.

    Args:
        network: any Keras model.

    Returns:
        The architecture with every option; `None` if the network is not one of
        `cyclegan_tf.models.networks`.
    """
    kind = kind_of(network)
    if kind is None:
        return None
    try:
        options = _OPTIONS[kind](network)
        options["image_shape"] = tuple(network.input_shape[1:])
        options |= normalization_of(network)
        if kind in GENERATORS:
            options |= _generator_options(network)
        architecture = Architecture(kind, options)
        same = _weight_shapes(architecture.outline()) == _weight_shapes(network)
    except (KeyError, AttributeError, TypeError, ValueError):
        return None  # not our network, even if layer names match
    return architecture if same else None


def same_network_of_ours(network: keras.Model) -> keras.Model | None:
    """Rebuild a network as one of ours, if one of them computes the same.

    Args:
        network: a functional model with layers of any name.

    Returns:
        Our network with the same weights, whose output for random images is the same
        within 1e-5; `None` if there is none.
    """
    architecture = _like_ours(network)
    if architecture is None:
        return None
    try:
        outline = architecture.outline()
    except ValueError:
        return None  # options that ours do not have
    shapes = [tuple(weight.shape) for weight in network.weights]
    if shapes != [tuple(weight.shape) for weight in outline.weights]:
        return None
    ours = architecture.build(network.name)
    ours.set_weights(network.get_weights())
    # These sides distinguish the paddings and suffice for five downsamplings.
    images = keras.random.uniform(
        (1, 64, 96, network.input_shape[-1]), -1.0, 1.0, seed=0
    )
    expected, found = network(images), ours(images)
    if found.shape != expected.shape:
        return None
    difference = keras.ops.max(keras.ops.abs(found - expected))
    return ours if float(difference) < 1e-5 else None


def _like_ours(network: keras.Model) -> Architecture | None:
    """Guess the architecture of a network with other names by its convolutions."""
    convs = [layer for layer in network.layers if type(layer) is keras.layers.Conv2D]
    if len(convs) < 3:
        return None
    options = {
        "filters": convs[0].filters,
        "padding": _padding(convs[1]),
        "image_shape": tuple(network.input_shape[1:]),
        **normalization_of(network),
    }
    if convs[0].kernel_size == (4, 4):
        return Architecture("patchgan", options | {"num_layers": len(convs) - 2})
    options |= _generator_options(network)
    # Stem, head and resizing convolutions are outside the residual blocks; transposed
    # ones have another type.
    others = 4 if options["upsampling"] == "transpose" else 6
    return Architecture(
        "resnet", options | {"num_residual_blocks": (len(convs) - others) // 2}
    )


def _resnet_options(network: keras.Model) -> dict[str, Any]:
    return {
        "filters": network.get_layer("stem_conv").filters,
        "num_residual_blocks": count_layers(network, "block_{}_conv_0"),
        "padding": _padding(network.get_layer("down_0_conv")),
        "downsampling": _downsampling(network.get_layer("down_0_conv")),
    }


def _mobile_options(network: keras.Model) -> dict[str, Any]:
    stages = ("stem", "down_0", "down_1", "up_0", "up_1")
    blocks = range(count_layers(network, "block_{}_pointwise_0"))
    return {
        "filters": tuple(
            network.get_layer(f"{stage}_conv").filters for stage in stages
        ),
        "block_filters": tuple(
            network.get_layer(f"block_{i}_pointwise_0").filters for i in blocks
        ),
        "padding": _padding(network.get_layer("down_0_conv")),
        "downsampling": _downsampling(network.get_layer("down_0_conv")),
    }


def _unet_options(network: keras.Model) -> dict[str, Any]:
    return {
        "filters": network.get_layer("down_0_conv").filters,
        "num_levels": count_layers(network, "down_{}_conv"),
    }


def _patchgan_options(network: keras.Model) -> dict[str, Any]:
    return {
        "filters": network.get_layer("layer_0_conv").filters,
        "num_layers": count_layers(network, "layer_{}_conv") - 1,
        "padding": _padding(network.get_layer("layer_0_conv")),
        "downsampling": _downsampling(network.get_layer("layer_0_conv")),
    }


def _pixel_options(network: keras.Model) -> dict[str, Any]:
    return {"filters": network.get_layer("layer_0_conv").filters}


_OPTIONS: Mapping[str, Callable[[keras.Model], dict[str, Any]]] = {
    "resnet": _resnet_options,
    "mobile_resnet": _mobile_options,
    "unet": _unet_options,
    "patchgan": _patchgan_options,
    "pixel": _pixel_options,
}


def _generator_options(network: keras.Model) -> dict[str, Any]:
    def first(cls: type, attribute: str, default: Any) -> Any:
        found = (layer for layer in network.layers if isinstance(layer, cls))
        return getattr(next(found, None), attribute, default)

    upsampling = first(keras.layers.UpSampling2D, "interpolation", "transpose")
    if upsampling == "bilinear" and _pads_zeros_after_resizing(network):
        upsampling = "antialiased"
    return {
        "output_channels": network.output_shape[-1],
        "dropout": first(keras.layers.Dropout, "rate", 0.0),
        "upsampling": upsampling,
    }


def _pads_zeros_after_resizing(network: keras.Model) -> bool:
    used_by = consumers(network)
    return any(
        isinstance(consumer, keras.layers.ZeroPadding2D)
        for layer in network.layers
        if isinstance(layer, keras.layers.UpSampling2D)
        for consumer in used_by[id(layer.output)]
    )


def _padding(conv: keras.layers.Conv2D) -> str:
    return "same" if conv.padding == "same" else "symmetric"


def _downsampling(conv: keras.layers.Conv2D) -> str:
    return "strided" if conv.strides == (2, 2) else "antialiased"


def _weight_shapes(network: keras.Model) -> list[tuple[str, tuple[int, ...]]]:
    return [
        (f"{layer.name}/{weight.name}", tuple(weight.shape))
        for layer in network.layers
        for weight in layer.weights
    ]
