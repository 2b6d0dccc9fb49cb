"""Every planted failure is told, with the reason; a healthy training raises none."""

import logging
import math
import re

import keras
import numpy as np
import pytest
import tiny

from cyclegan_tf._shared.errors import TrainingStoppedError
from cyclegan_tf.config.options import CycleGANObjective
from cyclegan_tf.training.watchdog import (
    STEPS_BETWEEN_LOOKS,
    FiniteLosses,
    StoppingTogether,
    Watchdog,
    signs_in_translations,
)
from cyclegan_tf.translation.translator import Translator

IMAGES, TARGETS = tiny.noise(6, 16), tiny.noise(6, 16, seed=1)


def signs(translate):
    translated = [translate(image) for image in IMAGES]
    return list(signs_in_translations("generator_g", IMAGES, translated, TARGETS))


def test_a_healthy_generator_has_no_signs():
    assert signs(lambda image: 255 - (255 - image) // 2) == []


@pytest.mark.parametrize(
    ("translate", "sign"),
    [
        (lambda image: 255 - image, "generator_g inverts colors: .* by -1.00; start"),
        (lambda image: image, "generator_g changes nothing: .* by 0.0 of 255"),
        (lambda image: IMAGES[0], "generator_g has collapsed: .* by 0.0 gray levels"),
    ],
    ids=["inverted", "unchanged", "collapsed"],
)
def test_signs_in_translations(translate, sign):
    [found] = signs(translate)
    assert re.match(sign, found), found


class Planted:
    """Stands for a translator of a generator that fails in a certain way."""

    def __init__(self, translate):
        self.translate = translate

    def refresh(self):
        pass

    def __call__(self, image):
        return self.translate(image)


def watchdog(
    translate=lambda image: 255 - (255 - image) // 2,
    adversarial_loss="lsgan",
    **options,
):
    both = {"g": IMAGES, "f": TARGETS}
    swapped = {"g": TARGETS, "f": IMAGES}
    objective = CycleGANObjective(adversarial_loss=adversarial_loss)
    translators = dict.fromkeys("gf", Planted(translate))
    dog = Watchdog(translators, both, swapped, objective, **options)
    dog.set_model(keras.Sequential())
    return dog


HEALTHY = {"discriminator_x_loss": 0.2, "discriminator_y_loss": 0.15}


def test_a_sign_is_told_once_for_each_generator(caplog):
    dog = watchdog(lambda image: 255 - image)
    with caplog.at_level(logging.WARNING):
        dog.on_epoch_end(0, HEALTHY)
        dog.on_epoch_end(1, HEALTHY)
    told = [record.message for record in caplog.records]
    assert len(told) == 2
    assert told[0].startswith("Watchdog, epoch 1: generator_g inverts colors")
    assert told[1].startswith("Watchdog, epoch 1: generator_f inverts colors")
    dog.on_train_end()  # goes on


@pytest.mark.parametrize(
    ("loss", "saturated"), [("lsgan", 0.004), ("bce", 0.012), ("hinge", 0.015)]
)
def test_a_saturated_discriminator(caplog, loss, saturated):
    with caplog.at_level(logging.WARNING):
        watchdog(adversarial_loss=loss).on_epoch_end(
            4, HEALTHY | {"discriminator_y_loss": saturated}
        )
    [record] = caplog.records
    assert "discriminator_y is hardly ever wrong: its loss is" in record.message


def test_a_critic_has_no_scale(caplog):
    losses = dict.fromkeys(HEALTHY, -5.0)
    watchdog(adversarial_loss="wgan-gp").on_epoch_end(0, losses)
    assert not caplog.records


def test_stopping_after_the_epoch():
    dog = watchdog(lambda image: image, stop=True)
    dog.on_epoch_end(2, HEALTHY)
    assert dog.model.stop_training
    with pytest.raises(TrainingStoppedError, match="After epoch 3, generator_g"):
        dog.on_train_end()


def test_all_workers_stop_where_one_does():
    """As it is for a worker that has no sign of its own."""
    together = StoppingTogether(lambda vote: True)
    together.set_model(keras.Sequential())
    together.model.stop_training = False
    together.on_epoch_end(0)
    assert together.model.stop_training
    with pytest.raises(TrainingStoppedError, match="chief worker"):
        together.on_train_end()


def test_losses_that_are_not_finite_stop_at_once():
    """In a real `fit`, before a checkpoint could be made of such weights."""
    model = tiny.cyclegan()
    learning_rate = 1e30  # the second step meets what the first one made
    model.compile(
        keras.optimizers.SGD(learning_rate), keras.optimizers.SGD(learning_rate)
    )
    saved = []
    checkpoint = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: saved.append(epoch)
    )
    with pytest.raises(TrainingStoppedError, match="became (nan|inf) in this epoch"):
        model.fit(
            tiny.dataset(),
            callbacks=[FiniteLosses(), checkpoint],
            verbose=0,
        )
    assert not saved


def test_finite_losses_go_on():
    dog = FiniteLosses()
    dog.on_train_batch_end(STEPS_BETWEEN_LOOKS - 1, {"generator_loss": 3.0})
    dog.on_epoch_end(0, {"generator_loss": 3.0, "eval_f_kid_random": math.inf})
    with pytest.raises(TrainingStoppedError, match="generator_loss became nan"):
        dog.on_train_batch_end(STEPS_BETWEEN_LOOKS - 1, {"generator_loss": math.nan})
    with pytest.raises(TrainingStoppedError, match="val_generator_loss became inf"):
        dog.on_epoch_end(0, {"val_generator_loss": math.inf})


def test_losses_that_run_away_are_told(caplog):
    dog = watchdog()
    with caplog.at_level(logging.WARNING):
        dog.on_epoch_end(0, HEALTHY | {"discriminator_x_loss": 3e17})
    [told] = [record.message for record in caplog.records]
    assert "discriminator_x_loss has run away: it is 3e+17" in told


def test_it_sees_the_networks_of_the_epoch():
    """A generator that fails only after it was trained."""
    model = tiny.cyclegan()
    translators = {
        "g": Translator(model.generator_g),
        "f": Translator(model.generator_f),
    }
    dog = Watchdog(
        translators,
        {"g": IMAGES, "f": TARGETS},
        {"g": TARGETS, "f": IMAGES},
        CycleGANObjective(),
        stop=True,
    )
    dog.set_model(model)
    for network in (model.generator_g, model.generator_f):
        network.set_weights([np.zeros_like(w) for w in network.get_weights()])
    dog.on_epoch_end(0, HEALTHY)
    with pytest.raises(TrainingStoppedError, match="generator_g has collapsed"):
        dog.on_train_end()
