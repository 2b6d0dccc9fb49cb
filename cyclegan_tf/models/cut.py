"""CUT: a one-sided translation by contrast of patches, as in the paper."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from cyclegan_tf.models import losses
from cyclegan_tf.models.adversarial import AdversarialModel
from cyclegan_tf.models.networks.features import encoder_features, projection_heads


@keras.saving.register_keras_serializable(package="cyclegan_tf")
class CUT(AdversarialModel):
    """A generator and a discriminator for one direction, without pairs or a way back.

    Train it with `fit` on a `tf.data.Dataset` of `(real_x, real_y)` batches: float
    images in [-1, 1], unpaired, both batches of equal length.

    Each patch of a translation must be closer to the same patch of its image than to
    the image's other patches, in the features E of the generator's first half, which
    projection heads H make comparable. The generator and the heads minimize, over the
    batch,

        adversarial(D(G(x))) + nce_weight * (NCE(x, G(x)) + NCE(y, G(y))) / 2

    or, without the identity term, `adversarial(D(G(x))) + nce_weight * NCE(x, G(x))`,
    where NCE is the mean of `losses.patch_nce_loss` over five features. Nothing learns
    from the features of the images themselves. `fit` logs the total as `generator_loss`
    and every term, unweighted, under its own name.

    Args:
        generator_g: `keras.Model`, X to Y: a ResNet of this package.
        discriminator_y: `keras.Model`, judges images of Y.
        heads: `keras.Model` that `projection_heads` returned. Defaults to new ones for
            the features of `generator_g`.
        nce_weight: float. Weight of the contrast. Defaults to `1.0`; FastCUT's is 10.
        nce_identity: bool. Also contrast y with G(y), which keeps colors. Defaults to
            `True`; FastCUT does not.
        flip_equivariance: bool. Mirror half of the batches before the generator, and
            the features of the translation back. Defaults to `False`; FastCUT does.
        temperature: float. Of the contrast. Defaults to `0.07`.
        num_patches: int. Patches for each feature and image. Defaults to `256`.
        seed: int. Seed of the patches, the flips and the gradient penalty. Defaults to
            `0`.

    Raises:
        ValueError: if the channels of the networks do not match, or the generator has
            no such features.

    Example:
    ```python
    antialiased = {"downsampling": "antialiased"}
    model = CUT(
        xavier_start(resnet_generator(upsampling="antialiased", **antialiased)),
        xavier_start(patchgan_discriminator(**antialiased)),
    )
    model.compile()
    model.fit(dataset, epochs=400)
    ```

    Reference:
        Park et al., 2020, Contrastive Learning for Unpaired Image-to-Image
        Translation, sections 3 and 4.1, and the authors' PyTorch code.
    """

    network_names = ("generator_g", "discriminator_y", "heads")
    loss_names = (
        "generator_loss",
        "generator_g_loss",
        "nce_x_loss",
        "nce_y_loss",
        "discriminator_y_loss",
    )
    quality_losses = ("generator_loss",)

    def __init__(
        self,
        generator_g: keras.Model,
        discriminator_y: keras.Model,
        heads: keras.Model | None = None,
        *,
        nce_weight: float = 1.0,
        nce_identity: bool = True,
        flip_equivariance: bool = False,
        temperature: float = 0.07,
        num_patches: int = 256,
        seed: int = 0,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, **kwargs)
        features = encoder_features(generator_g)
        self.generator_g = generator_g
        self.discriminator_y = discriminator_y
        self.heads = heads or projection_heads(
            {name: tensor.shape[-1] for name, tensor in features.items()}
        )
        self.nce_weight = nce_weight
        self.nce_identity = nce_identity
        self.flip_equivariance = flip_equivariance
        self.temperature = temperature
        self.num_patches = num_patches
        self._check_channels()
        self.built = True  # Keras has nothing to build: the networks are.

    def train_step(self, data: Any) -> dict[str, Any]:
        """Update the discriminator, then the generator and the heads, on one batch."""
        real_x, real_y = self._unpack(data)
        with tf.GradientTape() as tape:
            translation = self._translate(real_x, real_y)
            # The discriminator learns first, and the generator meets the better one.
            with tape.stop_recording():
                discriminator_losses = self._train_discriminators(
                    lambda: self._discriminator_losses(real_y, translation.fake_y)
                )
            generator_losses = self._generator_losses(translation)
            loss = self._batch_mean(generator_losses["generator_loss"])
            scaled_loss = self.generator_optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled_loss, self.generator_weights)
        self.generator_optimizer.apply(gradients)
        return self._track(generator_losses | discriminator_losses)

    def test_step(self, data: Any) -> dict[str, Any]:
        """Compute all losses on one batch, of patches that lie alike in each."""
        real_x, real_y = self._unpack(data)
        translation = self._translate(real_x, real_y, training=False)
        return self._track(
            self._generator_losses(translation, training=False)
            | self._discriminator_losses(real_y, translation.fake_y, training=False)
        )

    def _translate(
        self, real_x: Any, real_y: Any, training: bool = True
    ) -> "_Translation":
        """Translate x and, for the identity term, y; return their features, too."""
        real = [real_x, real_y] if self.nce_identity else [real_x]
        calls = self._calls(training)
        is_flipped = None
        inputs = real
        if self.flip_equivariance and training:
            is_flipped = keras.random.uniform((), seed=self._seeds) < 0.5
            inputs = [_flip_if(is_flipped, images) for images in real]
        outputs = _listed(calls.generator_g(*inputs, training=training), real)
        images = [image for image, *_ in outputs]
        # The same generator has just computed the features of its input.
        keys = [features for _, *features in outputs]
        if is_flipped is not None:
            keys = tf.cond(
                is_flipped,
                lambda: _listed(calls.encoder(*real, training=training), real),
                lambda: keys,
            )
        return _Translation(
            images, tf.nest.map_structure(tf.stop_gradient, keys), is_flipped
        )

    def _generator_losses(
        self, translation: "_Translation", training: bool = True
    ) -> dict[str, Any]:
        """Return the per-example losses of the generator and the heads."""
        logits = self._calls(training).discriminator_y(
            translation.fake_y, training=training
        )
        adversarial = self._adversarial_loss.generator(logits)
        contrasts = self._contrasts(translation, training)
        contrast = sum(contrasts) / len(contrasts)
        return {
            "generator_loss": adversarial + self.nce_weight * contrast,
            "generator_g_loss": adversarial,
            **dict(zip(("nce_x_loss", "nce_y_loss"), contrasts)),
        }

    def _contrasts(self, translation: "_Translation", training: bool) -> list[Any]:
        """Return the per-example contrast of x with G(x), then of y with G(y)."""
        images, keys, is_flipped = translation
        encoded = self._calls(training).encoder(*images, training=training)
        queries = _listed(encoded, images)
        if is_flipped is not None:
            queries = [
                [_flip_if(is_flipped, f) for f in features] for features in queries
            ]
        return [self._contrast(*pair, training) for pair in zip(queries, keys)]

    def _contrast(
        self, queries: Sequence[Any], keys: Sequence[Any], training: bool
    ) -> Any:
        """Return the mean contrast over the features, float (batch,)."""
        positions = [self._draw_positions(features, training) for features in keys]
        projected = (
            self.heads([_at(*pair) for pair in zip(features, positions)])
            for features in (queries, keys)
        )
        nce = [
            losses.patch_nce_loss(query, tf.stop_gradient(key), self.temperature)
            for query, key in zip(*projected)
        ]
        return sum(nce) / len(nce)

    def _draw_positions(self, features: Any, training: bool) -> Any:
        """Draw positions of a feature without replacement, the same for all images."""
        count = tf.reduce_prod(tf.shape(features)[1:3])
        seed = self._seeds if training else self.seed
        numbers = keras.random.uniform((count,), seed=seed)
        return tf.math.top_k(numbers, tf.minimum(self.num_patches, count)).indices

    def _discriminator_losses(
        self, real_y: Any, fake_y: Any, training: bool = True
    ) -> dict[str, Any]:
        """Return the per-example loss of the discriminator."""
        logits = self._calls(training).discriminator_y(
            real_y, fake_y, training=training
        )
        loss = self._half_discriminator_loss(
            "discriminator_y", real_y, fake_y, logits, training
        )
        return {"discriminator_y_loss": loss}

    def _step_models(
        self, generators: dict[str, keras.Model]
    ) -> dict[str, keras.Model]:
        generator = generators["g"]
        features = list(encoder_features(generator).values())
        return {
            "generator_g": keras.Model(generator.input, [generator.output, *features]),
            "encoder": keras.Model(generator.input, features),
            "discriminator_y": self.discriminator_y,
        }

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "nce_weight": self.nce_weight,
            "nce_identity": self.nce_identity,
            "flip_equivariance": self.flip_equivariance,
            "temperature": self.temperature,
            "num_patches": self.num_patches,
        }

    def _check_channels(self) -> None:
        channels = {
            "generator_g's output": self.generator_g.output_shape[-1],
            "discriminator_y's input": self.discriminator_y.input_shape[-1],
        }
        expected = self.generator_g.input_shape[-1]
        for what, found in channels.items():
            if found != expected:
                raise ValueError(
                    f"CUT compares translations with their images of {expected} "
                    f"channels, so {what} must have as many. Received: {found}"
                )


class _Translation(NamedTuple):
    """What the generator makes of x and, for the identity term, of y.

    `images` are mirrored where `is_flipped`, a bool tensor or `None`; `keys`, the
    features of the images before the translation, never are.
    """

    images: list[Any]
    keys: list[list[Any]]
    is_flipped: Any

    @property
    def fake_y(self) -> Any:
        return self.images[0]


def _listed(outputs: Any, batches: Sequence[Any]) -> list[Any]:
    """Return the outputs for each of the batches, of which there may be one."""
    return list(outputs) if len(batches) > 1 else [outputs]


def _flip_if(condition: Any, images: Any) -> Any:
    """Mirror (batch, height, width, channels) left to right."""
    return tf.cond(condition, lambda: tf.reverse(images, axis=[2]), lambda: images)


def _at(features: Any, positions: Any) -> Any:
    """Return the features at flat positions, float (batch, positions, channels)."""
    batch, height, width, _ = tf.unstack(tf.shape(features))
    flat = tf.reshape(features, (batch, height * width, features.shape[-1]))
    return tf.cast(tf.gather(flat, positions, axis=1), keras.config.floatx())
