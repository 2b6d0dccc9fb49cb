"""Two lists of images become an endless stream of unpaired, augmented batches.

A stream is a function of the seed and of the position in it: image number i of a
domain is drawn from a permutation of that domain's images that depends on the seed
and on how often the domain was gone through before, and is augmented with a seed
made of i. So a stream can start anywhere, and a resumed training sees exactly the
images that it would have seen.
"""

import concurrent.futures
import dataclasses
import logging
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.data.sources import Source
from cyclegan_tf.images import (
    Image,
    UnreadableImageError,
    in_channels,
    normalize,
    read_image,
    resize_image,
)

_LOG = logging.getLogger(__name__)

# The context of a process that makes whole batches.
_ALONE = tf.distribute.InputContext()

Mode = Literal["resize_and_crop", "crop", "scale_width", "scale_width_and_crop", "none"]


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """What is done to each image: a resize, which is cached, and random changes.

    Attributes:
        mode: `"resize_and_crop"` resizes to a square of `load_size`, then crops;
            `"crop"` only crops; `"scale_width"` resizes to `load_size` pixels wide,
            at least `crop_size` high; `"scale_width_and_crop"` then crops;
            `"none"` does neither.
        load_size: int. Pixels.
        crop_size: int. Pixels a side.
        flip: bool. Mirror half of the images.
        size_multiple: int. Without a crop, the sides are rounded to multiples of
            this by a resize, as the generators need it.
    """

    mode: Mode = "resize_and_crop"
    load_size: int = 286
    crop_size: int = 256
    flip: bool = True
    size_multiple: int = 4

    def __post_init__(self) -> None:
        if self.crops and self.crop_size % self.size_multiple:
            raise InputError(
                f"The generator needs sides that are multiples of {self.size_multiple}"
                f", but the crop size is {self.crop_size}; choose another --crop-size "
                "or another generator."
            )
        if self.crops and self.mode != "crop" and self.load_size < self.crop_size:
            raise InputError(
                f"Images of load size {self.load_size} are smaller than the crop size "
                f"{self.crop_size}; raise --load-size or lower --crop-size."
            )

    @property
    def crops(self) -> bool:
        return self.mode.endswith("crop")

    def for_evaluation(self) -> "Preprocessing":
        """The same without chance: resized to the crop size, cropped at the centre.

        Where training does not crop, images stay as large as in training.
        """
        load_size = self.crop_size if self.crops else self.load_size
        return dataclasses.replace(self, load_size=load_size, flip=False)

    def resize(self, image: Image) -> Image:
        """The deterministic part, before the cache: uint8 in, uint8 out."""
        height, width = image.shape[:2]
        if self.mode == "resize_and_crop":
            height = width = self.load_size
        elif self.mode.startswith("scale_width"):
            height = max(round(height * self.load_size / width), self.crop_size)
            width = self.load_size
        if not self.crops:
            height, width = (
                max(1, round(side / self.size_multiple)) * self.size_multiple
                for side in (height, width)
            )
        return resize_image(image, height, width)

    def augment(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """The random part, after the cache.

        Args:
            image: (height, width, channels) of any dtype.
            seed: int64 (2,). The same seed gives the same crop and flip.

        Returns:
            The dtype of `image`, (height, width, channels).
        """
        crop_seed, flip_seed = tf.unstack(tf.random.experimental.stateless_split(seed))
        if self.crops:
            size = (self.crop_size, self.crop_size, image.shape[-1])
            image = tf.image.stateless_random_crop(image, size, crop_seed)
        if self.flip:
            image = tf.image.stateless_random_flip_left_right(image, flip_seed)
        return image

    def crop_centre(self, image: Image) -> Image:
        """The crop of an evaluation image."""
        if not self.crops:
            return image
        top, left = ((side - self.crop_size) // 2 for side in image.shape[:2])
        return image[top : top + self.crop_size, left : left + self.crop_size]


class Domain(Sequence[Image]):
    """The images of one domain, decoded and resized, by their number.

    All files are read once at the start. Those that cannot be read are left out.
    The others stay in memory as far as `cache_bytes` goes, and are decoded anew
    when they are needed where it does not.

    Args:
        sources: the images in order.
        preprocessing: how they are resized.
        channels: int, 1 or 3. Defaults to `3`.
        cache_bytes: int. Defaults to 4 GB.

    Attributes:
        names: the names of the readable images, in order.
        left_out: one sentence for each image that could not be read.
        image_shape: (height, width, channels) of what a training batch is made of;
            height and width are `None` where images differ in size.

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
        """Return an image as it is, neither resized nor cropped."""
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
                f"than the crop of {crop_size}x{crop_size}; lower --crop-size or use "
                "--preprocess resize_and_crop."
            )


class StillImages(Sequence[Image]):
    """The first images of a domain without chance: resized, cropped at the centre.

    Those of a training split are decoded when they are needed, because their domain
    keeps them larger than the crop.

    Args:
        domain: the domain.
        count: int. So many, if there are. All if not given.
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


def steps_per_epoch(domain_x: Domain, domain_y: Domain, batch_size: int) -> int:
    """Steps in which every image of the larger domain is seen once."""
    return -(-max(len(domain_x), len(domain_y)) // batch_size)


def check_batches(domain_x: Domain, domain_y: Domain, batch_size: int) -> None:
    """Check that the images of each domain can form batches.

    Raises:
        InputError: if they are of several sizes.
    """
    if batch_size > 1 and None in domain_x.image_shape + domain_y.image_shape:
        raise InputError(
            f"Images of different sizes cannot form a batch of {batch_size}; use "
            "--batch-size 1 or a --preprocess that crops."
        )


def training_batches(
    domain_x: Domain,
    domain_y: Domain,
    batch_size: int = 1,
    seed: int = 0,
    first_step: int = 0,
    context: tf.distribute.InputContext = _ALONE,
) -> tf.data.Dataset:
    """An endless stream of unpaired, shuffled and augmented batches.

    Each domain goes through all of its images in a new random order before any
    comes again, whatever the other does: the smaller one is simply gone through
    more often.

    Args:
        domain_x: images of X.
        domain_y: images of Y.
        batch_size: int. Defaults to `1`.
        seed: int. Defaults to `0`.
        first_step: int. Batches to skip, at no cost. Defaults to `0`.
        context: which part of each batch to make, of those that the processes of a
            training make between them, and for how many devices. Defaults to all of
            it, for one device.

    Returns:
        A dataset of `(real_x, real_y)`: float32 (batch, height, width, channels) in
        [-1, 1]. A batch is one device's part of the global batch; those of a step
        follow one another.

    Raises:
        InputError: if images of several sizes cannot form a batch.
    """
    check_batches(domain_x, domain_y, batch_size)
    draw_x = _image_stream(domain_x, seed, stream=0)
    draw_y = _image_stream(domain_y, seed, stream=1)
    share = batch_size // context.num_input_pipelines

    def draw(i: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        number = i // share * batch_size + context.input_pipeline_id * share + i % share
        return draw_x(number), draw_y(number)

    return (
        tf.data.Dataset.range(first_step * share, np.iinfo(np.int64).max)
        .map(draw, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(context.get_per_replica_batch_size(batch_size), drop_remainder=True)
        .prefetch(tf.data.AUTOTUNE)
    )


def evaluation_steps(
    domain_x: Domain, domain_y: Domain, count: int, batch_size: int = 1
) -> int:
    """Batches in which the first images of two domains are seen once."""
    return -(-min(count, len(domain_x), len(domain_y)) // batch_size)


def evaluation_batches(
    domain_x: Domain,
    domain_y: Domain,
    count: int,
    batch_size: int = 1,
    context: tf.distribute.InputContext = _ALONE,
) -> tf.data.Dataset:
    """The first images of two domains, in order and without chance.

    Args:
        domain_x: images of X.
        domain_y: images of Y.
        count: int. Images of each domain, if it has so many.
        batch_size: int. The first images fill up the last batch. Defaults to `1`.
        context: as for `training_batches`.

    Returns:
        A dataset of `(real_x, real_y)`: float32 (batch, height, width, channels) in
        [-1, 1], enough for `evaluation_steps`.
    """
    count = min(count, len(domain_x), len(domain_y))
    both = StillImages(domain_x, count), StillImages(domain_y, count)
    share = batch_size // context.num_input_pipelines
    numbers = [
        (step * batch_size + context.input_pipeline_id * share + i) % count
        for step in range(evaluation_steps(domain_x, domain_y, count, batch_size))
        for i in range(share)
    ]
    dataset = tf.data.Dataset.from_generator(
        lambda: (
            tuple(normalize(images[i].astype(np.float32)) for images in both)
            for i in numbers
        ),
        output_signature=tuple(
            tf.TensorSpec(domain.image_shape, tf.float32)
            for domain in (domain_x, domain_y)
        ),
    )
    part = context.get_per_replica_batch_size(batch_size)
    return dataset.batch(part, drop_remainder=True).apply(
        tf.data.experimental.assert_cardinality(len(numbers) // part)
    )


def _image_stream(
    domain: Domain, seed: int, stream: int
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return the function from a number to the image of the stream at that number."""
    count = len(domain)
    stream_seed = np.int64(2 * seed + stream)  # the streams share no draws

    def draw(number: tf.Tensor) -> tf.Tensor:
        times_seen = number // count
        index = tf.random.experimental.index_shuffle(
            number % count,
            seed=tf.stack([stream_seed, times_seen]),
            max_index=count - 1,
        )
        image = tf.numpy_function(domain.__getitem__, [index], tf.uint8)
        image.set_shape((None, None, domain.channels))
        image = domain.preprocessing.augment(image, tf.stack([stream_seed, number]))
        image.set_shape(domain.image_shape)
        return normalize(tf.cast(image, tf.float32))

    return draw
