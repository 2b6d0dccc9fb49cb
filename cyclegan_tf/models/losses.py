"""The loss functions of all methods: pure functions, one value per example.

Each returns a float tensor of shape (batch,): the mean over everything but the
batch. The `train_step` of a method applies the weights and takes the mean over the
global batch.

Images are float (batch, height, width, channels) in [-1, 1]. Logits, also those called
`real_logits` and `fake_logits`, are what a discriminator returns for real or generated
images: float (batch, rows, columns, 1) of any size, one for each patch. Below, D(x) is
the logits for an image x, and E the mean over its patches.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf
from keras import ops

from cyclegan_tf.models.choices import AdversarialLossName, check_choice


def lsgan_generator_loss(fake_logits: Any) -> Any:
    """Least-squares loss of a generator: `E[(D(fake) - 1)^2]`.

    Reference:
        Mao et al., 2017, Least Squares Generative Adversarial Networks, Eqn. 9;
        Zhu et al., 2017, section 4.
    """
    return _example_mean(ops.square(fake_logits - 1.0))


def lsgan_discriminator_loss(real_logits: Any, fake_logits: Any) -> Any:
    """Least-squares loss of a discriminator: `E[(D(real) - 1)^2] + E[D(fake)^2]`.

    Reference:
        Mao et al., 2017, Eqn. 9; Zhu et al., 2017, section 4.
    """
    return _example_mean(ops.square(real_logits - 1.0)) + _example_mean(
        ops.square(fake_logits)
    )


def bce_generator_loss(fake_logits: Any) -> Any:
    """Log-likelihood loss of a generator: `E[-log sigmoid(D(fake))]`.

    Reference:
        Goodfellow et al., 2014, Generative Adversarial Nets, section 3 (the
        non-saturating form); Zhu et al., 2017, Eqn. 1.
    """
    return _example_mean(ops.softplus(-fake_logits))


def bce_discriminator_loss(real_logits: Any, fake_logits: Any) -> Any:
    """Log-likelihood loss of a discriminator.

    `E[-log sigmoid(D(real))] + E[-log(1 - sigmoid(D(fake)))]`

    Reference:
        Goodfellow et al., 2014, Eqn. 1; Zhu et al., 2017, Eqn. 1.
    """
    return _example_mean(ops.softplus(-real_logits)) + _example_mean(
        ops.softplus(fake_logits)
    )


def hinge_discriminator_loss(real_logits: Any, fake_logits: Any) -> Any:
    """Hinge loss of a discriminator: `E[max(0, 1 - D(real))] + E[max(0, 1 + D(fake))]`.

    Reference:
        Lim and Ye, 2017, Geometric GAN, section 3.
    """
    return _example_mean(ops.relu(1.0 - real_logits)) + _example_mean(
        ops.relu(1.0 + fake_logits)
    )


def critic_generator_loss(fake_logits: Any) -> Any:
    """Loss of a generator against a hinge or Wasserstein critic: `-E[D(fake)]`.

    Reference:
        Arjovsky et al., 2017, Wasserstein GAN, algorithm 1.
    """
    return -_example_mean(fake_logits)


def wgan_discriminator_loss(real_logits: Any, fake_logits: Any) -> Any:
    """Wasserstein loss of a critic: `E[D(fake)] - E[D(real)]`.

    Reference:
        Arjovsky et al., 2017, Wasserstein GAN, algorithm 1.
    """
    return _example_mean(fake_logits) - _example_mean(real_logits)


def gradient_penalty(
    discriminator: Callable[..., Any],
    real: Any,
    fake: Any,
    mix: Any,
    training: bool = True,
) -> Any:
    """Gradient penalty of WGAN-GP: `(||grad D(mixed)||_2 - 1)^2`.

    `mixed = mix * real + (1 - mix) * fake`; the norm is taken over all pixels and
    channels of an image.

    Args:
        discriminator: callable from images to logits.
        real: real images.
        fake: generated images, of the same shape.
        mix: float (batch, 1, 1, 1) drawn uniformly from [0, 1).
        training: bool. Passed to the discriminator. Defaults to `True`.

    Reference:
        Gulrajani et al., 2017, Improved Training of Wasserstein GANs, Eqn. 3.
    """
    mixed = ops.convert_to_tensor(mix * real + (1.0 - mix) * fake)
    with tf.GradientTape() as tape:
        tape.watch(mixed)
        score = _example_mean(discriminator(mixed, training=training))
    squared_norm = ops.sum(ops.square(tape.gradient(score, mixed)), axis=(1, 2, 3))
    # The square root has no finite gradient at 0.
    return ops.square(ops.sqrt(squared_norm + 1e-12) - 1.0)


def cycle_loss(image: Any, cycled: Any) -> Any:
    """Cycle consistency: mean absolute difference `|F(G(x)) - x|` of images.

    Reference:
        Zhu et al., 2017, Eqn. 2.
    """
    return _example_mean(ops.absolute(cycled - image))


def identity_loss(image: Any, same: Any) -> Any:
    """Identity: mean absolute difference `|G(y) - y|` of images.

    A generator should not change an image of its *target* domain.

    Reference:
        Zhu et al., 2017, section 5.2, "Photo generation from paintings".
    """
    return _example_mean(ops.absolute(same - image))


def l1_loss(image: Any, generated: Any) -> Any:
    """Mean absolute difference `|G(x) - y|` to the image y that belongs to x.

    Reference:
        Isola et al., 2017, Eqn. 3.
    """
    return _example_mean(ops.absolute(generated - image))


def patch_nce_loss(queries: Any, keys: Any, temperature: float = 0.07) -> Any:
    """Contrast of patches: each query must recognize its key among the others.

    The cross-entropy of `softmax(query . keys / temperature)` at the query's own key.
    The other keys are of the same image.

    Args:
        queries: float (batch, patches, channels), of unit length: patches of the
            translations.
        keys: float, the shape of `queries`: the patches at the same positions of the
            images.
        temperature: float. Defaults to `0.07`.

    Returns:
        float (batch,): the mean over the patches; `log(patches)` if all are equal.

    Reference:
        Park et al., 2020, Contrastive Learning for Unpaired Image-to-Image
        Translation, Eqn. 3 and section 3.2.
    """
    similarities = ops.matmul(queries, ops.transpose(keys, (0, 2, 1))) / temperature
    own = ops.diagonal(similarities, axis1=1, axis2=2)
    return ops.mean(ops.logsumexp(similarities, axis=2) - own, axis=1)


class AdversarialLoss(NamedTuple):
    """The two sides of an adversarial game.

    `generator` takes `fake_logits`, `discriminator` takes `real_logits` and
    `fake_logits`, and `gradient_penalty_weight` is the weight of `gradient_penalty` in
    the discriminator's loss, 0 for none.
    """

    generator: Callable[[Any], Any]
    discriminator: Callable[[Any, Any], Any]
    gradient_penalty_weight: float = 0.0


ADVERSARIAL_LOSSES = {
    "lsgan": AdversarialLoss(lsgan_generator_loss, lsgan_discriminator_loss),
    "bce": AdversarialLoss(bce_generator_loss, bce_discriminator_loss),
    "hinge": AdversarialLoss(critic_generator_loss, hinge_discriminator_loss),
    "wgan-gp": AdversarialLoss(
        critic_generator_loss,
        wgan_discriminator_loss,
        gradient_penalty_weight=10.0,
    ),
}


def get_adversarial_loss(name: str) -> AdversarialLoss:
    """Return the loss named `"lsgan"`, `"bce"`, `"hinge"` or `"wgan-gp"`.

    Raises:
        ValueError: if the name is another one.
    """
    check_choice("adversarial_loss", name, AdversarialLossName)
    return ADVERSARIAL_LOSSES[name]


def _example_mean(values: Any) -> Any:
    """Mean over everything but the batch, in at least float32."""
    if keras.backend.standardize_dtype(values.dtype) in ("float16", "bfloat16"):
        values = ops.cast(values, "float32")
    return ops.mean(values, axis=tuple(range(1, len(values.shape))))
