"""Exceptions for mistakes of the user and failures outside the program."""


class InputError(ValueError):
    """One sentence: what was wrong, what was received and what to do.

    The command line prints it without a traceback and exits with code 2.

    A message names an argument as Python does, in backticks: `crop_size`,
    `overwrite=True`, `batch_size=4`. The command line turns these into --crop-size,
    --overwrite and --batch-size 4.
    """


class TrainingStoppedError(RuntimeError):
    """A training was stopped because it was failing; the message says why."""


class WorkerLostError(RuntimeError):
    """Another process of a distributed training is gone."""


class JobFailedError(RuntimeError):
    """An Apache Beam job ended before all images were done."""


class RefusedFileError(InputError):
    """An exported file does not run, or computes something else than the generator."""


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's message, or its type's name if empty.

    Messages that repeat the content of a file have no end; they are cut off.
    """
    message = str(error).strip()
    return message.splitlines()[0][:300] if message else type(error).__name__


def check_positive(**arguments: int | None) -> None:
    """Check that numbers are at least 1; `None` stands for a default.

    Raises:
        InputError: if one is not; it is named.
    """
    for name, value in arguments.items():
        if value is not None and value < 1:
            raise InputError(f"`{name}` must be at least 1, not {value}.")
