"""The history of translated images that the discriminators are trained on."""

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="cyclegan_tf")
class ImagePool(keras.layers.Layer):
    """A history of the last translated images, to calm the adversarial game.

    Called with a batch of new fakes, it returns a batch of the same shape. Until
    the pool is full, each new image is stored and returned. From then on each new
    image is, with probability 0.5, swapped with a stored one drawn at random,
    which is returned in its place, and otherwise returned without being stored.
    The decision is made image by image, in the order of the batch.

    The pool is part of the compiled step, and its images are weights: they are
    saved and restored with the model. The random draws are a function of the seed
    and of the number of images seen, so that a restored pool goes on as if it had
    never stopped. Under `tf.distribute` all replicas share one history, fed in the
    order of the global batch.

    Args:
        size: int. Images to keep; 0 returns every batch as it came. Defaults to
            `50`.
        seed: int. Defaults to `0`.

    Input shape:
        float (batch, height, width, channels); all but the batch fixed.

    Reference:
        Shrivastava et al., 2017, Learning from Simulated and Unsupervised Images
        through Adversarial Training, section 2.3; Zhu et al., 2017, section 4.
    """

    def __init__(self, size: int = 50, seed: int = 0, **kwargs: Any):
        kwargs.setdefault("autocast", False)  # keep the images as they come
        super().__init__(**kwargs)
        if size < 0:
            raise ValueError(f"size must not be negative. Received: size={size}")
        self.size = size
        self.seed = seed

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if self.size == 0:
            return
        image_shape = tuple(input_shape[1:])
        if None in image_shape:
            raise ValueError(
                "ImagePool needs images of one fixed size. Received images of shape "
                f"{image_shape}; crop them to one size, or use pool_size=0."
            )
        # Every replica computes the same update, so the first one's will do.
        shared = {"trainable": False, "aggregation": "only_first_replica"}
        self.images = self.add_weight(
            shape=(self.size, *image_shape),
            initializer="zeros",
            name="images",
            **shared,
        )
        self.num_seen = self.add_weight(
            shape=(), initializer="zeros", dtype="int64", name="num_seen", **shared
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

    def _exchange(self, new_images: Any) -> Any:
        """Pass the images through the history, one after the other."""
        num_seen = tf.identity(self.num_seen.value)
        batch_size = tf.shape(new_images, out_type=tf.int64)[0]

        def exchange_one(i: Any, history: Any, images: Any) -> tuple[Any, Any, Any]:
            new = images[i]
            # Whether to swap, and with which, whatever batch the image came in. (XLA
            # draws other numbers from the same seed.)
            draws = tf.random.stateless_uniform((2,), seed=[self.seed, num_seen + i])
            filling = num_seen + i < self.size
            swapping = draws[0] > 0.5
            slot = tf.where(
                filling, num_seen + i, tf.cast(draws[1] * self.size, tf.int64)
            )
            old = history[slot]
            stored = tf.where(filling | swapping, new, old)
            returned = tf.where(filling | ~swapping, new, old)
            history = tf.tensor_scatter_nd_update(history, [[slot]], stored[None])
            images = tf.tensor_scatter_nd_update(images, [[i]], returned[None])
            return i + 1, history, images

        _, history, images = tf.while_loop(
            lambda i, *_: i < batch_size,
            exchange_one,
            (
                tf.zeros((), tf.int64),
                tf.identity(self.images.value),
                tf.cast(new_images, self.images.dtype),
            ),
        )
        self.images.assign(history)
        self.num_seen.assign(num_seen + batch_size)
        return tf.cast(images, new_images.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size, "seed": self.seed}
