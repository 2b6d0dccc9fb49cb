"""The base of all adversarial models: two optimizers, replicas, metrics, saving.

The model of each method adds the game: the training step and the losses.
"""

import types
from collections.abc import Iterable
from typing import Any, ClassVar

import keras
import tensorflow as tf

from cyclegan_tf.models import losses
from cyclegan_tf.models.acceleration.adam import Adam
from cyclegan_tf.models.acceleration.fusion import fused
from cyclegan_tf.models.acceleration.joining import Joined
from cyclegan_tf.models.acceleration.rematerialization import Rematerialized
from cyclegan_tf.models.acceleration.tracing import traced, without_remapper
from cyclegan_tf.models.inputs import (
    Data,
    ImagePairs,
    Shape,
    for_replicas,
    refusals_in_words,
    refuse_unless,
)
from cyclegan_tf.models.optimizers import Optimizers
from cyclegan_tf.models.tracking import LossMeans


class AdversarialModel(keras.Model):
    """Base class of models that train generators against discriminators.

    A subclass has one attribute for each name in `network_names`, implements
    `train_step` and `test_step`, and sets the class attributes below.

    Attributes:
        network_names: names of the networks, in the order of saving. The name of a
            generator is `generator_` and its direction, such as `generator_g`.
        loss_names: names of the losses that a step reports, after `loss`.
        quality_losses: names of the losses whose sum is `loss`: less is better, so
            its value on validation images ranks checkpoints.
        takes_pairs: whether `real_x[i]` and `real_y[i]` show the same scene.
    """

    network_names: ClassVar[tuple[str, ...]]
    loss_names: ClassVar[tuple[str, ...]]
    quality_losses: ClassVar[tuple[str, ...]]
    takes_pairs: ClassVar[bool] = False

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        # The namespace hides the metrics from Keras's saving, which would read them
        # from all workers of a distributed training while only the chief saves.
        self._hidden = types.SimpleNamespace(
            means=LossMeans(("loss", *self.loss_names))
        )

    @property
    def networks(self) -> dict[str, keras.Model]:
        """All networks by name."""
        return {name: getattr(self, name) for name in self.network_names}

    @property
    def generators(self) -> dict[str, keras.Model]:
        """The generators by direction: `"g"` from X to Y, `"f"` from Y to X."""
        return {
            name.removeprefix("generator_"): network
            for name, network in self.networks.items()
            if name.startswith("generator_")
        }

    @property
    def generator_weights(self) -> list[keras.Variable]:
        """The trainable weights of all generators."""
        return _trainable_weights(self.generators.values())

    @property
    def discriminator_weights(self) -> list[keras.Variable]:
        """The trainable weights of all discriminators."""
        generators = self.generators.values()
        return _trainable_weights(
            [network for network in self.networks.values() if network not in generators]
        )

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return [self._hidden.means]

    def compile(
        self,
        generator_optimizer: Any = None,
        discriminator_optimizer: Any = None,
        adversarial_loss: str = "lsgan",
        *,
        jit_compile: bool = False,
        remat: bool = False,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        **refused: Any,
    ) -> None:
        """Configure training.

        Args:
            generator_optimizer: Keras optimizer of all generators, or its name.
                Defaults to the authors' Adam: learning rate 2e-4, beta_1 0.5,
                beta_2 0.999, epsilon 1e-8.
            discriminator_optimizer: the same for all discriminators.
            adversarial_loss: `"lsgan"`, `"bce"`, `"hinge"` or `"wgan-gp"`.
                Defaults to `"lsgan"`.
            jit_compile: bool. Compile the training step with XLA. Defaults to
                `False`.
            remat: bool. Recompute the activations inside residual blocks for the
                gradient instead of keeping them: less memory, more time. Defaults
                to `False`.
            run_eagerly: bool. As in `keras.Model.compile`. Defaults to `False`.
            steps_per_execution: int. As in `keras.Model.compile`. Defaults to `1`.
            **refused: other arguments of `keras.Model.compile`.

        Raises:
            ValueError: if the loss is unknown, a network has regularizers or cannot be
                rematerialized, or another argument is given.
        """
        if refused:
            raise ValueError(
                f"{type(self).__name__} computes its losses itself, with two "
                "optimizers: compile takes generator_optimizer, "
                "discriminator_optimizer and adversarial_loss. "
                f"Received: {', '.join(refused)}"
            )
        self._check_regularizers()
        self._adversarial_loss = losses.get_adversarial_loss(adversarial_loss)
        with self.distribute_strategy.scope():
            self.generator_optimizer = self._prepare_optimizer(
                generator_optimizer, self.generator_weights
            )
            self.discriminator_optimizer = self._prepare_optimizer(
                discriminator_optimizer, self.discriminator_weights
            )
            super().compile(
                optimizer=None,
                jit_compile=jit_compile,
                run_eagerly=run_eagerly,
                steps_per_execution=steps_per_execution,
            )
        self.optimizer = Optimizers(
            self.generator_optimizer, self.discriminator_optimizer
        )
        self._compiled_weights = self._weight_ids()
        self._step_networks = self._prepare_networks(remat)
        self._compile_arguments = {
            "adversarial_loss": adversarial_loss,
            "jit_compile": jit_compile,
            "remat": remat,
        }

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
                size, or weights were frozen or thawed since `compile`.
        """
        for name in ("sample_weight", "class_weight"):
            if kwargs.get(name) is not None:
                raise ValueError(f"fit has no weights of images. Received: {name}")
        if self.compiled and self._compiled_weights != self._weight_ids():
            raise ValueError(
                "Layers were frozen or thawed since compile; compile again, so that "
                "the optimizers know which weights to train."
            )
        data = self._checked(x, y, kwargs.get("batch_size"))
        self.build_for(data.shape_x, data.shape_y)
        if (validation := kwargs.get("validation_data")) is not None:
            is_pair = isinstance(validation, tuple | list)
            checked = self._checked(*validation if is_pair else (validation,))
            kwargs["validation_data"] = (checked.x, checked.y) if is_pair else checked.x
        if isinstance(data.x, tf.data.Dataset | tf.distribute.DistributedDataset):
            # Keras warns that its default cannot shuffle a dataset.
            kwargs.setdefault("shuffle", False)
        with without_remapper(), refusals_in_words(self._local_replicas):
            return super().fit(data.x, data.y, *args, **kwargs)

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Compute the losses as `keras.Model.evaluate` does, on the data of `fit`."""
        if kwargs.get("_use_cached_eval_dataset"):  # within `fit`, which has checked it
            return super().evaluate(x, y, *args, **kwargs)
        data = self._checked(x, y, kwargs.get("batch_size"))
        with refusals_in_words(self._local_replicas):
            return super().evaluate(data.x, data.y, *args, **kwargs)

    def train_on_batch(self, x: Any, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train one step as `keras.Model.train_on_batch` does, on images of X and Y."""
        data = self._checked(x, y)
        self.build_for(data.shape_x, data.shape_y)
        return super().train_on_batch(data.x, data.y, *args, **kwargs)

    def export(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Export the generator from X to Y, as `keras.Model.export` does."""
        self.generators["g"].export(filepath, *args, **kwargs)

    def save_own_variables(self, store: Any) -> None:
        super().save_own_variables(store)
        for i, state in enumerate(self._random_states()):
            store[f"random_state_{i}"] = state.numpy()

    def load_own_variables(self, store: Any) -> None:
        # Keras does not save these: a training with dropout would not resume exactly.
        own = {name: store[name] for name in store.keys()}  # noqa: SIM118 (not a dict)
        for i, state in enumerate(self._random_states()):
            state.assign(own.pop(f"random_state_{i}"))
        super().load_own_variables(own)

    def get_config(self) -> dict[str, Any]:
        networks = {
            name: keras.saving.serialize_keras_object(network)
            for name, network in self.networks.items()
        }
        return super().get_config() | networks

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        networks = {
            name: keras.saving.deserialize_keras_object(config[name], custom_objects)
            for name in cls.network_names
        }
        return cls(**(config | networks))

    def get_compile_config(self) -> dict[str, Any] | None:
        if not self.compiled:
            return None
        optimizers = {
            name: keras.saving.serialize_keras_object(getattr(self, name))
            for name in ("generator_optimizer", "discriminator_optimizer")
        }
        return self._compile_arguments | optimizers

    def compile_from_config(self, config: dict[str, Any]) -> None:
        self.compile(**keras.saving.deserialize_keras_object(config))

    def build_for(self, shape_x: Shape, shape_y: Shape) -> None:
        """Check the image shapes, and create the weights that depend on them, if any.

        `fit` calls this.

        Args:
            shape_x: (batch, height, width, channels) of `real_x`.
            shape_y: likewise, of `real_y`.

        Raises:
            ValueError: if the model cannot take such images.
        """

    @property
    def _local_replicas(self) -> int:
        """The replicas of this process; 1 if other processes have some, too."""
        strategy = self.distribute_strategy
        if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            return 1
        return int(strategy.num_replicas_in_sync)

    def _checked(self, x: Any, y: Any = None, batch_size: int | None = None) -> Data:
        generator = self.generators["g"]
        pairs = ImagePairs(generator.input_shape, generator.output_shape)
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
        generator = self.generators["g"]
        shapes = generator.input_shape, generator.output_shape
        with tf.control_dependencies([checked]):
            real_x, real_y = (
                tf.ensure_shape(batch, shape) for batch, shape in zip(images, shapes)
            )
        dtype = keras.config.floatx()
        return tf.cast(real_x, dtype), tf.cast(real_y, dtype)

    def _batch_mean(self, example_losses: Any) -> Any:
        """Return this replica's share of the mean over the global batch.

        Keras sums gradients over replicas, so their shares must add up to the mean,
        even where the replicas' batches differ in length.
        """
        batch_size = tf.shape(example_losses)[0]
        context = tf.distribute.get_replica_context()
        if context is not None and context.num_replicas_in_sync > 1:
            batch_size = context.all_reduce("sum", batch_size)
        return tf.reduce_sum(example_losses) / tf.cast(batch_size, example_losses.dtype)

    def _track(self, example_losses: dict[str, Any]) -> dict[str, Any]:
        """Add per-example losses to the means; return the means."""
        quality = sum(example_losses[name] for name in self.quality_losses)
        self._hidden.means.update_state({"loss": quality, **example_losses})
        logs = self.get_metrics_result()
        strategy = self.distribute_strategy
        if isinstance(
            strategy, tf.distribute.MultiWorkerMirroredStrategy
        ) and strategy.num_replicas_in_sync > len(strategy.extended.worker_devices):
            # With several workers Keras averages logs along their first axis, which
            # scalars lack (keras-team/keras#20585).
            logs = {name: value[None] for name, value in logs.items()}
        return logs

    def _maybe_symbolic_build(
        self, iterator: Any = None, data_batch: Any = None
    ) -> None:
        """Do nothing: everything is built already.

        Under a strategy Keras would build on the mean of the replicas' batches, which
        fails if they differ in length (keras-team/keras#20585).
        """

    def _prepare_optimizer(self, optimizer: Any, weights: list[keras.Variable]) -> Any:
        """Build the optimizer; a strategy does not allow that in the compiled step."""
        optimizer = keras.optimizers.get(Adam() if optimizer is None else optimizer)
        uses_float16 = any(
            layer.compute_dtype == "float16"
            for network in self.networks.values()
            for layer in network.layers
        )
        if uses_float16 and not isinstance(
            optimizer, keras.optimizers.LossScaleOptimizer
        ):
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        optimizer.build(weights)
        return optimizer

    def _prepare_networks(self, remat: bool) -> types.SimpleNamespace:
        """Wrap each network for the steps: fused or, with `remat`, rematerialized."""
        prepare = Rematerialized if remat else fused
        calls: dict[str, Any] = {
            name: prepare(network) for name, network in self.networks.items()
        }
        if not self.run_eagerly:
            calls = {name: traced(call) for name, call in calls.items()}
        # The namespace hides them from Keras's saving.
        return types.SimpleNamespace(
            **{name: Joined(self.networks[name], call) for name, call in calls.items()}
        )

    def _random_states(self) -> list[keras.Variable]:
        """Return the states of all random numbers, such as those of dropout."""
        weights = {id(weight) for weight in self.weights}
        return [state for state in self.variables if id(state) not in weights]

    def _weight_ids(self) -> tuple[tuple[int, ...], ...]:
        both = self.generator_weights, self.discriminator_weights
        return tuple(tuple(map(id, weights)) for weights in both)

    def _check_regularizers(self) -> None:
        for name, network in self.networks.items():
            for layer in network.layers:
                if layer.losses or layer.activity_regularizer is not None:
                    raise ValueError(
                        f"{name} must have no regularizers, which the losses do not "
                        f"contain. Received: one in layer {layer.name}"
                    )


def _trainable_weights(networks: Iterable[keras.Model]) -> list[keras.Variable]:
    return [weight for network in networks for weight in network.trainable_weights]
