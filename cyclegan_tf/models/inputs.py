"""What a model can be trained on: two batches of images, checked in words.

Keras takes data in many forms. All of them pass here first: what can be known is
checked at once, and the values of a `tf.data.Dataset` as its batches come.
"""

import contextlib
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, TypeAlias

import keras
import numpy as np
import tensorflow as tf

Shape: TypeAlias = tuple[int | None, ...]

# Larger values are not images in [-1, 1]. A little more comes from resizing.
LARGEST_VALUE = 1.5

# Begins a sentence in a graph's error, which has more text around it.
_MARK = "Refused: "


class Data(NamedTuple):
    """Checked arguments of `keras.Model.fit`, and the shapes of a batch."""

    x: Any
    y: Any
    shape_x: Shape
    shape_y: Shape


class ImagePairs:
    """Batches `(real_x, real_y)` of float images in [-1, 1], in any form Keras takes.

    Networks may also work on other data than images, such as points (batch, 2); these
    may have any values.

    Args:
        shape_x: the shape of a batch of X, mostly (None, None, None, channels).
        shape_y: likewise, of Y.
    """

    def __init__(self, shape_x: Shape, shape_y: Shape):
        self.shapes = shape_x, shape_y
        self._are_images = len(shape_x) == len(shape_y) == 4

    def check(self, x: Any, y: Any = None) -> Data:
        """Check the data of `fit`, as far as it can be known before the first step.

        Args:
            x: arrays, a `tf.data.Dataset`, a `keras.utils.PyDataset`, a generator or
                any other iterable of batches.
            y: arrays, if `x` is.

        Raises:
            ValueError: if these are not batches of images for the model.
        """
        if isinstance(x, tf.data.Dataset):
            return self._check_dataset(x)
        if isinstance(x, tf.distribute.DistributedDataset):
            # A spec holds one part for each replica.
            specs = tf.nest.map_structure(_first_replica, _pair(x.element_spec))
            return Data(x, None, *self._check_types(specs))
        if y is not None:
            return self._check_arrays(x, y)
        return self._check_iterable(x)

    def _check_arrays(self, x: Any, y: Any) -> Data:
        if len(x) != len(y):
            raise ValueError(
                "real_x and real_y must have the same number of images. Received: "
                f"{len(x)} and {len(y)}; make a tf.data.Dataset that repeats the "
                "smaller set."
            )
        shapes = self._check_types((x, y))
        for domain, images in zip("xy", (x, y) if self._are_images else ()):
            values = np.asarray(images)
            low, high = np.min(values), np.max(values)
            if not (low >= -LARGEST_VALUE and high <= LARGEST_VALUE):
                raise ValueError(_out_of_range(domain).format(low, high))
        return Data(x, y, *shapes)

    def _check_iterable(self, x: Any) -> Data:
        """Check the first batch; a generator gives it once more."""
        if isinstance(x, keras.utils.PyDataset):
            first = x[0]
        elif isinstance(x, Iterable) and not hasattr(x, "shape"):
            first = next(iter(x), None)
            if first is None:
                raise ValueError("fit needs at least one batch. Received: an empty x")
            if isinstance(x, Iterator):
                x = _with_first(first, x)
        else:
            first = x
        batch = _pair(first)
        shapes = self._check_arrays(*batch)[2:]
        return Data(x, None, *shapes)

    def _check_dataset(self, x: tf.data.Dataset) -> Data:
        specs = _pair(x.element_spec)
        self._check_types(specs)

        def with_values_checked(*batch: tf.Tensor) -> tuple[tf.Tensor, ...]:
            for domain, images in zip("xy", batch):
                low, high = tf.reduce_min(images), tf.reduce_max(images)
                in_range = (low >= -LARGEST_VALUE) & (high <= LARGEST_VALUE)
                sentence = tf.strings.format(
                    _MARK + _out_of_range(domain),
                    (tf.cast(low, tf.float32), tf.cast(high, tf.float32)),
                )
                tf.debugging.Assert(in_range, [sentence])
            return batch

        checked = x
        if self._are_images:
            checked = x.map(with_values_checked, num_parallel_calls=tf.data.AUTOTUNE)
        if any(spec.shape.rank is None or None in spec.shape[1:] for spec in specs):
            # Nothing but a batch tells its size.
            specs = next(iter(x), specs)
        return Data(checked, None, *self._check_types(specs))

    def _check_types(self, batch: tuple[Any, Any]) -> tuple[Shape, Shape]:
        """Check the dtypes and shapes of two batches, or of their specs."""
        shapes = []
        for domain, images, expected in zip("xy", batch, self.shapes):
            dtype = keras.backend.standardize_dtype(images.dtype)
            if "float" not in dtype:
                raise ValueError(
                    f"real_{domain} must be float images in [-1, 1]. Received: dtype "
                    f"{dtype}; divide levels of 0 to 255 by 127.5 and subtract 1."
                )
            is_unknown = getattr(images.shape, "rank", len) is None
            shape = expected if is_unknown else tuple(images.shape)
            if len(shape) != len(expected) or shape[-1] not in (None, expected[-1]):
                sides = "height, width, " if self._are_images else "..., "
                raise ValueError(
                    f"real_{domain} must be batches of images (batch, {sides}"
                    f"{expected[-1]}). Received: shape {shape}"
                )
            shapes.append(shape)
        return shapes[0], shapes[1]


def for_replicas(data: Data, replicas: int, batch_size: int | None) -> Data:
    """Fill up batches that are too short for all replicas to get an image.

    Some operations fail on an empty batch, and the other replicas wait in vain.

    Args:
        data: what `ImagePairs.check` returned.
        replicas: int. Devices that share each batch.
        batch_size: int or `None`. The argument of `fit`.

    Raises:
        ValueError: if arrays end in such a batch.
    """

    def is_too_short(count: Any) -> Any:
        # TensorFlow gives ceil(count / replicas) images to each, until none is left.
        return (replicas - 1) * -(-count // replicas) >= count

    def fill_up(*batch: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Repeat the first images of a batch that is too short."""
        count = tf.shape(batch[0])[0]
        full = tf.where(is_too_short(count), replicas * -(-count // replicas), count)
        chosen = tf.range(full) % count
        return tuple(tf.gather(images, chosen) for images in batch)

    if replicas == 1 or isinstance(data.x, tf.distribute.DistributedDataset):
        return data
    if isinstance(data.x, tf.data.Dataset):
        return data._replace(x=data.x.map(fill_up))
    if isinstance(data.x, Iterator):
        return data._replace(x=(fill_up(*_pair(batch)) for batch in data.x))
    if data.y is not None:
        last = len(data.x) % (batch_size or 32)  # Keras's default
        if last and is_too_short(last):
            raise ValueError(
                f"The last batch of {len(data.x)} images has {last}, too few for "
                f"{replicas} replicas; use another batch_size, or leave images out."
            )
    return data


@contextlib.contextmanager
def refusals_in_words(replicas: int) -> Iterator[None]:
    """Raise a `ValueError` with just the sentence, where a check in a graph fails.

    Args:
        replicas: int. Replicas in this process. If one gets no images, TensorFlow
            cancels the others.
    """
    try:
        yield
    except (tf.errors.CancelledError, tf.errors.InvalidArgumentError) as e:
        if found := re.search(rf"{_MARK}(.*?)\.\]", e.message):
            raise ValueError(found[1] + ".") from None
        # On an empty batch, some operations give a wrong shape, which others refuse.
        is_empty = isinstance(e, tf.errors.CancelledError) or "[0," in e.message
        if replicas == 1 or not is_empty:
            raise
        raise ValueError(
            f"A step failed, most likely because one of {replicas} replicas got no "
            "images; leave out the last batch if it is shorter."
        ) from e


def refuse_unless(condition: Any, sentence: str) -> Any:
    """Check a condition in a graph; `refusals_in_words` reports the sentence.

    Args:
        condition: bool tensor.
        sentence: what is wrong and what to do.

    Returns:
        The operation, a dependency of what needs the condition.
    """
    return tf.debugging.Assert(condition, [_MARK + sentence])


def _pair(batch: Any) -> tuple[Any, Any]:
    if isinstance(batch, tuple | list) and len(batch) == 2:
        return batch[0], batch[1]
    found = f"{len(batch)} items" if isinstance(batch, tuple | list) else "one"
    raise ValueError(
        "A batch must be (real_x, real_y): images of both domains, without sample "
        f"weights. Received: {found}"
        + (f" of type {type(batch).__name__}" if found == "one" else "")
    )


def _first_replica(spec: Any) -> Any:
    return tf.nest.flatten(spec, expand_composites=True)[0]


def _with_first(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest


def _out_of_range(domain: str) -> str:
    return (
        f"real_{domain} must be images in [-1, 1], but a batch has values from {{}} to "
        "{}; divide levels of 0 to 255 by 127.5 and subtract 1."
    )
