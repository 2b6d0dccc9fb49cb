"""Translate images with a SavedModel that `cyclegan export` wrote."""

import pathlib

import tensorflow as tf

from cyclegan_tf._shared.archives import reading
from cyclegan_tf.images.pixels import Image
from cyclegan_tf.pretrained.find import StoredGenerator
from cyclegan_tf.pretrained.keras3 import check_image_channels
from cyclegan_tf.translation.translator import Translator, translate_one


class ExportedTranslator:
    """A SavedModel as a function from image to image, of any size, which they keep.

    Args:
        folder: the SavedModel that `cyclegan export` wrote.

    Attributes:
        channels: int. Channels of the input.
        output_channels: int. Channels of the output.
        size_multiple: int. 1: the SavedModel pads its images itself.
        bytes_per_pixel: float. That of ResNet-9: a SavedModel does not say its own.

    Raises:
        InputError: if it is not a SavedModel of `cyclegan export`.
    """

    size_multiple = 1
    bytes_per_pixel = 1040.0

    def __init__(self, folder: pathlib.Path):
        advice = "export again, or convert another model by cyclegan import"
        with reading(folder, "a SavedModel of cyclegan export", advice):
            # The model keeps the weights alive; the signature alone does not.
            self._model = tf.saved_model.load(str(folder))
            signature = self._model.signatures["uint8"]
            image = signature.structured_input_signature[1]["image"]
            translated = signature.structured_outputs["translated"]
        self.channels: int = image.shape[-1]
        self.output_channels: int = translated.shape[-1]

    def __call__(self, image: Image) -> Image:
        """Translate one image, as `Translator` does."""
        signature = self._model.signatures["uint8"]
        return translate_one(lambda x: signature(image=x)["translated"], image)


def load_translator(generator: StoredGenerator) -> Translator | ExportedTranslator:
    """Load a generator that translates the pixels of image files, all of them.

    Raises:
        InputError: if it cannot be loaded, or its input or output has other than 1 or 3
            channels.
    """
    translator = (
        ExportedTranslator(generator.path)
        if generator.is_exported
        else Translator(generator.path, size="full")
    )
    check_image_channels(
        translator.channels, translator.output_channels, generator.path
    )
    return translator
