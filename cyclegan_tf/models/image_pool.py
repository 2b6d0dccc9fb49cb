"""A history of translated images to train the discriminators on."""

from typing import Any

import keras
import tensorflow as tf


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

    def __init__(self, size: int = 50, seed: int = 0, **kwargs: Any):
        kwargs.setdefault("autocast", False)  # keep the dtype of the images
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
        # All replicas compute the same update, so one of them is enough.
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
        """Pass the images through the history one by one."""
        num_seen = tf.identity(self.num_seen.value)
        batch_size = tf.shape(new_images, out_type=tf.int64)[0]

        def exchange_one(i: Any, history: Any, images: Any) -> tuple[Any, Any, Any]:
            new = images[i]
            # Whether to swap, and with which image. The draws depend on the image's
            # number, not on its batch. XLA draws other numbers from the same seed.
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
