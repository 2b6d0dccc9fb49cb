"""Translate images of any size with one generator."""

import pathlib

import keras
import numpy as np
import tensorflow as tf

from cyclegan_tf.images import Image, denormalize, normalize
from cyclegan_tf.models.networks.graph import size_multiple
from cyclegan_tf.pretrained.keras3 import SMALLEST_SIDE, load_generator
from cyclegan_tf.translation.inference import inference_model


class Translator:
    """A generator as a function from image to image, of any size.

    It pads an image by reflection to sides that the generator takes, and crops the
    translation to the size of the image.

    It copies the generator's weights; call `refresh` after they change.

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
        self.output_channels: int = generator.output_shape[-1]
        self._model = inference_model(generator)
        # Traced once for all sizes.
        self._run = tf.function(
            lambda images: self._model(images, training=False),
            input_signature=[tf.TensorSpec(self._model.input_shape, tf.float32)],
        )

    def refresh(self) -> None:
        """Copy the current weights of the generator."""
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
