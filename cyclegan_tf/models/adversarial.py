"""The base of all adversarial models: two optimizers, replicas, metrics, saving.

Each method's subclass adds the training step and its losses.
"""

import types
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import keras
import tensorflow as tf

from cyclegan_tf.models import losses
from cyclegan_tf.models.acceleration.adam import Adam
from cyclegan_tf.models.acceleration.fusion import fused
from cyclegan_tf.models.acceleration.joining import Joined
from cyclegan_tf.models.acceleration.rematerialization import Rematerialized
from cyclegan_tf.models.acceleration.tracing import traced
from cyclegan_tf.models.choices import AdversarialLossName
from cyclegan_tf.models.optimizers import Optimizers
from cyclegan_tf.models.published import PublishedGenerator
from cyclegan_tf.models.tracking import LossMeans
from cyclegan_tf.models.trainer import ImagePairTrainer


class AdversarialModel(ImagePairTrainer):
    """Base class of models that train generators against discriminators.

    A subclass has one attribute for each name in `network_names`, implements
    `train_step` and `test_step`, and sets the class attributes below.

    Attributes:
        network_names: names of the networks, in the order of saving. The name of a
            generator is `generator_` and its direction, such as `generator_g`.
        loss_names: names of the losses that a step reports, after `loss`.
        quality_losses: names of the losses whose sum is `loss`: lower is better, so
            its value on validation images ranks checkpoints.
        takes_pairs: whether `real_x[i]` and `real_y[i]` show the same scene.
        default_adversarial_loss: the adversarial loss of `compile`.
        normalizes_images_alone: whether a published generator normalizes each image by
            itself where the trained one has batch norms, and has no dropout.

    Args:
        seed: int. Seed of the random numbers of the steps. Defaults to `0`.
    """

    network_names: ClassVar[tuple[str, ...]]
    loss_names: ClassVar[tuple[str, ...]]
    quality_losses: ClassVar[tuple[str, ...]]
    takes_pairs: ClassVar[bool] = False
    default_adversarial_loss: ClassVar[AdversarialLossName] = "lsgan"
    normalizes_images_alone: bool = False

    def __init__(self, *, seed: int = 0, **kwargs: Any):
        super().__init__(**kwargs)
        self.seed = seed
        self._seeds = keras.random.SeedGenerator(seed)
        # The namespace hides the metrics from Keras's saving, which would read them
        # from all workers of a distributed training while only the chief saves.
        self._hidden = types.SimpleNamespace(
            means=LossMeans(("loss", *self.loss_names)), published={}
        )

    @property
    def networks(self) -> dict[str, keras.Model]:
        """All networks by name."""
        return {name: getattr(self, name) for name in self.network_names}

    @property
    def generators(self) -> dict[str, keras.Model]:
        return {
            name.removeprefix("generator_"): network
            for name, network in self.networks.items()
            if name.startswith("generator_")
        }

    @property
    def generator_weights(self) -> list[keras.Variable]:
        """The weights that the generators' optimizer trains."""
        return self._trainable_weights(of_discriminators=False)

    @property
    def discriminator_weights(self) -> list[keras.Variable]:
        """The weights that the discriminators' optimizer trains."""
        return self._trainable_weights(of_discriminators=True)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return [self._hidden.means]

    def call(self, real_x: Any, training: bool = False) -> Any:
        return self.generators["g"](real_x, training=training)

    def compile(
        self,
        generator_optimizer: Any = None,
        discriminator_optimizer: Any = None,
        adversarial_loss: str | None = None,
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
                Defaults to the method's: `"bce"` for `Pix2Pix`, else `"lsgan"`.
            jit_compile: bool. Compile the networks with XLA. Defaults to `False`.
            remat: bool. Recompute the activations inside residual blocks for the
                gradient instead of keeping them: less memory, more time. Defaults
                to `False`.
            run_eagerly: bool. As in `keras.Model.compile`. Defaults to `False`.
            steps_per_execution: int. As in `keras.Model.compile`. Defaults to `1`.
            **refused: other arguments of `keras.Model.compile`.

        Raises:
            ValueError: if the loss is unknown, a network has regularizers or cannot be
                rematerialized, both `jit_compile` and `run_eagerly` are set, or another
                argument is given.
        """
        if refused:
            raise ValueError(
                f"{type(self).__name__} computes its losses itself, with two "
                "optimizers: compile takes generator_optimizer, "
                "discriminator_optimizer and adversarial_loss. "
                f"Received: {', '.join(refused)}"
            )
        _check_xla(jit_compile, run_eagerly)
        self._check_regularizers()
        adversarial_loss = adversarial_loss or self.default_adversarial_loss
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
                # XLA compiles the networks only, not the image pools and the updates.
                jit_compile=False,
                run_eagerly=run_eagerly,
                steps_per_execution=steps_per_execution,
            )
        self.optimizer = Optimizers(
            self.generator_optimizer, self.discriminator_optimizer
        )
        self._compiled_weights = self._weight_ids()
        self._hidden.published = {}
        self._prepare_networks(remat, jit_compile)
        self._compile_arguments = {
            "adversarial_loss": adversarial_loss,
            "jit_compile": jit_compile,
            "remat": remat,
            "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution,
        }

    def publish(self) -> dict[str, keras.Model]:
        """Return the generators for use outside of training, up to date.

        If training averages the weights, they hold the averages. Until the next
        `compile`, each call returns the same objects.

        Returns:
            Functional `keras.Model`s of stock layers by direction, as `generators`.
        """
        optimizer = getattr(self, "generator_optimizer", None)
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        if not self._hidden.published:
            with self.distribute_strategy.scope():
                self._hidden.published = {
                    direction: PublishedGenerator(
                        generator,
                        self.normalizes_images_alone,
                        averaged=bool(getattr(optimizer, "average_decay", 0)),
                    )
                    for direction, generator in self.generators.items()
                }
        for published in self._hidden.published.values():
            published.update(getattr(optimizer, "averages", {}))
        return {
            direction: published.network
            for direction, published in self._hidden.published.items()
        }

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the losses as `keras.Model.evaluate` does, on the data of `fit`.

        The generators are those that `publish` returns.
        """
        self.publish()
        return super().evaluate(*args, **kwargs)

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """Translate images of X as `keras.Model.predict` does, as published."""
        return self.publish()["g"].predict(*args, **kwargs)

    def export(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Export the published generator from X to Y, as `keras.Model.export` does."""
        self.publish()["g"].export(filepath, *args, **kwargs)

    def save_own_variables(self, store: Any) -> None:
        # Keras does not save the random states; without them, a training with dropout
        # would not resume exactly.
        super().save_own_variables(store)
        for i, state in enumerate(self._random_states()):
            store[f"random_state_{i}"] = state.numpy()

    def load_own_variables(self, store: Any) -> None:
        own = {name: store[name] for name in store.keys()}  # noqa: SIM118 (not a dict)
        for i, state in enumerate(self._random_states()):
            state.assign(own.pop(f"random_state_{i}"))
        super().load_own_variables(own)

    def get_config(self) -> dict[str, Any]:
        networks = {
            name: keras.saving.serialize_keras_object(network)
            for name, network in self.networks.items()
        }
        return super().get_config() | {"seed": self.seed} | networks

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

    def _step_models(self, generators: dict[str, keras.Model]) -> dict[str, Any]:
        """Return the functional models that the steps call, by name.

        Args:
            generators: the trained or the published ones, by direction.
        """
        by_name = {f"generator_{name}": network for name, network in generators.items()}
        return self.networks | by_name

    def _prepare_networks(self, remat: bool, jit_compile: bool) -> None:
        """Wrap what the steps call: fused or, with `remat`, rematerialized."""
        prepare = Rematerialized if remat else fused

        def prepared(network: keras.Model) -> Joined:
            call = traced(prepare(network), jit_compile, self.run_eagerly)
            return Joined(network, call)

        published = self.publish()
        in_training = self._step_models(self.generators)
        calls = {name: prepared(network) for name, network in in_training.items()}
        calls_of_test = calls
        if any(published[name] is not self.generators[name] for name in published):
            calls_of_test = calls | {
                name: prepared(network)
                for name, network in self._step_models(published).items()
                if network is not in_training[name]
            }
        # In namespaces, Keras does not find and save them.
        self._calls_in_training = types.SimpleNamespace(**calls)
        self._calls_in_test = types.SimpleNamespace(**calls_of_test)

    def _calls(self, training: bool) -> types.SimpleNamespace:
        """Return what a step calls, by network: with image batches and `training`."""
        return self._calls_in_training if training else self._calls_in_test

    def _train_discriminators(
        self, compute_losses: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """Update the discriminators; return their per-example losses before that."""
        with tf.GradientTape() as tape:
            discriminator_losses = compute_losses()
            loss = self._batch_mean(sum(discriminator_losses.values()))
            scaled_loss = self.discriminator_optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled_loss, self.discriminator_weights)
        self.discriminator_optimizer.apply(gradients)
        return discriminator_losses

    def _half_discriminator_loss(
        self,
        name: str,
        real: Any,
        fake: Any,
        logits: Sequence[Any],
        training: bool,
    ) -> Any:
        """Return half of a discriminator's loss on each example.

        Halving the loss slows the discriminators down (section 7.1).

        Args:
            name: the name of the discriminator.
            real: a batch of real images, float in [-1, 1].
            fake: a batch of generated images, the shape of `real`.
            logits: the discriminator's outputs for `real` and for `fake`.
            training: whether this is a training step.
        """
        loss = self._adversarial_loss.discriminator(*logits)
        penalty_weight = self._adversarial_loss.gradient_penalty_weight
        if penalty_weight:
            mix = keras.random.uniform((tf.shape(real)[0], 1, 1, 1), seed=self._seeds)
            # Not the step's network: with `remat` it has no second derivative.
            loss += penalty_weight * losses.gradient_penalty(
                self.networks[name], real, fake, mix, training=training
            )
        return 0.5 * loss

    def _random_states(self) -> list[keras.Variable]:
        """Return the states of all random numbers, such as those of dropout."""
        weights = {id(weight) for weight in self.weights}
        return [state for state in self.variables if id(state) not in weights]

    def _trainable_weights(self, of_discriminators: bool) -> list[keras.Variable]:
        return [
            weight
            for name, network in self.networks.items()
            if name.startswith("discriminator") == of_discriminators
            for weight in network.trainable_weights
        ]

    def _check_weights_of_compile(self) -> None:
        if self.compiled and self._compiled_weights != self._weight_ids():
            raise ValueError(
                "Layers were frozen or unfrozen after compile; compile again with new "
                "optimizers, so that they train the right weights."
            )

    def _weight_ids(self) -> tuple[tuple[int, ...], ...]:
        both = self.generator_weights, self.discriminator_weights
        return tuple(tuple(map(id, weights)) for weights in both)

    def _check_regularizers(self) -> None:
        for name, network in self.networks.items():
            for layer in network.layers:
                if layer.losses or layer.activity_regularizer is not None:
                    raise ValueError(
                        f"{name} must not have regularizers, because the losses ignore "
                        f"them. Received: one in layer {layer.name}"
                    )


def _check_xla(jit_compile: Any, run_eagerly: bool) -> None:
    if jit_compile not in (True, False) or (jit_compile and run_eagerly):
        raise ValueError(
            "jit_compile must be True or False, and cannot be combined with "
            f"run_eagerly. Received: jit_compile={jit_compile!r}, "
            f"run_eagerly={run_eagerly}"
        )
