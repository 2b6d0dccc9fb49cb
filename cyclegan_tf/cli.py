"""The command line: parse one dataclass of `commands.py`, call it."""

import argparse
import dataclasses
import logging
import os
import pathlib
import sys
from collections.abc import Callable
from typing import Annotated

import tyro

from cyclegan_tf import commands
from cyclegan_tf._version import __version__
from cyclegan_tf.errors import InputError, TrainingStoppedError

EXIT_STOPPED = 1
EXIT_WRONG_INPUT = 2
EXIT_INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: defaults to those of the process.

    Returns:
        The exit code: 0; 1 if images were skipped, an exported file is too far from
        its Keras generator or the watchdog stopped a training; 2 for wrong input; 130
        if interrupted, with a checkpoint saved.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    for library in ("absl", "tensorflow", "tf2onnx", "httpx"):
        logging.getLogger(library).setLevel(logging.WARNING)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        return _parse(arguments)()
    except InputError as e:
        print(f"cyclegan: {e}", file=sys.stderr)
        return EXIT_WRONG_INPUT
    except OSError as e:
        print(
            f"cyclegan: A file cannot be read or written ({e}); check the room and the "
            "permissions of its folder.",
            file=sys.stderr,
        )
        return EXIT_WRONG_INPUT
    except TrainingStoppedError as e:
        print(f"cyclegan: The watchdog stopped the training. {e}", file=sys.stderr)
        return EXIT_STOPPED
    except KeyboardInterrupt:
        print("cyclegan: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED


def _parse(arguments: list[str]) -> Callable[[], int]:
    if arguments == ["--version"]:
        print(f"cyclegan_tf {__version__}")
        raise SystemExit
    resumed = _resumed(arguments)
    train_command = (
        tyro.conf.subcommand("train", default=resumed)
        if resumed
        else tyro.conf.subcommand("train")
    )
    command = (
        Annotated[commands.Train, train_command]
        | Annotated[commands.Translate, tyro.conf.subcommand("translate")]
        | Annotated[commands.Evaluate, tyro.conf.subcommand("evaluate")]
        | Annotated[commands.Export, tyro.conf.subcommand("export")]
        | Annotated[commands.BenchmarkLiteRT, tyro.conf.subcommand("benchmark-litert")]
        | Annotated[commands.Report, tyro.conf.subcommand("report")]
        | Annotated[commands.Serve, tyro.conf.subcommand("serve")]
        | Annotated[commands.Import, tyro.conf.subcommand("import")]
        | Annotated[commands.ExportPytorch, tyro.conf.subcommand("export-pytorch")]
        | Annotated[commands.Inspect, tyro.conf.subcommand("inspect")]
        | Annotated[commands.Demo, tyro.conf.subcommand("demo")]
    )
    return tyro.cli(
        command,
        args=arguments,
        prog="cyclegan",
        description="CycleGAN for TensorFlow and Keras 3: unpaired image translation.",
        config=(tyro.conf.OmitArgPrefixes,),
    )


def _resumed(arguments: list[str]) -> commands.Train | None:
    """The stored options of a run to go on with are the defaults of its flags."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--resume", type=pathlib.Path)
    run_dir = parser.parse_known_args(arguments[1:])[0].resume
    if run_dir is None:
        return None
    from cyclegan_tf.runs import Run

    stored = Run(run_dir).config
    names = [field.name for field in dataclasses.fields(stored)]
    return commands.Train(
        **{name: getattr(stored, name) for name in names}, resume=run_dir
    )
