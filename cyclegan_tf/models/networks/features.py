"""What CUT compares: features of patches, and their projection heads."""

import keras
from keras import layers, ops

from cyclegan_tf.models.networks.architecture import count_layers
from cyclegan_tf.models.networks.initializers import xavier

# Part of the method: F's outputs are as small as 1e-6 at first, so another guard
# against a division by zero would change them.
_LENGTH_EPSILON = 1e-7


def encoder_features(generator: keras.Model) -> dict[str, keras.KerasTensor]:
    """Return the five tensors of a ResNet generator that CUT compares.

    They are the padded image, both downsampling convolutions before their norms, and
    two residual blocks: the first and the fifth, or the last of fewer.

    Args:
        generator: a `resnet_generator` or `mobile_resnet_generator` with a residual
            block or more.

    Returns:
        The tensors (batch, height, width, channels) by name, in the order of the
        network.

    Raises:
        ValueError: if it is another network.

    Reference:
        Park et al., 2020, Contrastive Learning for Unpaired Image-to-Image
        Translation, appendix C.1, and the authors' code.
    """
    blocks = count_layers(generator, "block_{}")
    names = {layer.name for layer in generator.layers}
    if not blocks or "stem_conv" not in names:
        raise ValueError(
            "CUT needs a resnet_generator or mobile_resnet_generator with residual "
            f"blocks. Received: {generator.name}"
        )
    features = {"pad": generator.get_layer("stem_conv").input}
    for name in (
        "down_0_conv",
        "down_1_conv",
        "block_0",
        f"block_{min(4, blocks - 1)}",
    ):
        features[name] = generator.get_layer(name).output
    return features


def projection_heads(channels: dict[str, int], width: int = 256) -> keras.Model:
    """Build the networks that make features of all layers comparable.

    Each is two dense layers with a ReLU between them, then a division by the length.
    They compute in float32, or in float64 where that is the default.

    Args:
        channels: the channels of each feature, by name.
        width: int. Width of both dense layers. Defaults to `256`.

    Returns:
        A `keras.Model` from a list of float (batch, patches, channels), one for each
        feature, to a list of float (batch, patches, width) of unit length.

    Reference:
        Park et al., 2020, section 3.2 and appendix C.1, and the authors' code.
    """
    dtype = keras.config.floatx()
    inputs, outputs = [], []
    for feature, number in channels.items():
        x = patches = keras.Input((None, number), dtype=dtype, name=feature)
        for i, activation in enumerate(("relu", None)):
            x = layers.Dense(
                width,
                activation,
                kernel_initializer=xavier(),
                dtype=dtype,
                name=f"{feature}_dense_{i}",
            )(x)
        squared = ops.sum(ops.square(x), axis=-1, keepdims=True)
        # The gradient of a square root at 0 is infinite.
        length = ops.sqrt(ops.maximum(squared, 1e-36))
        inputs.append(patches)
        outputs.append(x / (length + _LENGTH_EPSILON))
    return keras.Model(inputs, outputs, name="projection_heads")
