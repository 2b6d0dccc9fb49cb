"""CycleGAN as a `keras.Model`: four networks, two optimizers, one training step."""

import types
from typing import Any

import keras
import tensorflow as tf

from cyclegan_tf.models import losses
from cyclegan_tf.models.acceleration.adam import Adam
from cyclegan_tf.models.acceleration.fusion import fused
from cyclegan_tf.models.acceleration.rematerialization import Rematerialized
from cyclegan_tf.models.acceleration.tracing import traced, without_remapper
from cyclegan_tf.models.image_pool import ImagePool

NETWORKS = ("generator_g", "generator_f", "discriminator_x", "discriminator_y")
LOSS_NAMES = (
    "generator_loss",
    "generator_g_loss",
    "generator_f_loss",
    "cycle_x_loss",
    "cycle_y_loss",
    "identity_x_loss",
    "identity_y_loss",
    "discriminator_x_loss",
    "discriminator_y_loss",
)


@keras.saving.register_keras_serializable(package="cyclegan_tf")
class CycleGAN(keras.Model):
    """Two generators and two discriminators that translate between two domains.

    Train it with `fit` on a `tf.data.Dataset` of `(real_x, real_y)` batches: float
    images in [-1, 1], unpaired, both batches of one length. Calling the model (or
    `predict`) translates images of X to Y; `generator_f` translates back.

    The generators minimize, over the batch,

        adversarial(D_Y(G(x))) + adversarial(D_X(F(y)))
        + cycle_weight * (|F(G(x)) - x| + |G(F(y)) - y|)
        + identity_weight * (|G(y) - y| + |F(x) - x|)

    and each discriminator half of its adversarial loss, on real images and on
    fakes from an image pool. `fit` logs the total as `generator_loss` and every
    term, unweighted, under its own name.

    Args:
        generator_g: `keras.Model`, X to Y.
        generator_f: `keras.Model`, Y to X.
        discriminator_x: `keras.Model` that judges images of X.
        discriminator_y: `keras.Model` that judges images of Y.
        cycle_weight: float. Weight of both cycle losses. Defaults to `10.0`.
        identity_weight: float. Weight of both identity losses, an absolute weight
            (the reference's `lambda_identity` times `lambda`); 0 skips them.
            Defaults to `5.0`.
        pool_size: int. Fakes that each image pool keeps; 0 for no pool. Defaults
            to `50`.
        seed: int. Seed of the image pools and of the gradient penalty. Defaults
            to `0`.

    Raises:
        ValueError: if the channels of the networks do not fit one another.

    Example:
    ```python
    model = CycleGAN(
        resnet_generator(), resnet_generator(),
        patchgan_discriminator(), patchgan_discriminator(),
    )
    model.compile()
    model.fit(dataset, epochs=200)
    ```

    Reference:
        Zhu et al., 2017, Unpaired Image-to-Image Translation using
        Cycle-Consistent Adversarial Networks, Eqn. 3.
    """

    def __init__(
        self,
        generator_g: keras.Model,
        generator_f: keras.Model,
        discriminator_x: keras.Model,
        discriminator_y: keras.Model,
        *,
        cycle_weight: float = 10.0,
        identity_weight: float = 5.0,
        pool_size: int = 50,
        seed: int = 0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.generator_g = generator_g
        self.generator_f = generator_f
        self.discriminator_x = discriminator_x
        self.discriminator_y = discriminator_y
        self.cycle_weight = cycle_weight
        self.identity_weight = identity_weight
        self.pool_size = pool_size
        self.seed = seed
        self._check_channels()
        self.pool_x = ImagePool(pool_size, seed=seed, name="pool_x")
        self.pool_y = ImagePool(pool_size, seed=seed + 1, name="pool_y")
        self._mix_seeds = keras.random.SeedGenerator(seed)
        # In a proxy, which Keras does not save: to read the value of a metric, all
        # workers must take part, but only one of them saves.
        self._loss_means = types.MappingProxyType(
            {name: keras.metrics.Mean(name) for name in LOSS_NAMES}
        )
        self.built = True  # all but the pools, which wait for the size of the images

    def build_pools(self, shape_x: Any, shape_y: Any) -> None:
        """Create the image pools; `fit` does it from the shapes of its data.

        Args:
            shape_x: (batch, height, width, channels) of `real_x`.
            shape_y: the same of `real_y`.

        Raises:
            ValueError: if the images have no fixed size, but `pool_size` is not 0.
        """
        with self.distribute_strategy.scope():
            self.pool_x.build(self.generator_f.compute_output_shape(tuple(shape_y)))
            self.pool_y.build(self.generator_g.compute_output_shape(tuple(shape_x)))

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
            generator_optimizer: Keras optimizer of both generators, or its name.
                Defaults to the paper's Adam: learning rate 2e-4, beta_1 0.5,
                beta_2 0.999, epsilon 1e-8.
            discriminator_optimizer: Keras optimizer of both discriminators. The
                same default.
            adversarial_loss: `"lsgan"`, `"bce"`, `"hinge"` or `"wgan-gp"`.
                Defaults to `"lsgan"`.
            jit_compile: bool. Compile the training step with XLA. Defaults to
                `False`.
            remat: bool. Train in less memory: compute the inside of each residual
                block again for its gradient instead of keeping it. Defaults to
                `False`.
            **kwargs: `run_eagerly` and `steps_per_execution` of
                `keras.Model.compile`.

        Raises:
            ValueError: if there is no such loss, or a network cannot be
                rematerialized.
        """
        self._adversarial_loss = losses.get_adversarial_loss(adversarial_loss)
        with self.distribute_strategy.scope():
            self.generator_optimizer = self._prepare_optimizer(
                generator_optimizer, self._generator_weights
            )
            self.discriminator_optimizer = self._prepare_optimizer(
                discriminator_optimizer, self._discriminator_weights
            )
            super().compile(
                optimizer=self.generator_optimizer, jit_compile=jit_compile, **kwargs
            )
        prepare = Rematerialized if remat else fused
        calls: dict[str, Any] = {
            name: prepare(network) for name, network in self._networks.items()
        }
        if not self.run_eagerly:
            calls = {name: traced(call) for name, call in calls.items()}
        # In a proxy, as functions are nothing to save.
        self._calls = types.MappingProxyType(calls)
        self._compile_arguments = {
            "adversarial_loss": adversarial_loss,
            "jit_compile": jit_compile,
            "remat": remat,
        }

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train as `keras.Model.fit` does, on batches of `(real_x, real_y)`."""
        images: Any = (x, y)
        if isinstance(x, tf.data.Dataset | tf.distribute.DistributedDataset):
            # Where there are several replicas, a spec has one part for each.
            images = tuple(
                tf.nest.flatten(spec, expand_composites=True)[0]
                for spec in x.element_spec[:2]
            )
            # Keras would warn that its default cannot shuffle a dataset.
            kwargs.setdefault("shuffle", False)
        if not self.pool_x.built:
            self.build_pools(*(batch.shape for batch in images))
        with without_remapper():
            return super().fit(x, y, *args, **kwargs)

    def call(self, real_x: Any, training: bool = False) -> Any:
        return self.generator_g(real_x, training=training)

    def train_step(self, data: Any) -> dict[str, Any]:
        """Update the generators, then the discriminators, on one batch."""
        real_x, real_y, _ = keras.utils.unpack_x_y_sample_weight(data)

        # Both generators against the discriminators as they are (Eqn. 3).
        with tf.GradientTape() as tape:
            fake_x, fake_y, generator_losses = self._judge_generators(real_x, real_y)
            objective = self._objective(generator_losses["generator_loss"])
            objective = self.generator_optimizer.scale_loss(objective)
        generator_gradients = tape.gradient(objective, self._generator_weights)

        # Each discriminator against fakes from before that update, some of them old.
        with tf.GradientTape() as tape:
            discriminator_losses = self._judge_discriminators(
                real_x, real_y, self.pool_x(fake_x), self.pool_y(fake_y)
            )
            objective = self._objective(sum(discriminator_losses.values()))
            objective = self.discriminator_optimizer.scale_loss(objective)
        discriminator_gradients = tape.gradient(objective, self._discriminator_weights)

        self.generator_optimizer.apply(generator_gradients)
        self.discriminator_optimizer.apply(discriminator_gradients)
        return self._track(generator_losses | discriminator_losses)

    def test_step(self, data: Any) -> dict[str, Any]:
        """Evaluate all losses on one batch; the image pools take no part."""
        real_x, real_y, _ = keras.utils.unpack_x_y_sample_weight(data)
        fake_x, fake_y, generator_losses = self._judge_generators(
            real_x, real_y, training=False
        )
        discriminator_losses = self._judge_discriminators(
            real_x, real_y, fake_x, fake_y, training=False
        )
        return self._track(generator_losses | discriminator_losses)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return list(self._loss_means.values())

    def get_config(self) -> dict[str, Any]:
        config = {
            **super().get_config(),
            "cycle_weight": self.cycle_weight,
            "identity_weight": self.identity_weight,
            "pool_size": self.pool_size,
            "seed": self.seed,
        }
        for name, network in self._networks.items():
            config[name] = keras.saving.serialize_keras_object(network)
        if self.pool_size and self.pool_x.built:
            config["pool_shapes"] = (
                [None, *self.pool_y.images.shape[1:3], self._channels_x],
                [None, *self.pool_x.images.shape[1:3], self._channels_y],
            )
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        config = dict(config)
        pool_shapes = config.pop("pool_shapes", None)
        for name in NETWORKS:
            config[name] = keras.saving.deserialize_keras_object(
                config[name], custom_objects
            )
        model = cls(**config)
        if pool_shapes:
            model.build_pools(*pool_shapes)
        return model

    def get_compile_config(self) -> dict[str, Any] | None:
        if not self.compiled:
            return None
        return {
            **self._compile_arguments,
            "generator_optimizer": keras.saving.serialize_keras_object(
                self.generator_optimizer
            ),
            "discriminator_optimizer": keras.saving.serialize_keras_object(
                self.discriminator_optimizer
            ),
        }

    def compile_from_config(self, config: dict[str, Any]) -> None:
        self.compile(**keras.saving.deserialize_keras_object(config))

    def _maybe_symbolic_build(
        self, iterator: Any = None, data_batch: Any = None
    ) -> None:
        """Do nothing, as everything is built already.

        Under a strategy Keras would average the replicas' batches to try the model
        on, which fails where they differ in length (keras-team/keras#20585).
        """

    def _judge_generators(
        self, real_x: Any, real_y: Any, training: bool = True
    ) -> tuple[Any, Any, dict[str, Any]]:
        """Translate both ways; return `fake_x`, `fake_y` and the losses per example."""
        generator_g, generator_f, discriminator_x, discriminator_y = (
            self._calls[name] for name in NETWORKS
        )
        fake_y = generator_g(real_x, training=training)
        fake_x = generator_f(real_y, training=training)
        cycled_x = generator_f(fake_y, training=training)
        cycled_y = generator_g(fake_x, training=training)
        adversarial = self._adversarial_loss.generator
        terms = {
            "generator_g_loss": adversarial(discriminator_y(fake_y, training=training)),
            "generator_f_loss": adversarial(discriminator_x(fake_x, training=training)),
            "cycle_x_loss": losses.cycle_loss(real_x, cycled_x),
            "cycle_y_loss": losses.cycle_loss(real_y, cycled_y),
        }
        total = (
            terms["generator_g_loss"]
            + terms["generator_f_loss"]
            + self.cycle_weight * (terms["cycle_x_loss"] + terms["cycle_y_loss"])
        )
        if self.identity_weight:
            # Each generator is shown its target domain: G sees y, F sees x.
            same_y = generator_g(real_y, training=training)
            same_x = generator_f(real_x, training=training)
            terms["identity_x_loss"] = losses.identity_loss(real_x, same_x)
            terms["identity_y_loss"] = losses.identity_loss(real_y, same_y)
            total += self.identity_weight * (
                terms["identity_x_loss"] + terms["identity_y_loss"]
            )
        return fake_x, fake_y, {"generator_loss": total, **terms}

    def _judge_discriminators(
        self, real_x: Any, real_y: Any, fake_x: Any, fake_y: Any, training: bool = True
    ) -> dict[str, Any]:
        """Return the losses of both discriminators per example."""

        def judge(name: str, real: Any, fake: Any) -> Any:
            discriminator = self._calls[name]
            loss = self._adversarial_loss.discriminator(
                discriminator(real, training=training),
                discriminator(fake, training=training),
            )
            penalty_weight = self._adversarial_loss.gradient_penalty_weight
            if penalty_weight:
                mix = keras.random.uniform(
                    (tf.shape(real)[0], 1, 1, 1), seed=self._mix_seeds
                )
                loss += penalty_weight * losses.gradient_penalty(
                    self._networks[name], real, fake, mix
                )
            # Halved, which slows the discriminator down (section 7.1).
            return 0.5 * loss

        return {
            "discriminator_x_loss": judge("discriminator_x", real_x, fake_x),
            "discriminator_y_loss": judge("discriminator_y", real_y, fake_y),
        }

    def _objective(self, example_losses: Any) -> Any:
        """This replica's share of the mean over the global batch.

        Keras sums gradients over replicas; so their objectives must add up to the
        mean, also where the replicas' batches differ in length.
        """
        batch_size = tf.shape(example_losses)[0]
        context = tf.distribute.get_replica_context()
        if context is not None and context.num_replicas_in_sync > 1:
            batch_size = context.all_reduce("sum", batch_size)
        return tf.reduce_sum(example_losses) / tf.cast(batch_size, example_losses.dtype)

    def _track(self, example_losses: dict[str, Any]) -> dict[str, Any]:
        for name, values in example_losses.items():
            self._loss_means[name].update_state(values)
        logs = self.get_metrics_result()
        strategy = self.distribute_strategy
        if isinstance(
            strategy, tf.distribute.MultiWorkerMirroredStrategy
        ) and strategy.num_replicas_in_sync > len(strategy.extended.worker_devices):
            # Over several workers Keras averages logs along their first axis, which
            # scalars lack (keras-team/keras#20585).
            logs = {name: value[None] for name, value in logs.items()}
        return logs

    @property
    def _networks(self) -> dict[str, keras.Model]:
        return {name: getattr(self, name) for name in NETWORKS}

    @property
    def _channels_x(self) -> int:
        return self.generator_g.input_shape[-1]

    @property
    def _channels_y(self) -> int:
        return self.generator_f.input_shape[-1]

    @property
    def _generator_weights(self) -> list[keras.Variable]:
        return self.generator_g.trainable_weights + self.generator_f.trainable_weights

    @property
    def _discriminator_weights(self) -> list[keras.Variable]:
        return (
            self.discriminator_x.trainable_weights
            + self.discriminator_y.trainable_weights
        )

    def _prepare_optimizer(self, optimizer: Any, weights: list[keras.Variable]) -> Any:
        """Build the optimizer now: under a strategy the compiled step is too late."""
        if optimizer is None:
            optimizer = Adam()
        optimizer = keras.optimizers.get(optimizer)
        half_precision = any(
            layer.compute_dtype == "float16"
            for network in self._networks.values()
            for layer in network.layers
        )
        if half_precision and not isinstance(
            optimizer, keras.optimizers.LossScaleOptimizer
        ):
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        optimizer.build(weights)
        return optimizer

    def _check_channels(self) -> None:
        channels_x, channels_y = self._channels_x, self._channels_y
        expected = {
            "generator_g's output": (self.generator_g.output_shape[-1], channels_y),
            "generator_f's output": (self.generator_f.output_shape[-1], channels_x),
            "discriminator_x's input": (
                self.discriminator_x.input_shape[-1],
                channels_x,
            ),
            "discriminator_y's input": (
                self.discriminator_y.input_shape[-1],
                channels_y,
            ),
        }
        for what, (received, wanted) in expected.items():
            if received != wanted:
                raise ValueError(
                    f"generator_g takes {channels_x} channels and generator_f "
                    f"{channels_y}, so {what} must have {wanted} channels. "
                    f"Received: {received}"
                )
        if self.identity_weight and channels_x != channels_y:
            raise ValueError(
                "identity_weight must be 0 where the domains differ in channels. "
                f"Received: identity_weight={self.identity_weight} with {channels_x} "
                f"and {channels_y} channels"
            )
