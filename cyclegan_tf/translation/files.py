"""Translate image files with one generator."""

import functools
import pathlib
from typing import NamedTuple

import tensorflow as tf

from cyclegan_tf._shared.errors import InputError, first_line
from cyclegan_tf._shared.files import ERRORS_OF_A_NAME, remove, temporary_name
from cyclegan_tf.images.pixels import denormalize, shrunk_size
from cyclegan_tf.images.reading import TooLargeImageError, is_larger_than, read_shrunk
from cyclegan_tf.images.writing import write_image
from cyclegan_tf.pretrained.find import StoredGenerator
from cyclegan_tf.pretrained.keras3 import check_image_channels
from cyclegan_tf.translation.exported import ExportedTranslator, load_translator
from cyclegan_tf.translation.options import Size
from cyclegan_tf.translation.scaling import SizeLimit
from cyclegan_tf.translation.tiled.rasters import RasterFile
from cyclegan_tf.translation.tiled.translator import TiledTranslator
from cyclegan_tf.translation.tiled.vips import (
    decode,
    encode,
    has_libvips,
    large_image_size,
    require_libvips,
)
from cyclegan_tf.translation.translator import Translator

# Pillow's encoders give no number if they cannot write a format.
_ERRORS_OF_ONE_FILE = ERRORS_OF_A_NAME | {None}


class WrittenFile(NamedTuple):
    """Height and width of a translation, and how it came about.

    `scaled_from` is width x height of an image that was scaled down, else empty.
    """

    height: int
    width: int
    scaled_from: str


class FileTranslator:
    """A generator as a function from image file to image file.

    Args:
        generator: a generator that `find_generators` found.
        size: the size to scale larger images down to, as for `SizeLimit.of`.
        tile: int. Translate images with a side above this many pixels in tiles of that
            size. Defaults to translating images whole, except those of more pixels
            after scaling than `MAX_PIXELS` or the free memory allow, if libvips is
            installed and the generator is not exported.
        progress: bool. Show a progress bar for images in tiles. Defaults to `False`.

    Attributes:
        limit: SizeLimit. What `size` means for this generator.

    Raises:
        InputError: if the generator cannot translate image files; with `tile`, if it
            cannot be computed in tiles, or libvips is not installed.
    """

    def __init__(
        self,
        generator: StoredGenerator,
        size: Size = "trained",
        tile: int | None = None,
        progress: bool = False,
    ):
        self.limit = SizeLimit.of(size, generator.training_size)
        self._progress = progress
        self._translator: Translator | ExportedTranslator
        if tile is None:
            self._translator = load_translator(generator)
            return
        if generator.is_exported:
            raise InputError(
                f"{generator.path} is an exported generator, which cannot translate in "
                "tiles; name the run or the .keras file that it was exported from."
            )
        require_libvips()
        tiled = TiledTranslator(generator.path, tile, progress, size="full")
        check_image_channels(tiled.channels, tiled.output_channels, generator.path)
        self._translator = tiled

    def __call__(self, path: pathlib.Path, output: pathlib.Path) -> WrittenFile:
        """Translate one file.

        Args:
            path: the image.
            output: the file to write, in the format of its suffix.

        Raises:
            UnreadableImageError: if it is not an image, or damaged.
            InputError: if there is not enough memory, or the output cannot have this
                name, format or size; in tiles, if the disk has no room for the maps.
            OSError: if nothing can be written, whatever the image.
        """
        try:
            return self._translate(path, output)
        except InputError:
            raise
        except (MemoryError, tf.errors.ResourceExhaustedError) as e:
            raise InputError(
                f"There is not enough memory for {path}; make it smaller, or, to "
                "translate it by a run or a .keras file, use `tile=512`."
            ) from e
        except (OSError, ValueError) as e:
            if isinstance(e, OSError) and e.errno not in _ERRORS_OF_ONE_FILE:
                raise
            reason = getattr(e, "strerror", None) or first_line(e)
            raise InputError(
                f"The translation of {path} cannot be written to {output} ({reason}); "
                "rename or convert the image."
            ) from e

    def _translate(self, path: pathlib.Path, output: pathlib.Path) -> WrittenFile:
        translator = self._translator
        if isinstance(translator, TiledTranslator) and is_larger_than(
            path, translator.tile
        ):
            return self._translate_in_tiles(translator, path, output)
        try:
            image, in_file = read_shrunk(
                path,
                translator.channels,
                self.limit.side,
                translator.bytes_per_pixel,
            )
        except TooLargeImageError:
            if self._for_large_images is None:
                raise
            return self._translate_in_tiles(self._for_large_images, path, output)
        write_image(output, translator(image))
        return _written(image.shape[:2], in_file)

    def _translate_in_tiles(
        self, translator: TiledTranslator, path: pathlib.Path, output: pathlib.Path
    ) -> WrittenFile:
        in_file = large_image_size(path)
        size = shrunk_size(*in_file, self.limit.side)
        _translate_large(translator, path, output, size)
        return _written(size, in_file)

    @functools.cached_property
    def _for_large_images(self) -> TiledTranslator | None:
        """What translates images of too many pixels, if anything can."""
        if isinstance(self._translator, ExportedTranslator) or not has_libvips():
            return None
        generator = self._translator.generator
        try:
            return TiledTranslator(generator, progress=self._progress, size="full")
        except InputError:  # it cannot be computed in tiles
            return None


def _written(size: tuple[int, int], in_file: tuple[int, int]) -> WrittenFile:
    height, width = in_file
    return WrittenFile(*size, "" if size == in_file else f"{width}x{height}")


def _translate_large(
    translator: TiledTranslator,
    path: pathlib.Path,
    output: pathlib.Path,
    size: tuple[int, int],
) -> None:
    """Translate one file, scaled to any size, with its pixels and maps on disk."""
    output.parent.mkdir(parents=True, exist_ok=True)
    # Not in the default folder of temporary files, which may be in memory.
    folder = output.with_name(temporary_name(output.name))
    folder.mkdir()
    try:
        translator.check_room(folder, *size)
        image = decode(path, translator.channels, folder / "image", size)
        translated = RasterFile(
            folder / "translation", (*size, translator.output_channels), "uint8"
        )
        for box, values in translator.translate_tiles(image, folder):
            translated[box.slices] = denormalize(values)
        encode(output, translated)
    finally:
        remove(folder)
