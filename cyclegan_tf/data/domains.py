"""The images of each domain: decoded, resized, cached."""

import concurrent.futures
import dataclasses
import logging
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.config.directions import DomainName
from cyclegan_tf.config.options import DatasetConfig, TrainConfig
from cyclegan_tf.data.preprocessing import Preprocessing
from cyclegan_tf.data.sources import (
    Source,
    find_pairs,
    find_sources,
    match_pairs,
    split_folder,
)
from cyclegan_tf.images.pixels import Image, in_channels
from cyclegan_tf.images.reading import MAX_PIXELS_TO_SHRINK, read_image, read_size

_LOG = logging.getLogger(__name__)


class Domain(Sequence[Image]):
    """The images of one domain, decoded and resized.

    The constructor reads the header of every file, and leaves out files without one.
    Damaged pixels show only when an image is read. The next image then takes its place
    and all others keep theirs, so the order of a training stays the same. Images stay
    in memory up to `cache_bytes`; the rest is decoded at each access.

    Args:
        sources: the images in order.
        preprocessing: how to resize and augment them.
        channels: int, 1 or 3. Defaults to `3`.
        cache_bytes: int. Defaults to 4 GB.

    Attributes:
        names: names of the images, in order.
        left_out: one sentence for each unreadable image found so far.
        image_shape: (height, width, channels) of the images in training batches;
            height and width are `None` if images differ in size.
        cached_bytes: the memory that the cached images take once all are read.

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
        self.cached_bytes = 0
        self._sources: list[Source] = []
        self._cache: dict[int, Image | None] = {}  # the images to keep, once read
        self._damaged: set[int] = set()
        self._noting = threading.Lock()
        self._readable: set[int] = set()
        self._partner: Domain | None = None
        self._numbers: list[int] = []  # of the sources, before some are left out
        self._sources_found = len(sources)
        self._sizes: list[tuple[int, int]] = []
        with concurrent.futures.ThreadPoolExecutor() as pool:
            found = pool.map(_try_read_size, sources)
            for number, (source, size) in enumerate(zip(sources, found)):
                if isinstance(size, InputError):
                    self._leave_out(size)
                    continue
                size = preprocessing.resized(*size)
                self._check_size(source, *size)
                self._sizes.append(size)
                self._numbers.append(number)
                needed = math.prod(size) * channels
                if self.cached_bytes + needed <= cache_bytes:
                    self.cached_bytes += needed
                    self._cache[len(self._sources)] = None
                self._sources.append(source)
        if not self._sources:
            raise InputError(
                "None of the images can be read; the first problem: "
                f"{(self.left_out or ['there are none'])[0]}"
            )
        height = width = None
        if preprocessing.crops:
            height = width = preprocessing.crop_size
        elif len(set(self._sizes)) == 1:
            height, width = self._sizes[0]
        self.image_shape = (height, width, channels)

    @property
    def names(self) -> list[str]:
        return [source.name for source in self._sources]

    def __len__(self) -> int:
        return len(self._sources)

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(len(self)))]
        return self._first_readable(range(len(self))[i], self._resized)

    def decoded(self, i: int) -> Image:
        """Return an image in its original size."""
        return self._first_readable(range(len(self))[i], self._decode)

    def verify(self) -> None:
        """Read all images, and remove the unreadable ones.

        Raises:
            InputError: if no image is left.
        """
        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(pool.map(self.__getitem__, range(len(self))))
        partner = self._partner
        good = [
            i
            for i in range(len(self))
            if i not in self._damaged and (partner is None or partner._is_readable(i))
        ]
        for domain in (self, partner):
            if domain is not None:
                domain._keep(good)

    def pair_with(self, other: "Domain") -> None:
        """Make images at equal places belong together, here and in the other domain.

        Where one of a pair is unreadable, both are left out.

        Args:
            other: a domain of as many sources, in the same order.

        Raises:
            InputError: if one domain has more images than the other, no pair is left,
                or the images of a pair differ in size.
        """
        counts = self._sources_found, other._sources_found
        if counts[0] != counts[1]:
            raise InputError(
                f"Pairs of images need as many of X as of Y, not {counts[0]} and "
                f"{counts[1]}; add the missing ones, or remove those without a partner."
            )
        both = self._undamaged() & other._undamaged()
        for domain in (self, other):
            domain._keep([i for i, n in enumerate(domain._numbers) if n in both])
        if not both:
            raise InputError(
                "None of the pairs can be read; the first problem: "
                f"{(self.left_out + other.left_out)[0]}"
            )
        for name, size, other_size in zip(self.names, self._sizes, other._sizes):
            if size != other_size:
                raise InputError(
                    f"The images of a pair must be of one size, but {name} and its "
                    f"pair have {size[1]}x{size[0]} and {other_size[1]}x{other_size[0]}"
                    " pixels; resize the files, or train with "
                    "`preprocess=resize_and_crop`."
                )
        self._partner, other._partner = other, self

    def _undamaged(self) -> set[int]:
        """Return the numbers of the sources that have not failed so far."""
        return {n for i, n in enumerate(self._numbers) if i not in self._damaged}

    def _keep(self, places: Sequence[int]) -> None:
        """Keep the images at these places."""
        self._sources = [self._sources[i] for i in places]
        self._sizes = [self._sizes[i] for i in places]
        self._numbers = [self._numbers[i] for i in places]
        self._cache = {
            new: self._cache[old]
            for new, old in enumerate(places)
            if old in self._cache
        }
        self._damaged.clear()
        self._readable.clear()

    def _is_readable(self, place: int) -> bool:
        if place not in self._readable and self._try(place, self._resized) is not None:
            self._readable.add(place)
        return place in self._readable

    def _try(self, place: int, read: Callable[[int], Image]) -> Image | None:
        """Read an image; note it and return `None` if it is damaged."""
        if place in self._damaged:
            return None
        try:
            return read(place)
        except InputError as e:
            with self._noting:  # threads that read ahead may meet the same image
                if place not in self._damaged:
                    self._damaged.add(place)
                    self._leave_out(e)
            return None

    def _first_readable(self, i: int, read: Callable[[int], Image]) -> Image:
        """Read an image; for a damaged one, the next."""
        for place in range(i, i + len(self)):
            place %= len(self)
            if self._partner is not None and not self._partner._is_readable(place):
                continue
            image = self._try(place, read)
            if image is not None:
                return image
        left_out = self.left_out or (self._partner or self).left_out
        raise InputError(
            f"None of the images can be read; the last problem: {left_out[-1]}"
        )

    def _resized(self, i: int) -> Image:
        image = self._cache.get(i)
        if image is None:
            image = self.preprocessing.resize(self._decode(i))
            if i in self._cache:
                self._cache[i] = image
        return image

    def _decode(self, i: int) -> Image:
        source = self._sources[i]
        if isinstance(source.content, np.ndarray):
            return in_channels(source.content, self.channels)
        image = read_image(
            source.content, self.channels, MAX_PIXELS_TO_SHRINK, _name(source)
        )
        return image[:, source.columns(image.shape[1])]

    def _leave_out(self, error: InputError) -> None:
        _LOG.warning("Left out: %s", error)
        self.left_out.append(str(error))

    def _check_size(self, source: Source, height: int, width: int) -> None:
        crop_size = self.preprocessing.crop_size
        if self.preprocessing.crops and min(height, width) < crop_size:
            raise InputError(
                f"{source.name} is {width}x{height} pixels, smaller than the crop of "
                f"{crop_size}x{crop_size}; lower `crop_size` or use "
                "`preprocess=resize_and_crop`."
            )


def _try_read_size(source: Source) -> tuple[int, int] | InputError:
    if isinstance(source.content, np.ndarray):
        height, width = source.content.shape[:2]
        return height, width
    try:
        height, width = read_size(source.content, MAX_PIXELS_TO_SHRINK, _name(source))
        columns = source.columns(width)
        return height, columns.stop - columns.start
    except InputError as e:
        return e


def _name(source: Source) -> str:
    """Return what errors call an image."""
    return source.name if isinstance(source.content, bytes) else str(source.content)


class StillImages(Sequence[Image]):
    """The first images of a domain without augmentation: resized, center-cropped.

    Images of a training split are decoded at each access: their domain caches them at
    `load_size`, not at the size of the crop.

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
            return self._preprocessing.crop_center(self._domain[i])
        return self._preprocessing.crop_center(
            self._preprocessing.resize(self._domain.decoded(i))
        )


@dataclasses.dataclass(frozen=True)
class Domains:
    """The images of a data set by domain, `"x"` and `"y"`.

    Test images are not augmented. Without a test split they are the training images.
    `paired_training` and `paired_test` say whether images at equal places show the same
    scene.
    """

    train: Mapping[DomainName, Domain]
    test: Mapping[DomainName, Domain]
    paired_training: bool = False
    paired_test: bool = False


def load_domains(config: TrainConfig, size_multiple: int) -> Domains:
    """Find the images of a configuration; leave out and log unreadable ones.

    The memory of `cache_gb` goes to the training images first.

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
    cache_bytes = int(dataset.cache_gb * 1e9)
    takes_pairs = config.objective.takes_pairs

    def load(split: str, how: Preprocessing) -> dict[DomainName, Domain]:
        nonlocal cache_bytes
        domains: dict[DomainName, Domain] = {}
        for name, sources in _find(dataset, split, takes_pairs).items():
            if not sources:
                continue
            channels = dataset.channels_x if name == "x" else dataset.channels_y
            sources = sources[: dataset.max_images]
            domain = domains[name] = Domain(sources, how, channels, cache_bytes)
            cache_bytes -= domain.cached_bytes
            domain[0]  # says at once if none can be read
            if domain.left_out:
                _LOG.warning(
                    "%s, domain %s: %d of %d images cannot be read and are left out.",
                    split,
                    name.upper(),
                    len(domain.left_out),
                    len(sources),
                )
        return domains

    train = load("train", training)
    if takes_pairs:
        train["x"].pair_with(train["y"])
    shapes = train["x"].image_shape + train["y"].image_shape
    if config.objective.pool_size and None in shapes:
        raise InputError(
            f"The image pool needs images of one size, but those of {dataset.name} "
            "differ; use `pool_size=0` or a `preprocess` that crops."
        )
    kept_out = load("test", still)
    if train.keys() - kept_out:
        _LOG.warning(
            "%s lacks test images; training images stand in, which flatters scores.",
            dataset.name,
        )
    test = train | kept_out
    paired_test = takes_pairs or dataset.paired_test or dataset.data == "demo"
    if paired_test:
        test["x"].pair_with(test["y"])
    return Domains(train, test, takes_pairs, paired_test)


def _find(
    dataset: DatasetConfig, split: str, pairs: bool
) -> dict[DomainName, list[Source]]:
    """Find the images of X and Y of the split `"train"` or `"test"`."""
    if dataset.data_x and dataset.data_y:
        folders = dataset.data_x, dataset.data_y
        x, y = (split_folder(folder, split) for folder in folders)
        if pairs:
            x, y = match_pairs(*zip(folders, (x, y)))
        return {"x": x, "y": y}
    if pairs:
        a, b = find_pairs(dataset.data, split)
    else:
        a, b = (
            find_sources(dataset.data, split + domain, dataset.data_dir)
            for domain in "AB"
        )
    return {"x": a, "y": b} if dataset.direction == "AtoB" else {"x": b, "y": a}
