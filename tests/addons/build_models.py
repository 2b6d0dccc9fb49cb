"""Save models with TensorFlow Addons, in an environment of its own.

    python build_models.py FOLDER

needs tensorflow-cpu 2.15.1 and tensorflow-addons 0.23.0 (Python 3.11 or older). Each
model is saved in the three formats of Keras 2, with an input and its output. The forms
are those that CycleGANs in Keras 2 have in the wild.
"""

import pathlib
import sys

import numpy as np
import tensorflow as tf
import tensorflow_addons as tfa
from tensorflow.keras import Input, Model, Sequential, layers

FOLDER = pathlib.Path(sys.argv[1])


class ReflectionPadding2D(layers.Layer):
    """As such layers are written: (width, height), one pixel by default."""

    def __init__(self, padding=(1, 1), **kwargs):
        super().__init__(**kwargs)
        self.padding = tuple(padding)

    def call(self, x):
        width, height = self.padding
        paddings = [[0, 0], [height, height], [width, width], [0, 0]]
        return tf.pad(x, paddings, mode="REFLECT")


def instance_norm(x):
    return tfa.layers.InstanceNormalization()(x)


def resnet(pad, relu, tanh, blocks=3, halvings=2, channels=3):
    """Affine instance norm, `same` padding, no biases but the last."""

    def conv(x, filters, kernel_size, **options):
        return instance_norm(
            layers.Conv2D(filters, kernel_size, use_bias=False, **options)(x)
        )

    filters = 4
    image = Input((64, 64, channels))
    x = relu(conv(pad(image, 3), filters, 7))
    for _ in range(halvings):
        filters *= 2
        x = relu(conv(x, filters, 3, strides=2, padding="same"))
    for _ in range(blocks):
        residual = relu(conv(pad(x, 1), filters, 3))
        x = layers.add([x, conv(pad(residual, 1), filters, 3)])
    for _ in range(halvings):
        filters //= 2
        x = layers.Conv2DTranspose(
            filters, 3, strides=2, padding="same", use_bias=False
        )(x)
        x = relu(instance_norm(x))
    return Model(image, tanh(layers.Conv2D(channels, 7)(pad(x, 3))))


def layered_resnet(**options):
    """Every step is a layer."""
    return resnet(
        lambda x, n: (ReflectionPadding2D() if n == 1 else ReflectionPadding2D((n, n)))(
            x
        ),
        lambda x: layers.Activation("relu")(x),
        lambda x: layers.Activation("tanh")(x),
        **options,
    )


def functional_resnet():
    """Functions of TensorFlow between the layers."""

    def pad(x, n):
        return tf.pad(x, [[0, 0], [n, n], [n, n], [0, 0]], mode="REFLECT")

    return resnet(pad, tf.nn.relu, tf.tanh)


def discriminator():
    x = image = Input((64, 64, 3))
    x = layers.LeakyReLU(0.2)(layers.Conv2D(4, 4, strides=2, padding="same")(x))
    for filters, strides in ((8, 2), (16, 2), (32, 1)):
        x = layers.Conv2D(filters, 4, strides=strides, padding="same", use_bias=False)(
            x
        )
        x = layers.LeakyReLU(0.2)(instance_norm(x))
    return Model(image, layers.Conv2D(1, 4, padding="same")(x))


def unet():
    """Resizes, biases before the norm, the norm after the activation."""
    x = image = Input((64, 64, 3))
    skips = []
    for filters in (4, 8, 16):
        x = layers.Conv2D(filters, 4, strides=2, padding="same")(x)
        x = instance_norm(layers.LeakyReLU(alpha=0.2)(x))
        skips.append(x)
    for filters, skip in ((8, skips[1]), (4, skips[0])):
        x = layers.UpSampling2D()(x)
        x = layers.Conv2D(filters, 4, padding="same", activation="relu")(x)
        x = instance_norm(layers.Dropout(0.3)(x))
        x = layers.Concatenate()([x, skip])
    x = layers.Conv2D(3, 4, padding="same", activation="tanh")(layers.UpSampling2D()(x))
    return Model(image, x)


def sequential():
    return Sequential(
        [
            Input((32, 32, 1)),
            layers.Conv2D(4, 3, padding="same"),
            tfa.layers.InstanceNormalization(center=False, epsilon=1e-4),
            layers.ReLU(),
            layers.BatchNormalization(),
            layers.Conv2D(1, 3, padding="same", activation="tanh"),
        ]
    )


MODELS = {
    "resnet": layered_resnet(),
    "resnet_three_halvings_gray": layered_resnet(blocks=1, halvings=3, channels=1),
    "functional_resnet": functional_resnet(),
    "discriminator": discriminator(),
    "unet": unet(),
    "sequential": sequential(),
}

random = np.random.default_rng(0)
for name, model in MODELS.items():
    # Start weights of a norm are ones and zeros, which would hide a mistake.
    for weight in model.weights:
        weight.assign_add(random.uniform(0, 0.2, weight.shape))
    x = random.uniform(-1, 1, (2, *model.input_shape[1:])).astype("float32")
    FOLDER.mkdir(parents=True, exist_ok=True)
    np.savez(FOLDER / f"{name}.npz", x=x, y=model(x, training=False))
    model.save(FOLDER / f"{name}.h5", save_format="h5")
    model.save(FOLDER / f"{name}.keras", save_format="keras")
    model.save(FOLDER / name, save_format="tf")
