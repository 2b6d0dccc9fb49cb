"""The images of each domain: decoded, resized, cached."""

import concurrent.futures
import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.config.directions import DomainName
from cyclegan_tf.config.options import DatasetConfig, TrainConfig
from cyclegan_tf.data.preprocessing import Preprocessing
from cyclegan_tf.data.sources import Source, find_sources
from cyclegan_tf.images import Image, UnreadableImageError, in_channels, read_image

_LOG = logging.getLogger(__name__)


class Domain(Sequence[Image]):
    """The images of one domain, decoded and resized.

    The constructor reads all files once and leaves out unreadable ones. Images stay in
    memory up to `cache_bytes`; the rest is decoded at each access.

    Args:
        sources: the images in order.
        preprocessing: how to resize and augment them.
        channels: int, 1 or 3. Defaults to `3`.
        cache_bytes: int. Defaults to 4 GB.

    Attributes:
        names: names of the readable images, in order.
        left_out: one sentence for each unreadable image.
        image_shape: (height, width, channels) of the images in training batches;
            height and width are `None` if images differ in size.

    Raises:
        InputError: if no image is left, or one is smaller than the crop.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        preprocessing: Preprocessing,
        channels: int = 3,
        cache_bytes: int = 4 * 10**9,
    ):
        self.preprocessing = preprocessing
        self.channels = channels
        self.left_out: list[str] = []
        self._sources: list[Source] = []
        self._cache: list[Image | None] = []
        sizes = set()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            for source, image in zip(sources, pool.map(self._try_load, sources)):
                if isinstance(image, UnreadableImageError):
                    _LOG.warning("Left out: %s", image)
                    self.left_out.append(str(image))
                    continue
                self._check_size(source, image)
                sizes.add(image.shape[:2])
                self._sources.append(source)
                cached = cache_bytes >= image.nbytes
                cache_bytes -= image.nbytes if cached else 0
                self._cache.append(image if cached else None)
        if not self._sources:
            raise InputError(
                "None of the images can be read; the first problem: "
                f"{(self.left_out or ['there are none'])[0]}"
            )
        self.names = [source.name for source in self._sources]
        height = width = None
        if preprocessing.crops:
            height = width = preprocessing.crop_size
        elif len(sizes) == 1:
            height, width = sizes.pop()
        self.image_shape = (height, width, channels)

    def __len__(self) -> int:
        return len(self._sources)

    def __getitem__(self, i: Any) -> Any:
        image = self._cache[i]
        return self._load(self._sources[i]) if image is None else image

    def decoded(self, i: int) -> Image:
        """Return an image in its original size."""
        return self._decode(self._sources[i])

    def _load(self, source: Source) -> Image:
        return self.preprocessing.resize(self._decode(source))

    def _decode(self, source: Source) -> Image:
        if isinstance(source.content, np.ndarray):
            return in_channels(source.content, self.channels)
        return read_image(source.content, self.channels)

    def _try_load(self, source: Source) -> Image | UnreadableImageError:
        try:
            return self._load(source)
        except UnreadableImageError as e:
            return UnreadableImageError(str(e).replace("the image", source.name, 1))

    def _check_size(self, source: Source, image: Image) -> None:
        crop_size = self.preprocessing.crop_size
        if self.preprocessing.crops and min(image.shape[:2]) < crop_size:
            raise InputError(
                f"{source.name} is {image.shape[1]}x{image.shape[0]} pixels, smaller "
                f"than the crop of {crop_size}x{crop_size}; lower `crop_size` or use "
                "`preprocess=resize_and_crop`."
            )


class StillImages(Sequence[Image]):
    """The first images of a domain without augmentation: resized, center-cropped.

    Images of a training split are decoded at each access, because their domain caches
    them larger than the crop.

    Args:
        domain: where the images come from.
        count: int. The most images. Defaults to all.
    """

    def __init__(self, domain: Domain, count: int | None = None):
        self._domain = domain
        self._preprocessing = domain.preprocessing.for_evaluation()
        self._count = len(domain) if count is None else min(count, len(domain))

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, i: Any) -> Any:
        if not 0 <= i < self._count:
            raise IndexError(i)
        if self._preprocessing == self._domain.preprocessing:
            return self._preprocessing.crop_centre(self._domain[i])
        return self._preprocessing.crop_centre(
            self._preprocessing.resize(self._domain.decoded(i))
        )


@dataclasses.dataclass(frozen=True)
class Domains:
    """The images of a data set by domain, `"x"` and `"y"`.

    Test images are not augmented. Without a test split they are the training images.
    """

    train: Mapping[DomainName, Domain]
    test: Mapping[DomainName, Domain]


def load_domains(config: TrainConfig, size_multiple: int) -> Domains:
    """Read the images of a configuration; leave out and log unreadable ones.

    Args:
        config: all options.
        size_multiple: int. The generators need sides that are multiples of it.

    Raises:
        InputError: if the images cannot be used for training.
    """
    dataset = config.dataset
    if dataset.paired_test and dataset.data.startswith("tfds:"):
        raise InputError(
            f"The test images of {dataset.data} cannot be paired, because TensorFlow "
            "Datasets shuffles each domain by itself; name the extracted download as a "
            "folder instead."
        )
    training = Preprocessing(
        dataset.preprocess,
        dataset.load_size,
        dataset.crop_size,
        dataset.flip,
        size_multiple,
    )
    still = training.for_evaluation()
    train_x = _load(dataset, "trainA", training, dataset.channels_x)
    train_y = _load(dataset, "trainB", training, dataset.channels_y)
    assert train_x is not None and train_y is not None  # find_sources raises
    if config.objective.pool_size and None in train_x.image_shape + train_y.image_shape:
        raise InputError(
            f"The image pool needs images of one size, but those of {dataset.data} "
            "differ; use `pool_size=0` or a `preprocess` that crops."
        )
    test_x = _load(dataset, "testA", still, dataset.channels_x)
    test_y = _load(dataset, "testB", still, dataset.channels_y)
    return Domains(
        {"x": train_x, "y": train_y}, {"x": test_x or train_x, "y": test_y or train_y}
    )


def _load(
    dataset: DatasetConfig, split: str, how: Preprocessing, channels: int
) -> Domain | None:
    sources = find_sources(dataset.data, split, dataset.data_dir)[: dataset.max_images]
    if not sources:
        return None
    cache_bytes = int(dataset.cache_gb * 1e9 / 4)  # an equal part for each split
    domain = Domain(sources, how, channels, cache_bytes)
    if domain.left_out:
        _LOG.warning(
            "%s: %d of %d images cannot be read and are left out.",
            split,
            len(domain.left_out),
            len(sources),
        )
    return domain
