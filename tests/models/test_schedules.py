"""The learning rate of every epoch."""

import keras
import pytest

import cyclegan_tf


def test_the_papers_schedule():
    schedule = cyclegan_tf.LinearDecay(2e-4, steps_per_epoch=7)

    def rate(epoch):  # counted from 1; first and last step of it
        first, last = schedule(7 * (epoch - 1)), schedule(7 * epoch - 1)
        assert float(first) == float(last)
        return float(first)

    assert rate(1) == rate(100) == pytest.approx(2e-4)
    assert rate(101) == pytest.approx(1.980e-4, rel=1e-3)
    assert rate(150) == pytest.approx(2e-4 * 51 / 101)
    assert rate(200) == pytest.approx(1.98e-6, rel=1e-3)
    assert rate(201) == rate(1000) == 0.0


@pytest.mark.parametrize(
    ("constant", "decay", "expected"),
    [(2, 0, [1, 1]), (0, 3, [3 / 4, 2 / 4, 1 / 4]), (1, 1, [1, 1 / 2])],
)
def test_short_schedules_never_reach_zero(constant, decay, expected):
    schedule = cyclegan_tf.LinearDecay(1.0, 1, constant, decay)
    assert [float(schedule(step)) for step in range(len(expected))] == pytest.approx(
        expected
    )


def test_an_optimizer_that_accumulates_follows_the_epochs():
    optimizer = keras.optimizers.SGD(
        cyclegan_tf.LinearDecay(1.0, 4, 1, 2), gradient_accumulation_steps=2
    )
    weight = keras.Variable(0.0)
    rates = []
    for _ in range(3 * 4):
        rates.append(float(optimizer.learning_rate))
        optimizer.apply([keras.ops.ones(())], [weight])
    assert rates == pytest.approx(4 * [1] + 4 * [2 / 3] + 4 * [1 / 3])
    assert float(weight) == pytest.approx(-sum(rates) / 2)


def test_serialization():
    schedule = cyclegan_tf.LinearDecay(1e-3, 11, 5, 4)
    config = keras.optimizers.schedules.serialize(schedule)
    restored = keras.optimizers.schedules.deserialize(config)
    assert isinstance(restored, cyclegan_tf.LinearDecay)
    assert restored.get_config() == schedule.get_config()


@pytest.mark.parametrize("arguments", [(1e-3, 0), (1e-3, 5, -1), (1e-3, 5, 1, -1)])
def test_wrong_arguments(arguments):
    with pytest.raises(ValueError, match="must"):
        cyclegan_tf.LinearDecay(*arguments)
