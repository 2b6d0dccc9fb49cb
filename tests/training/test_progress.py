"""The line of a training, in a terminal and elsewhere."""

import io
import itertools
import re
import sys

import pytest

import cyclegan_tf
from cyclegan_tf.training import progress
from cyclegan_tf.training.progress import Progress, group_losses

LOSSES = {
    name: 0.125 if name.startswith("identity") else 0.25
    for name in cyclegan_tf.CycleGAN.loss_names
}


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """Each look at the clock is a second later."""
    seconds = itertools.count()
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(seconds)))


def trained(file, monkeypatch, epochs=2, steps=3, first_step=0, logs=LOSSES):
    """Run the hooks as `fit` does; return what was written to standard output."""
    monkeypatch.setattr(sys, "stdout", file)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    callback = Progress(cyclegan_tf.CycleGAN.loss_names, epochs, steps, first_step)
    with callback.shown():
        for epoch in range(first_step // steps, epochs):
            callback.on_epoch_begin(epoch)
            for batch in range(steps - callback.first_step):
                callback.on_train_batch_end(batch, logs)
            callback.on_test_begin()
            callback.on_epoch_end(epoch, logs)
            callback.tell("saving a checkpoint")
    return file.getvalue()


def test_a_terminal_shows_where_the_training_stands(monkeypatch, clock):
    text = trained(Terminal(), monkeypatch)
    shown = [line for line in re.split(r"\x1b\[\S*?[A-Za-z]|\r|\n", text) if line]
    assert max(map(len, shown)) <= 80
    numbers = "G 0.25 D 0.25 cycle 0.25 identity 0.12"
    assert f"epoch 1/2 step 2/3 1s/4s left {numbers}" in shown
    assert f"epoch 2/2 step 3/3 0s/2s left {numbers}" in shown
    for doing in ("validating", "checking translations", "saving a checkpoint"):
        assert f"epoch 1/2 {doing} {numbers}" in shown
    kept = [line for line in shown if " in " in line]
    assert len(kept) == 2 and kept[1].startswith("epoch 2/2 in 4s G 0.25")
    # The cursor is shown again.
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")


def test_long_numbers_fit_without_words(monkeypatch, clock):
    text = trained(Terminal(), monkeypatch, 20_000, 20_000, 20_000 * 20_000 - 3)
    assert "20000/20000 19999/20000 1s/1s G 0.25 D 0.25" in text


def test_a_file_gets_one_line_an_epoch(monkeypatch, clock):
    class Unread(dict):
        def __getitem__(self, name):
            raise AssertionError("nobody sees it")

    text = trained(io.StringIO(), monkeypatch)
    assert text.splitlines() == [
        "epoch 1/2 in 4s, 3s left G 0.25 D 0.25 cycle 0.25 identity 0.12",
        "epoch 2/2 in 4s G 0.25 D 0.25 cycle 0.25 identity 0.12",
    ]
    callback = Progress(["cycle_x_loss"], 1, 3)
    with callback.shown():
        callback.on_epoch_begin(0)
        callback.on_train_batch_end(0, Unread(cycle_x_loss=0.5))


def test_an_interrupted_training_leaves_the_terminal_as_it_was(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    callback = Progress(["cycle_x_loss"], 1, 3)
    with pytest.raises(KeyboardInterrupt), callback.shown():
        callback.on_epoch_begin(0)
        raise KeyboardInterrupt
    text = terminal.getvalue()
    assert text.rindex("\x1b[?25h") > text.rindex("epoch 1/1 starting")


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        (
            ["generator_loss", "generator_g_loss", "generator_f_loss", "cycle_x_loss"],
            {"G": ["generator_g_loss", "generator_f_loss"], "cycle": ["cycle_x_loss"]},
        ),
        (
            ["l1_loss", "discriminator_loss", "generator_loss"],
            {"G": ["generator_loss"], "D": ["discriminator_loss"], "l1": ["l1_loss"]},
        ),
        (["nce_loss", "nce_y_loss"], {"nce": ["nce_y_loss"]}),
    ],
)
def test_losses_are_grouped_by_their_names(names, groups):
    assert group_losses(names) == {"G": [], "D": []} | groups


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0s"),
        (89, "89s"),
        (90, "2m"),
        (5400, "1.5h"),
        (36000, "10h"),
        (1e6, "12d"),
    ],
)
def test_durations(seconds, text):
    assert progress._duration(seconds) == text
