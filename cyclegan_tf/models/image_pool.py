"""A history of translated images to train the discriminators on."""

import contextlib
from typing import Any

import keras
import tensorflow as tf

from cyclegan_tf.models.inputs import refuse_unless

# Images whose random numbers are drawn at once; the largest batch.
_BLOCK = 1024


@keras.saving.register_keras_serializable(package="cyclegan_tf")
class ImagePool(keras.layers.Layer):
    """A history of translated images that stabilizes adversarial training.

    The layer takes a batch of new fakes and returns a batch of the same shape,
    image by image. Until the pool is full, it stores and returns each new image.
    After that, with probability 0.5, it returns a random stored image and stores
    the new one in its place; otherwise it returns the new image.

    The stored images are weights: they are saved and restored with the model. The
    random draws depend only on the seed and the number of images seen, so a
    restored pool continues exactly. Under `tf.distribute` all replicas share one
    history, fed in the order of the global batch.

    Args:
        size: int. Images to keep; 0 returns every batch unchanged. Defaults to
            `50`.
        seed: int. Defaults to `0`.

    Input shape:
        float (batch, height, width, channels), fixed except for the batch.

    Reference:
        Shrivastava et al., 2017, Learning from Simulated and Unsupervised Images
        through Adversarial Training, section 2.3; Zhu et al., 2017, section 4.
    """

    built: bool

    def __init__(self, size: int = 50, seed: int = 0, **kwargs: Any):
        kwargs.setdefault("autocast", False)  # keep the dtype of the images
        super().__init__(**kwargs)
        if size < 0:
            raise ValueError(f"size must not be negative. Received: size={size}")
        self.size = size
        self.seed = seed
        self._strategy = tf.distribute.get_strategy()  # that the model is made under

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if self.size == 0:
            return
        image_shape = tuple(input_shape[1:])
        if None in image_shape:
            raise ValueError(
                "ImagePool needs images of one fixed size. Received images of shape "
                f"{image_shape}; crop them to one size, or use pool_size=0."
            )
        # All replicas compute the same update, so one of them is enough.
        shared = {
            "trainable": False,
            "autocast": False,
            "aggregation": "only_first_replica",
        }
        self.images = self.add_weight(
            shape=(self.size, *image_shape),
            initializer="zeros",
            name="images",
            **shared,
        )
        with _on_processor():  # where `_draw` is
            self.num_seen = self.add_weight(
                shape=(), initializer="zeros", dtype="int64", name="num_seen", **shared
            )

    def build_for(self, image_shape: tuple[int | None, ...]) -> None:
        """Build for images of (batch, height, width, channels), or check their size.

        Raises:
            ValueError: if the images have no fixed size, or another one than before.
        """
        if not self.built:
            with self._strategy.scope():
                self.build(image_shape)
            self.built = True
        elif self.size and self.images.shape[1:] != tuple(image_shape[1:]):
            raise ValueError(
                f"The image pool holds images of {tuple(self.images.shape[1:])}, and "
                f"takes no others. Received: {tuple(image_shape[1:])}; make a new "
                "model, or use pool_size=0."
            )

    def call(self, images: Any) -> Any:
        if self.size == 0:
            return images
        context = tf.distribute.get_replica_context()
        if context is None or context.num_replicas_in_sync == 1:
            return self._exchange(images)
        sizes = context.all_gather(tf.shape(images)[:1], axis=0)
        pooled = self._exchange(context.all_gather(images, axis=0))
        replica = context.replica_id_in_sync_group
        return pooled[tf.reduce_sum(sizes[:replica]) :][: sizes[replica]]

    def load_own_variables(self, store: Any) -> None:
        if "0" in store:
            self.build_for((None, *store["0"].shape[1:]))
        super().load_own_variables(store)

    def _exchange(self, new_images: Any) -> Any:
        """Pass the images through the history: one gather and one scatter."""
        image_shape = self.images.shape[1:]
        checked = refuse_unless(
            tf.reduce_all(tf.shape(new_images)[1:] == image_shape),
            f"the image pool holds images of {tuple(image_shape)} and takes no others; "
            "crop all images to one size, or use pool_size=0.",
        )
        new = tf.cast(new_images, self.images.dtype)
        with tf.control_dependencies([checked]):
            new = tf.ensure_shape(new, (None, *image_shape))
        slots, source, last_writer = self._draw(tf.shape(new)[0])
        history = self.images.value
        stored_before = tf.gather(history, slots)
        returned = _pick(new, source, stored_before)
        # Images that share a slot all write what the last of them leaves there.
        left = _pick(new, last_writer, stored_before)
        history.scatter_update(tf.IndexedSlices(left, slots))
        return tf.cast(returned, new_images.dtype)

    def _draw(self, batch_size: Any) -> tuple[Any, Any, Any]:
        """Decide for a batch which images swap, as if they came one by one.

        The draws depend on an image's number, not on its batch. They are a few small
        numbers: computed on the processor, a GPU does not wait for them.

        Returns:
            int32 (batch,) each: the slot of each image; the image of the batch that is
            returned for it; and the image that its slot holds in the end. -1 stands for
            what the slot held before.
        """
        with _on_processor():
            numbers = self.num_seen.value + tf.range(tf.cast(batch_size, tf.int64))
            self.num_seen.assign_add(tf.cast(batch_size, tf.int64))
            draws = self._random(numbers)
            filling = numbers < self.size
            swapping = ~filling & (draws[:, 0] > 0.5)
            random_slots = tf.cast(draws[:, 1] * self.size, tf.int64)
            slots = tf.cast(tf.where(filling, numbers, random_slots), tf.int32)

            images = tf.range(batch_size)
            # writes[i, j]: whether image j writes to the slot of image i.
            writes = (slots[:, None] == slots) & (filling | swapping)
            earlier = images < images[:, None]
            last_before = tf.reduce_max(tf.where(writes & earlier, images, -1), axis=1)
            source = tf.where(swapping, last_before, images)
            last_writer = tf.reduce_max(tf.where(writes, images, -1), axis=1)
        return slots, source, last_writer

    def _random(self, numbers: Any) -> Any:
        """Return two numbers in [0, 1) for each of consecutive image numbers."""
        first_block = numbers[0] // _BLOCK
        # XLA draws other numbers from the same seed.
        blocks = [
            tf.random.stateless_uniform((_BLOCK, 2), [self.seed, first_block + i])
            for i in range(2)
        ]
        return tf.gather(tf.concat(blocks, axis=0), numbers - first_block * _BLOCK)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size, "seed": self.seed}


def _on_processor() -> contextlib.AbstractContextManager[Any]:
    # Strategies place their variables themselves.
    if tf.distribute.has_strategy():
        return contextlib.nullcontext()
    return tf.device("CPU:0")


def _pick(images: Any, numbers: Any, others: Any) -> Any:
    """Return `images[numbers]`; where a number is -1, the image of `others`."""
    picked = tf.gather(images, tf.maximum(numbers, 0))
    is_picked = tf.reshape(numbers >= 0, (-1, *(1 for _ in images.shape[1:])))
    return tf.where(is_picked, picked, others)
