"""From arguments to options: the order of the help, and advice for a wrong word."""

import re

import pytest
from command_line import fails

import cyclegan_tf
from cyclegan_tf.cli import main as cli
from cyclegan_tf.cli.commands import COMMANDS
from cyclegan_tf.cli.parsing import parse


def help_of(capsys, verb):
    with pytest.raises(SystemExit):
        cli.main([verb, "--help"])
    return capsys.readouterr().out


def flags_in(text):
    return re.findall(r"^\W{1,3}(--[a-z][a-z-]+)", text, flags=re.M)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.verb)
def test_at_most_ten_options_come_first(command, capsys):
    first, *_ = re.split(r"^\W*more\b", help_of(capsys, command.verb), flags=re.M)
    assert len(flags_in(first)) <= 10


def test_the_help_of_train(capsys):
    text = help_of(capsys, "train")
    first, _, more = text.partition(" more options")
    assert flags_in(first) == [
        *("--data", "--recipe", "--run-dir", "--generator", "--load-size"),
        *("--crop-size", "--epochs", "--batch-size", "--precision", "--resume"),
    ]
    # Nothing is lost.
    for flag in ("--lr FLOAT", "--dry-run", "--flip, --no-flip", "--watchdog"):
        assert flag in more
    assert "more: networks options" in more
    assert "Images and options for a well-known application" in " ".join(first.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("train", "--recipe", "monet2foto"),
            "--recipe cannot be 'monet2foto'; did you",
        ),
        (("train", "--recipe=horse2zebr"), "did you mean horse2zebra?"),
        (("export", "x", "--out", "y", "--formats", "onnx", "tflite"), "mean litert?"),
        (
            (
                "export",
                "onx",
                "--out",
                "y",
                "--formats",
                "litert",
                "onx",
                "--name",
                "z",
            ),
            "--formats cannot be 'onx'; did you mean onnx?",
        ),
        (
            ("train", "--data", "demo", "--preset", "quux"),
            "--preset cannot be 'quux'; choose from paper, pytorch-2024, tf-tutorial, "
            "keras-example, pix2pix, cut, fastcut.",
        ),
        (("train", "--data", "demo", "--channels-x", "2"), "choose from 1, 3."),
        (
            ("export", "x", "--out", "y", "--for", "quux"),
            "--for cannot be 'quux'; choose from phone, web, serving, all.",
        ),
    ],
)
def test_advice_for_a_word_that_is_no_choice(arguments, message, capsys):
    assert message in fails(capsys, *arguments)


@pytest.mark.parametrize(
    ("options", "flag", "value"),
    [
        (cyclegan_tf.TranslateConfig, "size", 300),
        (cyclegan_tf.TranslateConfig, "size", "full"),
        (cyclegan_tf.TranslateBeamConfig, "size", 300),
        (cyclegan_tf.ExportConfig, "model_version", 3),
        (cyclegan_tf.ExportConfig, "model_version", "next"),
    ],
)
def test_a_number_where_there_are_words(options, flag, value):
    arguments = ["g.keras", "--out", "out", f"--{flag.replace('_', '-')}", str(value)]
    if options is not cyclegan_tf.ExportConfig:
        arguments.insert(1, "photos")
    assert getattr(parse(options, (), arguments, "cyclegan", None), flag) == value
