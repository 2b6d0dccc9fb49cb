"""One trained generator, applied to images of any size."""

import math
import pathlib
import zipfile

import keras
import numpy as np
import tensorflow as tf

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.images import Image, denormalize, normalize
from cyclegan_tf.translation.inference import inference_model

# The ResNet reflects one pixel at a quarter of the size, where two are needed for it.
SMALLEST_SIDE = 8


class Translator:
    """A generator as a function from image to image, of any size.

    The image is padded by reflection to sides that the generator can take, and the
    translation is cut back: it has exactly the size of the image.

    It translates with the weights that the generator has now; `refresh` follows a
    generator that is trained further.

    Args:
        generator: a generator of this package, or the path of a saved one.

    Raises:
        InputError: if the file is not a generator.

    Example:
    ```python
    translate = Translator("runs/h2z/generator_g.keras")
    write_image(Path("zebra.png"), translate(read_image(Path("horse.jpg"))))
    ```
    """

    def __init__(self, generator: keras.Model | str | pathlib.Path):
        if not isinstance(generator, keras.Model):
            generator = load_generator(pathlib.Path(generator))
        self.generator = generator
        self.size_multiple = size_multiple(generator)
        self.channels: int = generator.input_shape[-1]
        self._model = inference_model(generator)
        # Traced once for all sizes.
        self._run = tf.function(
            lambda images: self._model(images, training=False),
            input_signature=[tf.TensorSpec(self._model.input_shape, tf.float32)],
        )

    def refresh(self) -> None:
        """Take over the weights that the generator has now."""
        self._model.set_weights(self.generator.get_weights())

    def __call__(self, image: Image) -> Image:
        """Translate one image.

        Args:
            image: uint8 array (height, width, channels).

        Returns:
            uint8 array (height, width, output channels).

        Raises:
            ValueError: if the image has another number of channels.
        """
        height, width, channels = image.shape
        if channels != self.channels:
            raise ValueError(
                f"The generator takes images of {self.channels} channels. Received: "
                f"an image of shape {image.shape}"
            )
        padding = [(0, self._padded(side) - side) for side in (height, width)]
        padded = np.pad(image, [*padding, (0, 0)], mode="reflect")
        translated = self._run(normalize(padded[None].astype(np.float32)))
        return denormalize(translated[0, :height, :width])

    def _padded(self, side: int) -> int:
        side = max(side, SMALLEST_SIDE)
        return side + -side % self.size_multiple


def size_multiple(generator: keras.Model) -> int:
    """Return what the sides of an image must be multiples of to keep their size.

    Args:
        generator: a generator of `cyclegan_tf.models.networks`, or any Keras model
            whose strided convolutions follow one another.

    Returns:
        The product of the strides: 4 for the ResNet, `2 ** num_levels` for the
        U-Net.
    """
    return math.prod(
        layer.strides[0]
        for layer in generator.layers
        if type(layer) is keras.layers.Conv2D
    )


def load_generator(path: pathlib.Path) -> keras.Model:
    """Load a saved generator.

    Args:
        path: a `.keras` file.

    Raises:
        InputError: as `load_network`; if it does not make an image of the same size of
            an image.
    """
    network = load_network(path)
    if not _keeps_size(network):
        raise InputError(
            f"{path} is no generator, as it does not make images of the size of its "
            "input; name a generator's file, such as generator_g.keras."
        )
    return network


def check_image_channels(generator: keras.Model, name: object) -> None:
    """Check that there are image files for a generator.

    Args:
        generator: a generator.
        name: what to call it in the message.

    Raises:
        InputError: if it takes or gives other than 1 or 3 channels.
    """
    channels = generator.input_shape[-1], generator.output_shape[-1]
    if not {1, 3}.issuperset(channels):
        raise InputError(
            f"{name} translates images of {channels[0]} channels to {channels[1]}, but "
            "images are read with 1 or 3; name another generator."
        )


def load_network(path: pathlib.Path) -> keras.Model:
    """Load a network that Keras 3 saved; Lambda layers are refused.

    Args:
        path: a `.keras` file of a functional model with one input and one output.

    Raises:
        InputError: if there is no such file, or it is none that Keras can load, or
            another kind of model, such as a whole `CycleGAN`.
    """
    if not path.is_file():
        raise InputError(f"There is no network {path}; check the name.")
    try:
        network = keras.saving.load_model(path, compile=False)
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as e:
        raise InputError(
            f"{path} is not a network that Keras 3 can load "
            f"({str(e).splitlines()[0]}); name a .keras file of a run, or bring a "
            "model from elsewhere by cyclegan import."
        ) from e
    if not _is_functional(network):
        raise InputError(
            f"{path} holds a {type(network).__name__}, not a network as a functional "
            "Keras model; name the file of a single network, such as "
            "generator_g.keras."
        )
    return network


def _is_functional(network: keras.Model) -> bool:
    """Whether it is a graph of layers from one input to one output."""
    if isinstance(network, keras.Sequential):
        return False
    ends = [getattr(network, name, None) or [] for name in ("inputs", "outputs")]
    return [len(tensors) for tensors in ends] == [1, 1]


def _keeps_size(network: keras.Model) -> bool:
    if len(network.input_shape) != 4 or len(network.output_shape) != 4:
        return False
    _, *sides, channels = network.input_shape
    default = SMALLEST_SIDE * size_multiple(network)
    size = tuple(side or default for side in sides)
    output = network.compute_output_shape((1, *size, channels))
    return tuple(output[1:3]) == size
