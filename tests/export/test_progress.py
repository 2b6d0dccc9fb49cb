"""The progress of an export, in a terminal and elsewhere."""

import io
import logging
import re
import sys

from cyclegan_tf.export.progress import progress

NAME = "litert/" + 60 * "n" + ".tflite"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def export_to(file, monkeypatch):
    monkeypatch.setattr(sys, "stderr", file)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    with progress(2) as tell:
        tell("Writing a.tflite")
        tell(f"Comparing {NAME}")
    return file.getvalue()


def test_a_terminal_shows_a_bar_and_keeps_nothing(monkeypatch):
    text = export_to(Terminal(), monkeypatch)
    shown = [line for line in re.split(r"\x1b\[\S*?[A-Za-z]|\r|\n", text) if line]
    assert max(map(len, shown)) <= 80 and "0:00:00" in shown
    assert shown.index("0/2") < shown.index("1/2")
    assert any("Comparing litert/nnn" in line for line in shown)
    assert NAME not in text  # it does not fit
    assert text.endswith("\x1b[2K")  # the line is gone


def test_elsewhere_it_is_one_line_a_step(monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    assert export_to(io.StringIO(), monkeypatch) == ""
    assert caplog.messages == ["1/2 Writing a.tflite", f"2/2 Comparing {NAME}"]
