"""From the first steps to the whole training, by hand."""

import dataclasses

import pytest
from measurements import MEASURED

from cyclegan_tf.planning.forecast import forecast


def test_time():
    needs = forecast(MEASURED, checkpoint_minutes=10, evaluate_every=0)
    assert needs.first_step_done_seconds == 5 + 11
    assert needs.step_seconds == 2
    assert needs.epoch_seconds == 100 * 2 + 20
    assert needs.total_seconds == 5 + (11 + 999 * 2) + (30 + 9 * 20)


@pytest.mark.parametrize(
    ("minutes", "saves"),
    [
        (1, 3),  # after 60, 120 and 180 of 200 seconds
        (3, 1),
        (10, 0),
        (0, 99),  # after each step but the last, which the end of the epoch follows
        (0.001, 99),
    ],
)
def test_checkpoints_within_epochs(minutes, saves):
    needs = forecast(MEASURED, checkpoint_minutes=minutes, evaluate_every=0)
    assert needs.epoch_seconds == 100 * 2 + saves * 3 + 20


@pytest.mark.parametrize(
    ("every", "evaluations"),
    [
        (1, 60 + 9 * 40),
        (5, 60 + 40),
        (4, 60 + 2 * 40),  # after 4, 8 and the last
        (20, 60),  # the last
    ],
)
def test_evaluations(every, evaluations):
    without = forecast(MEASURED, 10, evaluate_every=0)
    needs = forecast(MEASURED, 10, evaluate_every=every)
    assert needs.total_seconds - without.total_seconds == evaluations
    assert needs.epoch_seconds == without.epoch_seconds


def test_disk():
    """The newest checkpoint and the best, generators of both, pictures and logs."""
    needs = forecast(MEASURED, checkpoint_minutes=10, evaluate_every=0)
    assert needs.disk_bytes == 2 * (500 + 70) + 10 * (6 + 1)
    assert needs.writing_bytes == 500
    assert needs.peak_bytes == 4000
    # The only checkpoint is the newest and the best.
    short = forecast(dataclasses.replace(MEASURED, epochs=1), 10, 0)
    assert short.disk_bytes == 2 * 70 + 500 + (6 + 1)
