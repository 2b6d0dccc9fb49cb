"""What callbacks do by themselves; whole trainings are in test_train.py."""

import logging
import math

import keras
import pytest
import tiny

from cyclegan_tf._shared.errors import TrainingStoppedError
from cyclegan_tf.config.options import OptimizationConfig, RecordConfig
from cyclegan_tf.training.building import epoch_rates
from cyclegan_tf.training.callbacks import (
    Announcement,
    Checkpointing,
    EpochRates,
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


def test_both_rates_follow_the_epoch():
    """However many updates the optimizers have skipped."""
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = tiny.cyclegan()
    finally:
        keras.config.set_dtype_policy("float32")
    model.compile()
    options = OptimizationConfig(learning_rate=3e-4, constant_epochs=1, decay_epochs=2)
    callback = EpochRates(epoch_rates(options))
    callback.set_model(model)
    for epoch, rate in ((0, 3e-4), (2, 1e-4), (1, 2e-4)):
        callback.on_epoch_begin(epoch)
        for optimizer in (model.generator_optimizer, model.discriminator_optimizer):
            assert float(optimizer.learning_rate) == pytest.approx(rate)


def test_a_training_is_announced_once(caplog):
    announcement = Announcement("2 processor cores in float32", 3, 30, first_step=5)
    with caplog.at_level(logging.INFO):
        for epoch in range(2):
            for batch in range(30):
                announcement.on_train_batch_end(batch)
            announcement.on_epoch_end(epoch)
    [told] = [record.message for record in caplog.records]
    assert told.startswith("Training on 2 processor cores in float32: 3 epochs of 30")
    assert told.endswith("about 0 s without evaluation.")
