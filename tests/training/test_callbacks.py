"""What callbacks do by themselves; whole trainings are in test_train.py."""

import json
import math

import keras
import numpy as np
import pytest
import tiny

from cyclegan_tf._shared.errors import TrainingStoppedError
from cyclegan_tf.config.options import OptimizationConfig, RecordConfig
from cyclegan_tf.images import read_image
from cyclegan_tf.training.building import epoch_rates
from cyclegan_tf.training.callbacks import (
    CallbackList,
    Checkpointing,
    EpochRates,
    MetricsLog,
    SampleSheet,
    score_of_epoch,
)


def checkpointing():
    saved = []
    callback = Checkpointing(lambda step, logs: saved.append(step), minutes=0.0)
    callback.set_params({"steps": 4})
    callback.on_epoch_begin(0)
    return callback, saved


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_state_that_is_not_finite_is_never_saved(value):
    """Neither after an epoch, where only the validation shows it, nor within one."""
    callback, saved = checkpointing()
    with pytest.raises(TrainingStoppedError, match="val_loss became (nan|inf)"):
        callback.on_epoch_end(0, {"loss": 1.0, "val_loss": value})
    with pytest.raises(TrainingStoppedError, match="generator_loss became"):
        callback.on_train_batch_end(1, {"generator_loss": value})
    assert not saved
    callback.on_train_batch_end(2, {"generator_loss": 1.0})
    callback.on_epoch_end(0, {"loss": 1.0, "val_loss": 2.0})
    assert saved == [3, 3]


@pytest.mark.parametrize(
    ("keep_best", "logs", "score"),
    [
        ("loss", {"val_loss": 0.5}, 0.5),
        ("loss", {"val_loss": math.nan}, None),
        ("kid", {"eval_g_kid_random": 1.0, "eval_f_kid_random": 3.0}, 2.0),
        ("kid", {"eval_g_kid_random": 1.0, "eval_f_kid_random": math.inf}, None),
        ("kid", {"val_loss": 0.5}, None),
        ("hit_rate", {"eval_g_hit_rate": 0.75, "eval_f_hit_rate": 0.25}, 0.5),
    ],
)
def test_scores(keep_best, logs, score):
    record = RecordConfig(keep_best=keep_best)
    assert score_of_epoch(logs, record, tiny.cyclegan()) == score


def test_a_score_that_is_not_finite_is_null_in_the_log(tmp_path):
    log = MetricsLog(tmp_path / "metrics.jsonl")
    log.set_model(tiny.cyclegan())
    log.model.compile()
    log.on_epoch_begin(0)
    log.on_train_batch_end(0)
    log.on_epoch_end(0, {"loss": 1.0, "eval_g_swd": math.nan, "eval_f_swd": math.inf})

    def refuse(constant):
        raise ValueError(f"{constant} is no JSON")

    record = json.loads(log.path.read_text(), parse_constant=refuse)
    assert record["loss"] == 1.0
    assert record["eval_g_swd"] is record["eval_f_swd"] is None


def test_both_rates_follow_the_epoch():
    """However many updates the optimizers have skipped."""
    model = tiny.cyclegan_in_float16()
    model.compile()
    options = OptimizationConfig(learning_rate=3e-4, constant_epochs=1, decay_epochs=2)
    callback = EpochRates(epoch_rates(options))
    callback.set_model(model)
    for epoch, rate in ((0, 3e-4), (2, 1e-4), (1, 2e-4)):
        callback.on_epoch_begin(epoch)
        for optimizer in (model.generator_optimizer, model.discriminator_optimizer):
            assert float(optimizer.learning_rate) == pytest.approx(rate)


def test_rates_do_not_drift_apart_where_steps_are_skipped():
    """The generators' gradients overflow at first, the discriminators' do not."""
    model = tiny.cyclegan_in_float16()
    model.compile()
    model.generator_optimizer.dynamic_scale.assign(2.0**120)
    images = tiny.images(2)
    options = OptimizationConfig(constant_epochs=1, decay_epochs=2)
    rates = []

    def note(epoch, logs):
        optimizers = model.generator_optimizer, model.discriminator_optimizer
        rates.append([float(each.learning_rate) for each in optimizers])

    callbacks = [
        EpochRates(epoch_rates(options)),
        keras.callbacks.LambdaCallback(on_epoch_end=note),
    ]
    model.fit(images, images, 1, epochs=3, callbacks=callbacks, verbose=0)
    updates = [
        int(each.inner_optimizer.iterations)
        for each in (model.generator_optimizer, model.discriminator_optimizer)
    ]
    assert updates[0] < updates[1] == 6
    assert all(one == other for one, other in rates)
    assert rates[0][0] > rates[1][0] > rates[2][0]


def test_losses_stay_on_the_device_until_they_are_asked_for():
    """As Keras's own list of callbacks reads all of them after each step."""
    reads = []

    class Loss:
        def __float__(self):
            reads.append(self)
            return 0.5

    asked = []
    reader = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: batch and asked.append(dict(logs))
    )
    callbacks = CallbackList([reader])
    callbacks.on_train_batch_end(0, {"loss": Loss()})
    assert not reads
    callbacks.on_train_batch_end(1, {"loss": Loss()})
    assert len(reads) == 1 and asked == [{"loss": 0.5}]


def test_samples_of_pairs_end_with_the_truth(tmp_path):
    class Inverting:
        def __call__(self, image):
            return 255 - image

        def refresh(self):
            pass

    images, truths = tiny.noise(2, 16), tiny.noise(2, 16, seed=1)
    sheet = SampleSheet(
        {"g": Inverting()}, {"g": images}, tmp_path, truths={"g": truths}
    )
    sheet.on_epoch_end(0)
    picture = read_image(tmp_path / "epoch-0001.png")
    cell, gap = 192, 8
    assert picture.shape[1] == 3 * (cell + gap) + gap
    bottom = picture[-cell - gap :][:cell]
    for i, expected in enumerate((images[1], 255 - images[1], truths[1])):
        column = bottom[:, gap + i * (cell + gap) :][:, :cell]
        enlarged = expected.repeat(12, axis=0).repeat(12, axis=1)
        np.testing.assert_array_equal(column, enlarged)
