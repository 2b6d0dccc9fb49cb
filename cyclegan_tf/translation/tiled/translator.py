"""Translate images that are too large for memory, tile by tile."""

import dataclasses
import functools
import pathlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator

import keras
import numpy as np
import rich.console
import rich.progress
import tensorflow as tf

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.images.pixels import Image, denormalize, normalize
from cyclegan_tf.translation.options import Size
from cyclegan_tf.translation.tiled.rasters import Box, Moments, RasterFile
from cyclegan_tf.translation.tiled.stages import FeatureMap, Stage, split_into_stages
from cyclegan_tf.translation.translator import AnyImage, Translator


class TiledTranslator(Translator):
    """A `Translator` whose memory does not grow with the image.

    The result has no seams and equals `Translator`'s up to rounding: this class sums
    statistics in float64. Each tile is computed with enough of its surroundings, and
    the instance norms use the statistics of the whole image. To that end the generator
    runs in stages, one for each norm, with the maps between them in files.

    An image that fits into one tile is translated whole.

    Args:
        generator: a generator of this package, or the path of a saved one.
        tile: int. Side of the tiles in pixels, rounded up to a side that the generator
            takes. Defaults to `512`.
        progress: bool. Show a progress bar if standard error is a terminal. Defaults to
            `False`.
        size: as for `Translator`.

    Raises:
        InputError: if the file is not a generator, the generator cannot be computed in
            tiles of that size, or `size` is less than 1.

    Example:
    ```python
    translate = TiledTranslator("runs/h2z/generator_g.keras", size="full")
    write_image(Path("zebra.png"), translate("large.jpg"))
    ```
    """

    def __init__(
        self,
        generator: keras.Model | str | pathlib.Path,
        tile: int = 512,
        progress: bool = False,
        size: Size = "trained",
    ):
        super().__init__(generator, size)
        self.tile = self._padded(tile)
        self.progress = progress
        self._stages = [
            (stage, _traced(stage.model)) for stage in split_into_stages(self._model)
        ]
        halo = max(self._halo(stage) for stage, _ in self._stages)
        if halo > self.tile:
            raise InputError(
                f"The generator sees up to {halo} pixels around a tile, which is more "
                f"than a tile of {tile} pixels; use `tile={halo}` or more."
            )

    @functools.cached_property
    def bytes_per_pixel(self) -> float:
        """The image and its translation; what else is held is of the size of a tile."""
        return self.channels + self.output_channels

    def __call__(self, image: AnyImage) -> Image:
        """Translate one image, as `Translator` does.

        Raises:
            InputError: if there is no room for the maps in the folder of temporary
                files.
        """
        image = self._array(image)
        if max(image.shape[:2]) <= self.tile:
            return super().__call__(image)
        translated = np.empty((*image.shape[:2], self.output_channels), np.uint8)
        for box, values in self.translate_tiles(image):
            translated[box.slices] = denormalize(values)
        return translated

    def disk_bytes(self, height: int, width: int) -> int:
        """Return the most bytes that the maps and pixels of an image need on the disk.

        The default ResNet needs 262 per pixel.
        """
        most, image = 0.0, self._model.inputs[0].name
        before: frozenset[FeatureMap] = frozenset()
        for stage, _ in self._stages:
            at_once = {map for map in before | stage.kept if map.name != image}
            most = max(most, 4 * sum(map.numbers_per_pixel for map in at_once))
            before = stage.kept
        most += self.channels + self.output_channels
        return int(most * self._padded(height) * self._padded(width))

    def translate_tiles(
        self, image: Image | RasterFile, folder: pathlib.Path | None = None
    ) -> Iterator[tuple[Box, np.ndarray]]:
        """Translate one image in its own size, and yield it tile by tile.

        Args:
            image: uint8 array (height, width, channels), in memory or in a file.
            folder: where to keep the maps. Defaults to that of temporary files.

        Yields:
            A part of the image, and its translation: float32 (height, width, output
            channels) in [-1, 1]. The parts cover the image once.

        Raises:
            ValueError: if the image has another number of channels.
            InputError: if there is no room for the maps in the folder.
        """
        height, width, channels = image.shape
        if channels != self.channels:
            raise ValueError(
                f"The generator takes images of {self.channels} channels. Received: "
                f"an image of shape {image.shape}"
            )
        padded = Box(0, 0, self._padded(height), self._padded(width))
        with tempfile.TemporaryDirectory(prefix=".tiles-", dir=folder) as temporary:
            maps_folder = pathlib.Path(temporary)
            self.check_room(maps_folder, height, width)
            for tile, values in self._run_stages(image, padded, maps_folder):
                inside = tile.grown(0, Box(0, 0, height, width))
                yield inside, values[inside.relative_to(tile).slices]

    def _run_stages(
        self, image: Image | RasterFile, bounds: Box, folder: pathlib.Path
    ) -> Iterator[tuple[Box, np.ndarray]]:
        tiles = list(bounds.tiles(self.tile))
        source = _Source(image, bounds)
        maps: dict[str, RasterFile] = {}
        averages: dict[str, np.ndarray] = {}
        with _bar(self.progress and sys.stderr.isatty()) as bar:
            task = bar.add_task("Tiles", total=len(tiles) * len(self._stages))
            for stage, run in self._stages:
                moments = Moments()
                files = {
                    map: _file(map, bounds, folder)
                    for map in stage.computes
                    if map in stage.kept
                }
                for tile in tiles:
                    region = tile.grown(self._halo(stage), bounds)
                    inputs = [
                        maps.get(map.name, source)[region.at_scale(map.scale).slices]
                        for map in stage.reads
                    ]
                    outputs = run(
                        *(values[None] for values in inputs),
                        *(averages[name] for name in stage.statistics),
                    )
                    for map, output in zip(stage.computes, outputs):
                        values = _inner(output, map, tile, region)
                        if map in files:
                            files[map][tile.at_scale(map.scale).slices] = values
                        if stage.norm is None:
                            yield tile, values
                        elif map.name == stage.norm.input:
                            moments.add(values)
                    bar.advance(task)
                if stage.norm is not None:
                    averages[stage.norm.mean] = moments.mean
                    averages[stage.norm.variance] = moments.variance
                maps |= {map.name: file for map, file in files.items()}
                for name in maps.keys() - {map.name for map in stage.kept}:
                    maps.pop(name).path.unlink()

    def _halo(self, stage: Stage) -> int:
        return stage.halo + -stage.halo % self.size_multiple

    def check_room(self, folder: pathlib.Path, height: int, width: int) -> None:
        """Check that a folder has room for the maps of an image.

        Raises:
            InputError: if fewer than `disk_bytes` are free.
        """
        needed, free = self.disk_bytes(height, width), shutil.disk_usage(folder).free
        if needed > free:
            raise InputError(
                f"The maps of an image of {width}x{height} pixels need "
                f"{needed / 1e9:.1f} GB in {folder.parent}, where {free / 1e9:.1f} GB "
                "are free; make room, or choose a folder on another disk."
            )


def _bar(is_shown: bool) -> rich.progress.Progress:
    return rich.progress.Progress(
        console=rich.console.Console(stderr=True, force_terminal=is_shown),
        transient=True,
        disable=not is_shown,
    )


class _Source:
    """The normalized image, padded by reflection as in `Translator`."""

    def __init__(self, image: Image | RasterFile, padded: Box):
        self.image = image
        height, width, _ = image.shape
        self.rows = _reflected(height, padded.bottom)
        self.columns = _reflected(width, padded.right)

    def __getitem__(self, part: tuple[slice, slice]) -> np.ndarray:
        rows, columns = self.rows[part[0]], self.columns[part[1]]
        top, left = rows.min(), columns.min()
        pixels = self.image[slice(top, rows.max() + 1), slice(left, columns.max() + 1)]
        pixels = pixels[np.ix_(rows - top, columns - left)]
        return normalize(pixels.astype(np.float32))


def _reflected(side: int, padded: int) -> np.ndarray:
    """Return the source pixel of each pixel of the padded side."""
    return np.pad(np.arange(side), (0, padded - side), mode="reflect")


def _traced(model: keras.Model) -> Callable[..., list[tf.Tensor]]:
    """Trace a stage once for tiles of all sizes."""
    return tf.function(
        lambda *inputs: keras.tree.flatten(model(list(inputs), training=False)),
        input_signature=[tf.TensorSpec(x.shape, tf.float32) for x in model.inputs],
    )


def _file(map: FeatureMap, bounds: Box, folder: pathlib.Path) -> RasterFile:
    _, _, height, width = dataclasses.astuple(bounds.at_scale(map.scale))
    return RasterFile(folder / map.name, (height, width, map.channels), "float32")


def _inner(output: tf.Tensor, map: FeatureMap, tile: Box, region: Box) -> np.ndarray:
    """Crop the output of a region to its tile."""
    values = output[0].numpy()
    size = region.relative_to(region).at_scale(map.scale)
    if values.shape[:2] != (size.bottom, size.right):
        raise InputError(
            f"The generator's {map.name} has another size than its input, so it cannot "
            "be computed in tiles; leave out `tile`."
        )
    return values[tile.relative_to(region).at_scale(map.scale).slices]
