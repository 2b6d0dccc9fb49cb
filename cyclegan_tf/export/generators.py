"""Load the generators to export, with images for calibration and comparison."""

import dataclasses
import logging
import pathlib
import re

import keras

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.config.directions import DIRECTIONS
from cyclegan_tf.data.domains import Domain, load_domains
from cyclegan_tf.export.options import CALIBRATED, ExportConfig
from cyclegan_tf.images.folders import find_images
from cyclegan_tf.images.pixels import Image, resize_image
from cyclegan_tf.images.reading import UnreadableImageError, read_image
from cyclegan_tf.models.networks.graph import size_multiple
from cyclegan_tf.photographs import PHOTOGRAPHS
from cyclegan_tf.pretrained.find import StoredGenerator, find_generators
from cyclegan_tf.pretrained.keras3 import check_image_channels, load_generator_file
from cyclegan_tf.runs.run import Run

_LOG = logging.getLogger(__name__)

# The size that the reference trains on.
_DEFAULT_SIDE = 256


@dataclasses.dataclass(frozen=True)
class Exportable:
    """A generator to export, and its images.

    Attributes:
        name: name in files and on servers.
        direction: `"g"` (X to Y) or `"f"` (Y to X); `None` if unknown.
        training_size: side of the training images in pixels; `None` if unknown.
        translates: what it turns into what; `None` if unknown.
        size: (height, width) for files of one size.
        report_images: uint8 images of that size to compare outputs on.
        calibration_images: likewise to calibrate on; none if no variant needs them.
        images_from: where the report images come from.
    """

    name: str
    direction: str | None
    generator: keras.Model
    training_size: int | None
    translates: str | None
    size: tuple[int, int]
    report_images: list[Image]
    calibration_images: list[Image]
    images_from: str


def load_exportables(config: ExportConfig) -> list[Exportable]:
    """Load the generators that the source holds, G before F.

    Raises:
        InputError: if there is no generator, or its images are missing, cannot be read
            or do not suit it.
    """
    found = find_generators(config.source)
    if any(generator.is_exported for generator in found):
        raise InputError(
            f"{config.source} is exported already; name the run or the .keras file "
            "that it was exported from."
        )
    if Run.is_run(config.source):
        return _from_run(found, config)
    return [_from_file(generator, config, len(found) > 1) for generator in found]


def _from_run(found: list[StoredGenerator], config: ExportConfig) -> list[Exportable]:
    if config.calibration:
        raise InputError(
            f"`calibration={config.calibration}` is for generators without a run, but "
            f"{config.source} is a run, which has its own images; leave it out, or "
            "export one of its generator_*.keras."
        )
    run = Run(config.source)
    networks = {each.direction or "g": load_generator_file(each.path) for each in found}
    calibration_images = config.calibration_images if config.calibrates else 0
    enough = max(config.report_images, calibration_images)
    limited = dataclasses.replace(run.config.dataset, max_images=enough)
    try:
        domains = load_domains(
            dataclasses.replace(run.config, dataset=limited),
            max(size_multiple(network) for network in networks.values()),
        )
    except InputError as e:
        raise InputError(
            f"The images of {config.source} are needed to check the exported files, "
            f"but: {e} Or export one of its generator_*.keras."
        ) from e
    name = config.name or _name_of(config.source.resolve().name)

    def exportable(key: str, network: keras.Model) -> Exportable:
        direction = DIRECTIONS[key]
        test, train = domains.test[direction.source], domains.train[direction.source]
        first = test.preprocessing.crop_center(test[0])
        size = _check_size(config.image_size or first.shape[:2], network)
        return Exportable(
            f"{name}_{direction.name}",
            direction.name,
            network,
            run.config.dataset.training_size,
            run.config.dataset.translates(key),
            size,
            _first_images(test, config.report_images, size),
            _first_images(train, calibration_images, size),
            f"test images of domain {direction.source.upper()}",
        )

    return [exportable(key, network) for key, network in networks.items()]


def _from_file(
    found: StoredGenerator, config: ExportConfig, of_two: bool
) -> Exportable:
    generator = load_generator_file(found.path)
    height, width, channels = generator.input_shape[1:]
    check_image_channels(channels, generator.output_shape[-1], found.path)
    name = config.name or _name_of(config.source.stem)
    if of_two:
        name = f"{name}_{found.direction}"
    elif name == "report":
        raise InputError(
            f"{config.source} would be described in report.json, which is the parity "
            "report; choose another `name`."
        )
    default = _DEFAULT_SIDE + -_DEFAULT_SIDE % size_multiple(generator)
    size = config.image_size or (height or default, width or default)
    _check_size(size, generator)
    calibration_images = config.calibration_images if config.calibrates else 0
    if config.calibration:
        enough = config.report_images + calibration_images
        images = _read_folder(config.calibration, enough, channels)
        images_from = f"images of {config.calibration}"
    elif config.calibrates:
        calibrated = [v for v in config.chosen.variants if v in CALIBRATED]
        raise InputError(
            f"{' and '.join(calibrated)} must be calibrated; name a folder of images "
            "that the generator translates as `calibration`."
        )
    else:
        images = [read_image(path, channels) for path in PHOTOGRAPHS]
        images_from = "photographs that come with the package"
    images = [resize_image(image, *size) for image in images]
    # Calibrate on other images than the report compares, if there are any.
    others = images[config.report_images :] or images
    return Exportable(
        name,
        found.direction,
        generator,
        found.training_size,
        found.translates,
        size,
        images[: config.report_images],
        others[:calibration_images],
        images_from,
    )


def _name_of(name: str) -> str:
    """Make a name of a file or folder one that models can have."""
    return re.sub(r"[^\w.-]", "_", name, flags=re.ASCII).lstrip("_.-") or "generator"


def _check_size(size: tuple[int, int], generator: keras.Model) -> tuple[int, int]:
    multiple = size_multiple(generator)
    if size[0] % multiple or size[1] % multiple:
        raise InputError(
            f"The generator needs sides that are multiples of {multiple}, not "
            f"{size[0]}x{size[1]}; choose another `image_size`."
        )
    return size


def _first_images(domain: Domain, count: int, size: tuple[int, int]) -> list[Image]:
    return [
        resize_image(domain.preprocessing.crop_center(domain[i]), *size)
        for i in range(min(count, len(domain)))
    ]


def _read_folder(folder: pathlib.Path, count: int, channels: int) -> list[Image]:
    """Read the first images of a folder, leaving out those that are damaged."""
    images: list[Image] = []
    for path in find_images(folder):
        if len(images) == count:
            break
        try:
            images.append(read_image(path, channels))
        except UnreadableImageError as e:
            _LOG.warning("Left out: %s", e)
    if not images:
        raise InputError(
            f"No image in {folder} can be read; name another folder as `calibration`."
        )
    return images
