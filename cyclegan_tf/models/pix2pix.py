"""pix2pix: a generator that learns from pairs of images, as in the paper."""

from typing import Any

import keras
import tensorflow as tf

from cyclegan_tf.models import losses
from cyclegan_tf.models.adversarial import AdversarialModel


@keras.saving.register_keras_serializable(package="cyclegan_tf")
class Pix2Pix(AdversarialModel):
    """A generator and a discriminator that learn a translation from pairs.

    Train it with `fit` on a `tf.data.Dataset` of `(real_x, real_y)` batches: float
    images in [-1, 1], where `real_y[i]` is what `real_x[i]` must become.

    The generator minimizes, over the batch,

        adversarial(D([x, G(x)])) + l1_weight * |G(x) - y|

    against a discriminator that has just learned from the same batch, and that judges
    an image together with its source. `fit` logs the total as `generator_loss` and
    every term, unweighted, under its own name.

    Batch normalization makes a translation depend on its batch. `publish`, `predict`
    and `export` therefore give a generator that normalizes each image by itself and
    has no dropout. For the authors' behavior, with noise by dropout, call
    `model.generator_g(images, training=True)` with one image at a time.

    Args:
        generator_g: `keras.Model`, X to Y.
        discriminator_y: `keras.Model`, judges an image of X and one of Y, concatenated
            along their channels.
        l1_weight: float. Weight of the distance to the paired image. Defaults to
            `100.0`.
        inference_norm: `"image"` publishes a generator that normalizes each image by
            its own statistics, as training does with a batch of one; `"running"` one
            that uses the running statistics of its batch norms. Defaults to `"image"`.
        seed: int. Seed of the gradient penalty. Defaults to `0`.

    Raises:
        ValueError: if the channels of the networks do not match, or `inference_norm` is
            unknown.

    Example:
    ```python
    model = Pix2Pix(
        unet_generator(norm="batch", dropout=0.5),
        patchgan_discriminator(image_shape=(None, None, 6), norm="batch"),
    )
    model.compile()
    model.fit(pairs, epochs=200)
    ```

    Reference:
        Isola et al., 2017, Image-to-Image Translation with Conditional Adversarial
        Networks, section 3, and the authors' PyTorch code.
    """

    network_names = ("generator_g", "discriminator_y")
    loss_names = (
        "generator_loss",
        "generator_g_loss",
        "l1_loss",
        "discriminator_y_loss",
    )
    quality_losses = ("l1_loss",)
    takes_pairs = True
    default_adversarial_loss = "bce"

    def __init__(
        self,
        generator_g: keras.Model,
        discriminator_y: keras.Model,
        *,
        l1_weight: float = 100.0,
        inference_norm: str = "image",
        seed: int = 0,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, **kwargs)
        if inference_norm not in ("image", "running"):
            raise ValueError(
                'inference_norm must be "image" or "running". Received: '
                f"{inference_norm!r}"
            )
        self.generator_g = generator_g
        self.discriminator_y = discriminator_y
        self.l1_weight = l1_weight
        self.inference_norm = inference_norm
        self.normalizes_images_alone = inference_norm == "image"
        self._check_channels()
        self.built = True  # Keras has nothing to build: the networks are.

    def train_step(self, data: Any) -> dict[str, Any]:
        """Update the discriminator, then the generator, on one batch."""
        real_x, real_y = self._unpack(data)
        with tf.GradientTape() as tape:
            fake_y = self._calls(True).generator_g(real_x, training=True)
            # The discriminator learns first, and the generator meets the better one.
            with tape.stop_recording():
                discriminator_losses = self._train_discriminators(
                    lambda: self._discriminator_losses(real_x, real_y, fake_y)
                )
            generator_losses = self._generator_losses(real_x, real_y, fake_y)
            loss = self._batch_mean(generator_losses["generator_loss"])
            scaled_loss = self.generator_optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled_loss, self.generator_weights)
        self.generator_optimizer.apply(gradients)
        return self._track(generator_losses | discriminator_losses)

    def test_step(self, data: Any) -> dict[str, Any]:
        """Compute all losses on one batch."""
        real_x, real_y = self._unpack(data)
        fake_y = self._calls(False).generator_g(real_x, training=False)
        return self._track(
            self._generator_losses(real_x, real_y, fake_y, training=False)
            | self._discriminator_losses(real_x, real_y, fake_y, training=False)
        )

    def _generator_losses(
        self, real_x: Any, real_y: Any, fake_y: Any, training: bool = True
    ) -> dict[str, Any]:
        """Return the per-example losses of the generator."""
        discriminator = self._calls(training).discriminator_y
        logits = discriminator(_with_source(real_x, fake_y), training=training)
        adversarial = self._adversarial_loss.generator(logits)
        distance = losses.l1_loss(real_y, fake_y)
        return {
            "generator_loss": adversarial + self.l1_weight * distance,
            "generator_g_loss": adversarial,
            "l1_loss": distance,
        }

    def _discriminator_losses(
        self, real_x: Any, real_y: Any, fake_y: Any, training: bool = True
    ) -> dict[str, Any]:
        """Return the per-example loss of the discriminator."""
        real, fake = _with_source(real_x, real_y), _with_source(real_x, fake_y)
        # The fakes first: running statistics depend on the order.
        fake_logits, real_logits = self._calls(training).discriminator_y(
            fake, real, training=training
        )
        loss = self._half_discriminator_loss(
            "discriminator_y", real, fake, (real_logits, fake_logits), training
        )
        return {"discriminator_y_loss": loss}

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "l1_weight": self.l1_weight,
            "inference_norm": self.inference_norm,
        }

    def _check_channels(self) -> None:
        channels_x = self.generator_g.input_shape[-1]
        channels_y = self.generator_g.output_shape[-1]
        found = self.discriminator_y.input_shape[-1]
        if found != channels_x + channels_y:
            raise ValueError(
                f"generator_g makes {channels_y} channels of {channels_x}, so "
                f"discriminator_y must take {channels_x + channels_y} channels. "
                f"Received: {found}"
            )


def _with_source(source: Any, image: Any) -> Any:
    return tf.concat([source, image], axis=-1)
