"""Translate images of any size with one generator."""

import functools
import pathlib
from collections.abc import Callable
from typing import TypeAlias

import keras
import numpy as np
import PIL.Image
import tensorflow as tf

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.images.pixels import Image, normalize, shrink_image
from cyclegan_tf.images.reading import from_pillow, read_shrunk, upright
from cyclegan_tf.models.networks.graph import (
    SMALLEST_SIDE,
    bytes_per_pixel,
    size_multiple,
)
from cyclegan_tf.pretrained.find import choose_generator
from cyclegan_tf.translation.inference import inference_model
from cyclegan_tf.translation.options import Size
from cyclegan_tf.translation.scaling import SizeLimit

# Every level, normalized by NumPy. In a graph, TensorFlow turns the division into a
# multiplication, which rounds differently.
_NORMALIZED = normalize(np.arange(256, dtype=np.float32))


# A file, a Pillow image, or a uint8 array (height, width, channels).
AnyImage: TypeAlias = Image | str | pathlib.Path | PIL.Image.Image


class Translator:
    """A generator as a function from image to image, of any size.

    It scales large images down to the scale that the generator knows, pads an
    image by reflection to sides that the generator takes, and crops the translation.

    It copies the generator's weights; call `refresh` after they change.

    Args:
        generator: a generator of this package, or what `load_generator` loads: a path,
            or the name of a model.
        size: int, `"trained"` or `"full"`. Scale an image down if its shorter side has
            more than so many pixels. `"trained"` means twice the size of the training
            images: 512 for a model, and for a file that does not say it. `"full"` keeps
            every image. Defaults to `"trained"`.

    Raises:
        InputError: as `load_generator`, or if `size` is less than 1.

    Example:
    ```python
    translate = Translator("runs/h2z/generator_g.keras")
    write_image(Path("zebra.png"), translate("horse.jpg"))
    ```
    """

    def __init__(
        self, generator: keras.Model | str | pathlib.Path, size: Size = "trained"
    ):
        training_size = None
        if not isinstance(generator, keras.Model):
            found = choose_generator(pathlib.Path(generator))
            generator, training_size = found.load(), found.training_size
        self.limit = SizeLimit.of(size, training_size)
        self.generator = generator
        self.size_multiple = size_multiple(generator)
        self.channels: int = generator.input_shape[-1]
        self.output_channels: int = generator.output_shape[-1]
        self._model = inference_model(generator)
        # Traced once for all sizes.
        self._translate = tf.function(
            functools.partial(translate_images, self._model),
            input_signature=[tf.TensorSpec(self._model.input_shape, tf.uint8)],
        )

    @functools.cached_property
    def bytes_per_pixel(self) -> float:
        """The memory that a translation needs per pixel of the image."""
        return bytes_per_pixel(self.generator)

    def refresh(self) -> None:
        """Copy the current weights of the generator."""
        self._model.set_weights(self.generator.get_weights())

    def __call__(self, image: AnyImage) -> Image:
        """Translate one image.

        Args:
            image: a file, a Pillow image, or a uint8 array (height, width, channels).

        Returns:
            uint8 array (height, width, output channels): of the height and width of
            the image, or smaller ones as `size` says.

        Raises:
            ValueError: if the array is not uint8 or has another number of channels.
            InputError: if the file cannot be read, or the generator does not keep the
                size of the image.
        """
        return translate_one(self._translate, self._array(image))

    def _array(self, image: AnyImage) -> Image:
        """Return the pixels to translate."""
        if isinstance(image, str | pathlib.Path):
            image, _ = read_shrunk(
                pathlib.Path(image),
                self.channels,
                self.limit.side,
                self.bytes_per_pixel,
            )
        elif isinstance(image, PIL.Image.Image):
            image = from_pillow(upright(image), self.channels)
        if image.dtype != np.uint8:
            raise ValueError(
                "Images must be uint8, with levels from 0 to 255. Received: an array "
                f"of {image.dtype}"
            )
        if image.shape[-1] != self.channels:
            raise ValueError(
                f"The generator takes images of {self.channels} channels. Received: "
                f"an image of shape {image.shape}"
            )
        return shrink_image(image, self.limit.side)

    def _padded(self, side: int) -> int:
        return int(_padded_side(side, self.size_multiple))


def translate_one(translate: Callable[[tf.Tensor], tf.Tensor], image: Image) -> Image:
    """Translate one image: all translations of images pass here.

    Args:
        translate: maps uint8 (batch, height, width, channels) to uint8 of the same
            size.
        image: uint8 (height, width, channels).

    Raises:
        InputError: if the translation has another size, or fails.
    """
    height, width, _ = image.shape
    try:
        translated: Image = translate(tf.constant(image[None])).numpy()[0]
    except tf.errors.ResourceExhaustedError:
        raise
    except tf.errors.OpError as e:
        raise InputError(
            f"The generator does not translate an image of {width}x{height} pixels to "
            "one of that size; use another generator."
        ) from e
    if translated.shape[:2] != (height, width):
        raise InputError(
            f"The generator translates an image of {width}x{height} pixels to one of "
            f"{translated.shape[1]}x{translated.shape[0]}; use another generator."
        )
    return translated


def translate_images(model: keras.Model, images: tf.Tensor) -> tf.Tensor:
    """Translate images of any size, as operations of a TensorFlow graph.

    Args:
        model: a model returned by `inference_model`.
        images: uint8 (batch, height, width, channels).

    Returns:
        uint8 (batch, height, width, output channels).
    """
    height, width = tf.unstack(tf.shape(images)[1:3])
    padded = images
    for axis, side in ((1, height), (2, width)):
        padded = tf.gather(padded, _reflected(side, size_multiple(model)), axis=axis)
    inputs = tf.gather(_NORMALIZED, tf.cast(padded, tf.int32))
    translated = model(inputs, training=False)
    # What follows would hide another size.
    tf.debugging.assert_equal(tf.shape(translated)[1:3], tf.shape(inputs)[1:3])
    levels = (translated[:, :height, :width] + 1.0) * 127.5
    return tf.cast(tf.round(tf.clip_by_value(levels, 0, 255)), tf.uint8)


def _reflected(side: tf.Tensor, multiple: int) -> tf.Tensor:
    """Return which pixel stands at each place of the padded side.

    Not `tf.pad`, which reflects once: too little for images smaller than the padding.
    """
    period = tf.maximum(2 * (side - 1), 1)
    places = tf.range(_padded_side(side, multiple)) % period
    return tf.minimum(places, period - places) % side


def _padded_side(side: int | tf.Tensor, multiple: int) -> tf.Tensor:
    side = tf.maximum(side, SMALLEST_SIDE)
    return side + -side % multiple
