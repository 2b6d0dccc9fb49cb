"""CycleGAN: four networks and one training step, as in the paper."""

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cyclegan_tf.models import losses
from cyclegan_tf.models.adversarial import AdversarialModel
from cyclegan_tf.models.image_pool import ImagePool
from cyclegan_tf.models.inputs import Shape
from cyclegan_tf.models.networks.graph import size_multiple


@keras.saving.register_keras_serializable(package="cyclegan_tf")
class CycleGAN(AdversarialModel):
    """Two generators and two discriminators that translate between two domains.

    Train it with `fit` on a `tf.data.Dataset` of `(real_x, real_y)` batches: float
    images in [-1, 1], unpaired, both batches of equal length. `predict` translates
    images of X to Y by the published generator, with averaged weights if there are any;
    calling the model uses the generator in training. `generator_f` translates back.

    The generators minimize, over the batch,

        adversarial(D_Y(G(x))) + adversarial(D_X(F(y)))
        + cycle_weight * (|F(G(x)) - x| + |G(F(y)) - y|)
        + identity_weight * (|G(y) - y| + |F(x) - x|)

    and each discriminator minimizes half of its adversarial loss, on real images
    and on fakes from an image pool. `fit` logs the total as `generator_loss` and
    every term, unweighted, under its own name.

    Args:
        generator_g: `keras.Model`, X to Y.
        generator_f: `keras.Model`, Y to X.
        discriminator_x: `keras.Model`, judges images of X.
        discriminator_y: `keras.Model`, judges images of Y.
        cycle_weight: float. Weight of both cycle losses. Defaults to `10.0`.
        identity_weight: float. Weight of both identity losses; 0 skips them. It is
            absolute: `lambda_identity` times `lambda_A` in the authors' PyTorch code.
            Defaults to `5.0`.
        pool_size: int. Fakes in each image pool; 0 for no pool. Defaults to `50`.
        seed: int. Seed of the image pools and the gradient penalty. Defaults to
            `0`.

    Raises:
        ValueError: if the channels of the networks do not match.

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

    network_names = ("generator_g", "generator_f", "discriminator_x", "discriminator_y")
    loss_names = (
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
    quality_losses = ("cycle_x_loss", "cycle_y_loss")

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
        super().__init__(seed=seed, **kwargs)
        self.generator_g = generator_g
        self.generator_f = generator_f
        self.discriminator_x = discriminator_x
        self.discriminator_y = discriminator_y
        self.cycle_weight = cycle_weight
        self.identity_weight = identity_weight
        self.pool_size = pool_size
        self._check_channels()
        self.pool_x = ImagePool(pool_size, seed=seed, name="pool_x")
        self.pool_y = ImagePool(pool_size, seed=seed + 1, name="pool_y")
        # Keras has nothing to build: the networks are, and `build_for` makes the pools.
        self.built = True
        self._built_for: tuple[Shape, Shape] | None = None

    def train_step(self, data: Any) -> dict[str, Any]:
        """Update the generators and the discriminators on one batch."""
        real_x, real_y = self._unpack(data)

        # Generator losses, against the current discriminators (Eqn. 3).
        with tf.GradientTape() as tape:
            fake_x, fake_y, generator_losses = self._generator_losses(real_x, real_y)
            loss = self._batch_mean(generator_losses["generator_loss"])
            # Changes nothing except in float16.
            scaled_loss = self.generator_optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled_loss, self.generator_weights)
        self.generator_optimizer.apply(gradients)

        # Discriminator losses, on these fakes mixed with older ones (section 4).
        pooled_x, pooled_y = self.pool_x(fake_x), self.pool_y(fake_y)
        discriminator_losses = self._train_discriminators(
            lambda: self._discriminator_losses(real_x, real_y, pooled_x, pooled_y)
        )
        return self._track(generator_losses | discriminator_losses)

    def test_step(self, data: Any) -> dict[str, Any]:
        """Compute all losses on one batch, without the image pools."""
        real_x, real_y = self._unpack(data)
        fake_x, fake_y, generator_losses = self._generator_losses(
            real_x, real_y, training=False
        )
        discriminator_losses = self._discriminator_losses(
            real_x, real_y, fake_x, fake_y, training=False
        )
        return self._track(generator_losses | discriminator_losses)

    def _generator_losses(
        self, real_x: Any, real_y: Any, training: bool = True
    ) -> tuple[Any, Any, dict[str, Any]]:
        """Translate both ways; return `fake_x`, `fake_y` and per-example losses."""
        calls = self._calls(training)
        g, f = calls.generator_g, calls.generator_f
        d_x, d_y = calls.discriminator_x, calls.discriminator_y
        adversarial_loss = self._adversarial_loss.generator

        # A network takes several batches, and returns one output for each.
        if self.identity_weight:
            # Each generator also sees its target domain: G sees y, F sees x.
            fake_y, same_y = g(real_x, real_y, training=training)
            fake_x, same_x = f(real_y, real_x, training=training)
        else:
            fake_y = g(real_x, training=training)
            fake_x = f(real_y, training=training)
        cycled_x = f(fake_y, training=training)
        cycled_y = g(fake_x, training=training)
        terms = {
            "generator_g_loss": adversarial_loss(d_y(fake_y, training=training)),
            "generator_f_loss": adversarial_loss(d_x(fake_x, training=training)),
            "cycle_x_loss": losses.cycle_loss(real_x, cycled_x),
            "cycle_y_loss": losses.cycle_loss(real_y, cycled_y),
        }
        total = (
            terms["generator_g_loss"]
            + terms["generator_f_loss"]
            + self.cycle_weight * (terms["cycle_x_loss"] + terms["cycle_y_loss"])
        )
        if self.identity_weight:
            terms["identity_x_loss"] = losses.identity_loss(real_x, same_x)
            terms["identity_y_loss"] = losses.identity_loss(real_y, same_y)
            total += self.identity_weight * (
                terms["identity_x_loss"] + terms["identity_y_loss"]
            )
        return fake_x, fake_y, {"generator_loss": total, **terms}

    def _discriminator_losses(
        self, real_x: Any, real_y: Any, fake_x: Any, fake_y: Any, training: bool = True
    ) -> dict[str, Any]:
        """Return the per-example losses of both discriminators."""

        def loss_of(name: str, real: Any, fake: Any) -> Any:
            discriminator = getattr(self._calls(training), name)
            logits = discriminator(real, fake, training=training)
            return self._half_discriminator_loss(name, real, fake, logits, training)

        return {
            "discriminator_x_loss": loss_of("discriminator_x", real_x, fake_x),
            "discriminator_y_loss": loss_of("discriminator_y", real_y, fake_y),
        }

    def build_for(self, shape_x: Shape, shape_y: Shape) -> None:
        """Check the image shapes, and create the image pools.

        `fit` calls this with the shapes of its data.

        Args:
            shape_x: (batch, height, width, channels) of `real_x`.
            shape_y: likewise, of `real_y`.

        Raises:
            ValueError: if the generators do not preserve these sizes, or the image
                pools need a fixed size or hold images of another.
        """
        shape_x, shape_y = tuple(shape_x), tuple(shape_y)
        if self._built_for == (shape_x[1:], shape_y[1:]):
            return
        g, f = self.generator_g, self.generator_f
        fake_y, fake_x = _output_shape(g, shape_x), _output_shape(f, shape_y)
        cycled_x, cycled_y = _output_shape(f, fake_y), _output_shape(g, fake_x)
        for name, real, cycled in (
            ("real_x", shape_x, cycled_x),
            ("real_y", shape_y, cycled_y),
        ):
            if cycled[1:3] != real[1:3]:
                multiple = math.lcm(size_multiple(g), size_multiple(f))
                raise ValueError(
                    "The generators must preserve the size of images. Received: "
                    f"{name} of height {real[1]} and width {real[2]}; make both "
                    f"multiples of {multiple}."
                )
        self.pool_x.build_for(fake_x)
        self.pool_y.build_for(fake_y)
        self._built_for = shape_x[1:], shape_y[1:]

    def set_weights(self, weights: Any) -> None:
        """Set weights returned by another model's `get_weights`, pools included."""
        # Each pool has two weights, `images` and `num_seen`.
        if self.pool_size and len(weights) == len(self.weights) + 4:
            images_x, _, images_y, _ = weights[-4:]
            self.pool_x.build_for((None, *np.shape(images_x)[1:]))
            self.pool_y.build_for((None, *np.shape(images_y)[1:]))
        super().set_weights(weights)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "cycle_weight": self.cycle_weight,
            "identity_weight": self.identity_weight,
            "pool_size": self.pool_size,
        }

    def _check_channels(self) -> None:
        channels_x = self.generator_g.input_shape[-1]
        channels_y = self.generator_f.input_shape[-1]
        expected = {
            "generator_g's output": (self.generator_g.output_shape, channels_y),
            "generator_f's output": (self.generator_f.output_shape, channels_x),
            "discriminator_x's input": (self.discriminator_x.input_shape, channels_x),
            "discriminator_y's input": (self.discriminator_y.input_shape, channels_y),
        }
        for what, (shape, channels) in expected.items():
            if shape[-1] != channels:
                raise ValueError(
                    f"generator_g takes {channels_x} channels and generator_f "
                    f"{channels_y}, so {what} must have {channels} channels. "
                    f"Received: {shape[-1]}"
                )
        if self.identity_weight and channels_x != channels_y:
            raise ValueError(
                "identity_weight must be 0 if the domains have different numbers of "
                f"channels. Received: identity_weight={self.identity_weight} with "
                f"{channels_x} and {channels_y} channels"
            )


def _output_shape(network: keras.Model, shape: Shape) -> Shape:
    """Return the shape that a network makes of another, empty if it does not fit."""
    try:
        output_shape: Shape = network.compute_output_shape(shape)
    except ValueError:
        return ()
    return output_shape
