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
from cyclegan_tf.models.acceleration.rematerialization import Rematerialized
from cyclegan_tf.models.acceleration.tracing import traced, without_remapper


class AdversarialModel(keras.Model):
    """Base class of models that train generators against discriminators.

    A subclass has one attribute for each name in `network_names`, implements
    `train_step` and `test_step`, and sets the class attributes below.

    Attributes:
        network_names: names of the networks, in the order of saving. The name of a
            generator is `generator_` and its direction, such as `generator_g`.
        loss_names: names of the losses that a step reports.
        quality_losses: names of the losses whose sum on validation images ranks
            checkpoints; less is better.
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
        self._means = types.SimpleNamespace(
            **{name: keras.metrics.Mean(name) for name in self.loss_names}
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
        return list(vars(self._means).values())

    def compile(
        self,
        generator_optimizer: Any = None,
        discriminator_optimizer: Any = None,
        adversarial_loss: str = "lsgan",
        *,
        jit_compile: bool = False,
        remat: bool = False,
        **kwargs: Any,
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
            **kwargs: `run_eagerly` and `steps_per_execution` of
                `keras.Model.compile`.

        Raises:
            ValueError: if the loss is unknown, or a network cannot be rematerialized.
        """
        self._adversarial_loss = losses.get_adversarial_loss(adversarial_loss)
        with self.distribute_strategy.scope():
            self.generator_optimizer = self._prepare_optimizer(
                generator_optimizer, self.generator_weights
            )
            self.discriminator_optimizer = self._prepare_optimizer(
                discriminator_optimizer, self.discriminator_weights
            )
            # Keras knows one optimizer, so its learning-rate callbacks change this one.
            super().compile(
                optimizer=self.generator_optimizer, jit_compile=jit_compile, **kwargs
            )
        self._step_networks = self._prepare_networks(remat)
        self._compile_arguments = {
            "adversarial_loss": adversarial_loss,
            "jit_compile": jit_compile,
            "remat": remat,
        }

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train as `keras.Model.fit` does, on batches of `(real_x, real_y)`."""
        images: Any = (x, y)
        if isinstance(x, tf.data.Dataset | tf.distribute.DistributedDataset):
            # Under a strategy, a spec holds one part per replica.
            images = tuple(
                tf.nest.flatten(spec, expand_composites=True)[0]
                for spec in x.element_spec[:2]
            )
            # Keras warns that its default cannot shuffle a dataset.
            kwargs.setdefault("shuffle", False)
        self.build_for(*(batch.shape for batch in images))
        with without_remapper():
            return super().fit(x, y, *args, **kwargs)

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

    def build_for(self, shape_x: Any, shape_y: Any) -> None:
        """Create the weights that depend on the image shapes, if a model has any.

        `fit` calls this.

        Args:
            shape_x: (batch, height, width, channels) of `real_x`.
            shape_y: likewise, of `real_y`.
        """

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
        for name, values in example_losses.items():
            getattr(self._means, name).update_state(values)
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
        return types.SimpleNamespace(**calls)


def _trainable_weights(networks: Iterable[keras.Model]) -> list[keras.Variable]:
    return [weight for network in networks for weight in network.trainable_weights]
