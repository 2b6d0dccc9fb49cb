"""What `fit` takes: batches of images of two domains, in all forms that Keras knows."""

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import tensorflow as tf

from cyclegan_tf.models.inputs import (
    Data,
    ImagePairs,
    Shape,
    for_replicas,
    refusals_in_words,
    refuse_unless,
)


class ImagePairTrainer(keras.Model):
    """A `keras.Model` that trains on batches `(real_x, real_y)`, checked in words.

    A subclass has the property `generators`, and implements the steps.
    """

    @property
    def generators(self) -> dict[str, keras.Model]:
        """The generators by direction: `"g"` from X to Y, `"f"` from Y to X."""
        raise NotImplementedError

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train as `keras.Model.fit` does, on batches of `(real_x, real_y)`.

        Under a strategy, a batch too short for all replicas repeats its first images;
        arrays that end in one are refused.

        Args:
            x: a `tf.data.Dataset`, `keras.utils.PyDataset`, generator or other iterable
                of batches, float (batch, height, width, channels) in [-1, 1]; or such
                images of X.
            y: images of Y, as many, if `x` is images of X.
            *args: as in `keras.Model.fit`.
            **kwargs: as in `keras.Model.fit`, without sample and class weights.

        Returns:
            The `keras.callbacks.History`. Its `loss` is the sum of the
            `quality_losses`.

        Raises:
            ValueError: if the data are not such images, the model cannot take their
                size, or weights were frozen or unfrozen since `compile`.
        """
        _refuse_weights_of_images(kwargs)
        self._check_weights_of_compile()
        data = self._checked(x, y, kwargs.get("batch_size"))
        self.build_for(data.shape_x, data.shape_y)
        if (validation := kwargs.get("validation_data")) is not None:
            is_pair = isinstance(validation, tuple | list)
            if is_pair and len(validation) != 2:
                raise ValueError(
                    "validation_data must be (real_x, real_y). Received: "
                    f"{len(validation)} items"
                )
            checked = self._checked(*validation if is_pair else (validation,))
            kwargs["validation_data"] = (checked.x, checked.y) if is_pair else checked.x
        if isinstance(
            data.x, tf.data.Dataset | tf.distribute.DistributedDataset | Iterator
        ):
            # Keras warns that its default cannot shuffle these.
            kwargs.setdefault("shuffle", False)
        with refusals_in_words(self._local_replicas):
            return super().fit(data.x, data.y, *args, **kwargs)

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Compute the losses as `keras.Model.evaluate` does, on the data of `fit`."""
        if kwargs.get("_use_cached_eval_dataset"):  # within `fit`, which has checked it
            return super().evaluate(x, y, *args, **kwargs)
        _refuse_weights_of_images(kwargs)
        data = self._checked(x, y, kwargs.get("batch_size"))
        with refusals_in_words(self._local_replicas):
            return super().evaluate(data.x, data.y, *args, **kwargs)

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: None = None,
        class_weight: None = None,
        return_dict: bool = False,
    ) -> Any:
        """Train one step as `keras.Model.train_on_batch` does, on images of X and Y."""
        _refuse_weights_of_images(locals())
        self._check_weights_of_compile()
        data = self._checked(x, y)
        self.build_for(data.shape_x, data.shape_y)
        return super().train_on_batch(data.x, data.y, return_dict=return_dict)

    def test_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: None = None,
        return_dict: bool = False,
    ) -> Any:
        """Compute the losses as `keras.Model.test_on_batch` does, on such images."""
        _refuse_weights_of_images(locals())
        data = self._checked(x, y)
        return super().test_on_batch(data.x, data.y, return_dict=return_dict)

    def build_for(self, shape_x: Shape, shape_y: Shape) -> None:
        """Check the image shapes, and create the weights that depend on them, if any.

        `fit` calls this.

        Args:
            shape_x: (batch, height, width, channels) of `real_x`.
            shape_y: likewise, of `real_y`.

        Raises:
            ValueError: if the model cannot take such images.
        """

    def _check_weights_of_compile(self) -> None:
        """Raise a `ValueError` if weights were frozen since `compile`; a hook."""

    @property
    def _local_replicas(self) -> int:
        """The replicas of this process; 1 if other processes have some, too."""
        strategy = self.distribute_strategy
        if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            return 1
        return int(strategy.num_replicas_in_sync)

    @property
    def _shapes(self) -> tuple[Shape, Shape]:
        """The shapes of the batches `real_x` and `real_y`."""
        generator = self.generators["g"]
        return generator.input_shape, generator.output_shape

    def _checked(self, x: Any, y: Any = None, batch_size: int | None = None) -> Data:
        pairs = ImagePairs(*self._shapes)
        return for_replicas(pairs.check(x, y), self._local_replicas, batch_size)

    def _unpack(self, data: Any) -> tuple[Any, Any]:
        """Return `real_x` and `real_y` of a batch, in the precision of the losses."""
        images = keras.utils.unpack_x_y_sample_weight(data)[:2]
        batch_sizes = [tf.shape(batch)[0] for batch in images]
        checked = refuse_unless(
            batch_sizes[0] == batch_sizes[1],
            "real_x and real_y must come in batches of equal length; drop or fill up "
            "the last batch of the shorter domain.",
        )
        with tf.control_dependencies([checked]):
            real_x, real_y = (
                tf.ensure_shape(batch, shape)
                for batch, shape in zip(images, self._shapes)
            )
        dtype = keras.config.floatx()
        return tf.cast(real_x, dtype), tf.cast(real_y, dtype)

    def _maybe_symbolic_build(
        self, iterator: Any = None, data_batch: Any = None
    ) -> None:
        """Do nothing: everything is built already.

        Under a strategy Keras would build on the mean of the replicas' batches, which
        fails if they differ in length (keras-team/keras#20585).
        """


def _refuse_weights_of_images(arguments: Mapping[str, Any]) -> None:
    for name in ("sample_weight", "class_weight"):
        if arguments.get(name) is not None:
            raise ValueError(f"The losses do not support {name}; leave it out.")
