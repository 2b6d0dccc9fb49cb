"""The command line: parse one dataclass of `commands.py`, call it."""

import argparse
import dataclasses
import logging
import os
import pathlib
import re
import sys
from collections.abc import Callable
from typing import Annotated

import tyro

from cyclegan_tf._shared.errors import (
    InputError,
    JobFailedError,
    TrainingStoppedError,
    WorkerLostError,
)
from cyclegan_tf._version import __version__
from cyclegan_tf.cli import commands
from cyclegan_tf.config.presets import PRESETS
from cyclegan_tf.config.recipes import RECIPES, make_train_config

EXIT_STOPPED = 1
EXIT_WRONG_INPUT = 2
EXIT_WORKERS_FAILED = 3
EXIT_INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: defaults to those of the process.

    Returns:
        The exit code: 0; 1 if images were skipped, an exported file is too far from
        its Keras generator, a data set cannot be trained on, a planned run does not
        fit or the watchdog stopped a training; 2 for wrong input; 3 if another worker
        of the training is lost, or a job of Beam failed; 130 if interrupted, with a
        checkpoint saved.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    _show_logs()
    for library in ("absl", "tensorflow", "tf2onnx", "httpx", "apache_beam"):
        logging.getLogger(library).setLevel(logging.WARNING)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        return _parse(arguments)()
    except InputError as e:
        print(f"cyclegan: {as_flags(str(e))}", file=sys.stderr)
        return EXIT_WRONG_INPUT
    except OSError as e:
        print(
            f"cyclegan: A file cannot be read or written ({e}); check the room and the "
            "permissions of its folder.",
            file=sys.stderr,
        )
        return EXIT_WRONG_INPUT
    except TrainingStoppedError as e:
        reason = as_flags(str(e))
        print(f"cyclegan: The watchdog stopped the training. {reason}", file=sys.stderr)
        return EXIT_STOPPED
    except (WorkerLostError, JobFailedError) as e:
        print(f"cyclegan: {as_flags(str(e))}", file=sys.stderr)
        return EXIT_WORKERS_FAILED
    except KeyboardInterrupt:
        print("cyclegan: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED


def as_flags(message: str) -> str:
    """Turn the arguments that a message names in backticks into flags.

    `crop_size` becomes --crop-size, `batch_size=4` --batch-size 4, `overwrite=True`
    --overwrite and `flip=False` --no-flip.
    """

    def flag(match: re.Match[str]) -> str:
        name, value = match[1].replace("_", "-"), match[2]
        if value == "False":
            return f"--no-{name}"
        return f"--{name}" if value in (None, "True") else f"--{name} {value}"

    return re.sub(r"`([a-z][a-z0-9_]*)(?:=([^`]*))?`", flag, message)


class _FlagsFormatter(logging.Formatter):
    """Speaks of flags where the library speaks of arguments."""

    def format(self, record: logging.LogRecord) -> str:
        return as_flags(super().format(record))


def _show_logs() -> None:
    logging.basicConfig(level=logging.INFO)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(_FlagsFormatter("%(message)s"))


def _parse(arguments: list[str]) -> Callable[[], int]:
    if arguments == ["--version"]:
        print(f"cyclegan_tf {__version__}")
        raise SystemExit
    train = _train_defaults(arguments)
    # The defaults of a new run, which has the same options.
    names = [field.name for field in dataclasses.fields(commands.NewRun)]
    plan = commands.Plan(**{name: getattr(train, name) for name in names})
    command = (
        Annotated[commands.Train, tyro.conf.subcommand("train", default=train)]
        | Annotated[commands.Plan, tyro.conf.subcommand("plan", default=plan)]
        | Annotated[commands.Recipes, tyro.conf.subcommand("recipes")]
        | Annotated[commands.Doctor, tyro.conf.subcommand("doctor")]
        | Annotated[commands.Translate, tyro.conf.subcommand("translate")]
        | Annotated[commands.TranslateBeam, tyro.conf.subcommand("translate-beam")]
        | Annotated[commands.Evaluate, tyro.conf.subcommand("evaluate")]
        | Annotated[commands.Export, tyro.conf.subcommand("export")]
        | Annotated[commands.Report, tyro.conf.subcommand("report")]
        | Annotated[commands.Serve, tyro.conf.subcommand("serve")]
        | Annotated[commands.Import, tyro.conf.subcommand("import")]
        | Annotated[commands.ExportPytorch, tyro.conf.subcommand("export-pytorch")]
        | Annotated[commands.Inspect, tyro.conf.subcommand("inspect")]
        | Annotated[commands.Demo, tyro.conf.subcommand("demo")]
    )
    arguments, of_beam = _split_at_dashes(arguments)
    parsed = tyro.cli(
        command,
        args=arguments,
        prog="cyclegan",
        description="CycleGAN for TensorFlow and Keras 3: unpaired image translation.",
        config=(tyro.conf.OmitArgPrefixes,),
    )
    if isinstance(parsed, commands.TranslateBeam):
        return dataclasses.replace(parsed, pipeline_options=of_beam)
    return parsed


def _split_at_dashes(arguments: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """Split off the options of Beam, which stand after a lone `--`."""
    if arguments[:1] != ["translate-beam"] or "--" not in arguments:
        return arguments, ()
    place = arguments.index("--")
    return arguments[:place], tuple(arguments[place + 1 :])


def _train_defaults(arguments: list[str]) -> commands.Train:
    """Return what the flags of train and plan default to.

    That is what a run to go on with has stored, or else what a recipe and a preset
    decide.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--resume", nargs="?", type=pathlib.Path)
    for name in ("--recipe", "--preset", "--explain"):
        parser.add_argument(name, nargs="?")
    given = parser.parse_known_args(arguments[1:])[0]
    recipe = given.recipe if given.recipe in RECIPES else None
    preset = given.preset if given.preset in PRESETS else None
    if given.resume and arguments[0] == "plan":
        raise InputError(
            f"cyclegan plan looks ahead at new runs only; leave out --resume "
            f"{given.resume} and name the options of that run."
        )
    if given.resume is None:
        # Where images are not needed or not yet named, no recipe decides on them.
        named = recipe and RECIPES[recipe].data
        data = named or ("" if given.explain else tyro.MISSING)
        config = make_train_config(recipe, preset, data)
    elif recipe or preset:
        raise InputError(
            f"--resume {given.resume} goes on with the options of that run; leave out "
            f"--recipe and --preset, or start a new run."
        )
    else:
        from cyclegan_tf.runs.run import Run

        config = Run(given.resume).config
    names = [field.name for field in dataclasses.fields(config)]
    return commands.Train(
        **{name: getattr(config, name) for name in names}, resume=given.resume
    )
