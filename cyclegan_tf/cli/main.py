"""The command line: find the row of `commands.py`, parse its options, call it."""

import dataclasses
import inspect
import itertools
import logging
import os
import pathlib
import sys
from typing import Any, TextIO

from cyclegan_tf._shared.errors import (
    InputError,
    JobFailedError,
    TrainingStoppedError,
    WorkerLostError,
)
from cyclegan_tf._shared.files import parse_json, printable
from cyclegan_tf._shared.quiet import quiet_tensorflow
from cyclegan_tf._shared.signals import keep_interrupts
from cyclegan_tf._version import __version__
from cyclegan_tf.cli.commands import COMMANDS, Command
from cyclegan_tf.cli.parsing import as_flags, did_you_mean, parse
from cyclegan_tf.pretrained.zoo import PREFIX

EXIT_STOPPED = 1
EXIT_WRONG_INPUT = 2
EXIT_WORKERS_FAILED = 3
EXIT_INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: defaults to those of the process.

    Returns:
        The exit code: 0; 1 if images were skipped, an exported file differs too much
        from its Keras generator, a data set cannot be trained on, a planned run does
        not fit or a training was stopped; 2 for wrong input; 3 if another
        worker of the training is lost or a Beam job failed; 130 if interrupted.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments in ([], ["-h"], ["--help"]):
        print(overview())
        return 0
    if arguments == ["--version"]:
        print(f"cyclegan_tf {__version__}")
        return 0
    _set_up_logs()
    keep_interrupts()
    _fix_keras_settings()
    try:
        return _run(*arguments)
    except InputError as e:
        return _fail(str(e), EXIT_WRONG_INPUT)
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_STOPPED
    except OSError as e:
        return _fail(
            f"A file cannot be read or written ({e}); check the free space and the "
            "permissions of its folder.",
            EXIT_WRONG_INPUT,
        )
    except TrainingStoppedError as e:
        return _fail(f"The training was stopped. {e}", EXIT_STOPPED)
    except (WorkerLostError, JobFailedError) as e:
        return _fail(str(e), EXIT_WORKERS_FAILED)
    except KeyboardInterrupt as e:
        return _fail(str(e) or "interrupted", EXIT_INTERRUPTED)


def overview() -> str:
    """Return the help of `cyclegan`: all commands in groups, a line each."""
    lines = [
        "CycleGAN for TensorFlow and Keras 3: unpaired image-to-image translation.",
        "",
        "usage: cyclegan COMMAND [OPTIONS]",
    ]
    for group, commands in itertools.groupby(COMMANDS, lambda command: command.group):
        lines += ["", f"{group}:"]
        for command in commands:
            summary = (inspect.getdoc(command.options) or "").splitlines()[0]
            lines.append(f"  {command.verb:<16}{summary}")
    lines += ["", "Options of a command: cyclegan COMMAND --help"]
    return "\n".join(lines)


def _run(verb: str, *arguments: str) -> int:
    command = _find(verb)
    options = _parse(command, list(arguments))
    result: Any = command.function(options)
    if result is None:
        return 0
    print(printable(as_flags(result.to_text())))
    if path := getattr(options, "json", None):
        result.write(path)
    if not result.exit_code:
        then = command.then(options) if command.then else getattr(result, "then", "")
        if then:  # not to standard output, which may go to a file
            print(f"Next: {then}", file=sys.stderr)
    return result.exit_code


def _find(verb: str) -> Command:
    commands = {command.verb: command for command in COMMANDS}
    if verb in commands:
        return commands[verb]
    advice = did_you_mean(verb, commands, "cyclegan --help lists all.")
    raise InputError(f"There is no command {verb}; {advice}")


def _parse(command: Command, arguments: list[str]) -> Any:
    rest: dict[str, tuple[str, ...]] = {}
    if command.after_dashes and "--" in arguments:
        place = arguments.index("--")
        rest = {command.after_dashes: tuple(arguments[place + 1 :])}
        arguments = arguments[:place]
    arguments = _source_first(command, arguments)
    default = command.default(arguments) if command.default else None
    prog = f"cyclegan {command.verb}"
    options = parse(command.options, command.first, arguments, prog, default)
    return dataclasses.replace(options, **rest)


def _source_first(command: Command, arguments: list[str]) -> list[str]:
    """Move the name after `--pretrained` to where a command takes its source."""
    flag = "--pretrained"
    has_source = any(f.name == "source" for f in dataclasses.fields(command.options))
    if not has_source:
        return arguments
    arguments = [
        word
        for argument in arguments
        for word in (
            argument.split("=", 1) if argument.startswith(f"{flag}=") else [argument]
        )
    ]
    if flag not in arguments:
        return arguments
    place = arguments.index(flag)
    name = arguments[place + 1 : place + 2]
    if not name:
        raise InputError(f"{flag} takes the name of a model; see cyclegan models.")
    return [PREFIX + name[0], *arguments[:place], *arguments[place + 2 :]]


def _fail(message: str, code: int) -> int:
    print(f"cyclegan: {as_flags(message)}", file=sys.stderr)
    return code


class _FlagsFormatter(logging.Formatter):
    """Speaks of flags where the library speaks of arguments."""

    def format(self, record: logging.LogRecord) -> str:
        return as_flags(super().format(record))


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Writes above the line of a running training, which takes the place of stderr."""

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, stream: TextIO) -> None: ...


def _set_up_logs() -> None:
    handler = _StderrHandler()
    handler.setFormatter(_FlagsFormatter("%(message)s"))
    # Of other libraries only warnings: what they do is not what the user asked for.
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("cyclegan_tf").setLevel(logging.INFO)
    quiet_tensorflow()


def _fix_keras_settings() -> None:
    """Run Keras on TensorFlow with its usual settings, whatever the user's own are."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    home = os.environ.get("KERAS_HOME", pathlib.Path.home() / ".keras")
    try:
        settings = parse_json(pathlib.Path(home, "keras.json").read_text())
    except (OSError, ValueError):  # Keras ignores it, too
        return
    usual = {"floatx": "float32", "image_data_format": "channels_last"}
    if any(settings.get(name, value) != value for name, value in usual.items()):
        import keras  # takes seconds, so only if needed

        keras.config.set_floatx(usual["floatx"])
        keras.config.set_image_data_format(usual["image_data_format"])
