"""The exceptions that stand for a mistake of the user, not of the program."""


class InputError(ValueError):
    """What was wrong, what was received and what to do, in one sentence.

    The command line prints it without a traceback and exits with code 2.
    """


class TrainingStoppedError(RuntimeError):
    """The watchdog stopped a training, and why."""


class WorkerLostError(RuntimeError):
    """Another process of a training over several is gone, and what to do."""


class JobFailedError(RuntimeError):
    """A job of Apache Beam ended before all was done, and what to do."""


class RefusedFileError(InputError):
    """An exported file would not run, or not compute the translation."""
