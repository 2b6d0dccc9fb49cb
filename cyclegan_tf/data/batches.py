"""Endless streams of augmented batches from two domains.

A stream is a function of the seed and the position. Image number i of a domain comes
from a permutation of its images that depends on the seed and on the number of earlier
passes; its augmentation depends on the seed and on i. So a stream can start anywhere,
and a resumed training sees exactly the images of an uninterrupted one.
"""

import contextlib
import functools
import re
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.data.domains import Domain, StillImages
from cyclegan_tf.images.pixels import Image, normalize

# A single process that produces full batches.
_SINGLE_PROCESS = tf.distribute.InputContext()


@contextlib.contextmanager
def reading_errors_in_words() -> Iterator[None]:
    """Raise the `InputError` of a stream without what TensorFlow writes around it."""
    try:
        yield
    except tf.errors.OpError as e:
        found = re.search(r"InputError: (.+)", e.message)
        if not found:
            raise
        raise InputError(found[1]) from None


def steps_per_epoch(domain_x: Domain, domain_y: Domain, batch_size: int) -> int:
    """Return the number of steps that show each image of the larger domain once."""
    return -(-max(len(domain_x), len(domain_y)) // batch_size)


def check_batches(domain_x: Domain, domain_y: Domain, batch_size: int) -> None:
    """Check that the images of each domain can form batches.

    Raises:
        InputError: if they differ in size.
    """
    if batch_size > 1 and None in domain_x.image_shape + domain_y.image_shape:
        raise InputError(
            f"Images of different sizes cannot form a batch of {batch_size}; use "
            "`batch_size=1` or a `preprocess` that crops."
        )


def training_batches(
    domain_x: Domain,
    domain_y: Domain,
    batch_size: int = 1,
    seed: int = 0,
    first_step: int = 0,
    context: tf.distribute.InputContext = _SINGLE_PROCESS,
    *,
    paired: bool = False,
    jitter_steps: int | None = None,
) -> tf.data.Dataset:
    """Return an endless stream of shuffled and augmented batches.

    Each domain repeats all of its images in a new random order, independently of the
    other: the smaller domain repeats more often. Pairs stay together, with the same
    crop and flip.

    Args:
        domain_x: images of X.
        domain_y: images of Y.
        batch_size: int. Defaults to `1`.
        seed: int. Defaults to `0`.
        first_step: int. Batches to skip, at no cost. Defaults to `0`.
        context: this process's share of each batch, and its number of
            devices. Defaults to whole batches for one device.
        paired: bool. Whether images at equal places of the domains are pairs. Defaults
            to `False`.
        jitter_steps: int. Number of steps with random crops; later images are resized
            to the size of the crop. Defaults to `None`, all.

    Returns:
        A dataset of `(real_x, real_y)`: float32 (batch, height, width, channels) in
        [-1, 1]. A batch is one device's part of the global batch; the parts of a step
        are consecutive.

    Raises:
        InputError: if images of different sizes cannot form a batch.
    """
    check_batches(domain_x, domain_y, batch_size)
    jittered = None if jitter_steps is None else jitter_steps * batch_size
    draw_x = _image_stream(domain_x, seed, 0, jittered)
    draw_y = _image_stream(domain_y, seed, 0 if paired else 1, jittered)
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
    """Return the number of batches that show the first images of two domains once."""
    return -(-min(count, len(domain_x), len(domain_y)) // batch_size)


def evaluation_batches(
    domain_x: Domain,
    domain_y: Domain,
    count: int,
    batch_size: int = 1,
    context: tf.distribute.InputContext = _SINGLE_PROCESS,
) -> tf.data.Dataset:
    """Return the first images of two domains, in order and without augmentation.

    Args:
        domain_x: images of X.
        domain_y: images of Y.
        count: int. Maximum number of images per domain.
        batch_size: int. The first images fill up the last batch. Defaults to `1`.
        context: as for `training_batches`.

    Returns:
        A dataset of `(real_x, real_y)`: float32 (batch, height, width, channels) in
        [-1, 1], `evaluation_steps` batches in all.
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
    domain: Domain, seed: int, stream: int, jittered: int | None
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return the function from a position in the stream to its image.

    The first `jittered` images are cropped at random.
    """
    count = len(domain)
    still = StillImages(domain)
    stream_seed = np.int64(2 * seed + stream)  # the streams share no draws

    @functools.lru_cache(maxsize=4)  # a pass, and the next one that is prefetched
    def order(times_seen: int) -> np.ndarray:
        # Not TensorFlow's `index_shuffle`: below 65,536 images it has only 256 orders.
        random = np.random.default_rng((int(stream_seed), times_seen))
        return random.permutation(count)

    def image_number(number: np.int64) -> Image:
        place = int(order(int(number) // count)[number % count])
        is_jittered = jittered is None or number < jittered
        image: Image = domain[place] if is_jittered else still[place]
        return image

    def draw(number: tf.Tensor) -> tf.Tensor:
        image = tf.numpy_function(image_number, [number], tf.uint8)
        image.set_shape((None, None, domain.channels))
        image = domain.preprocessing.augment(image, tf.stack([stream_seed, number]))
        image.set_shape(domain.image_shape)
        return normalize(tf.cast(image, tf.float32))

    return draw
