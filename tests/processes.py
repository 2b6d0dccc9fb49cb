"""The command line in processes of its own that need not import TensorFlow.

They are forked from one that has imported everything and computed nothing.
"""

import multiprocessing
import os
import signal
import sys

from cyclegan_tf.cli import main as cli

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["cyclegan_tf.training.train"])


class Program:
    """A process that `os.kill` can end.

    Args:
        log: a new file for all that it says.
        arguments: of the command line.
        cwd: its working folder. Defaults to that of this process.
        environment: variables to add. Defaults to none.
        prepare: called before the command line. Defaults to nothing.
    """

    def __init__(self, log, *arguments, cwd=".", environment=None, prepare=None):
        self.log = log
        arguments = [*map(str, arguments)]
        self.process = _FORKS.Process(
            target=_run, args=(log, arguments, cwd, environment or {}, prepare)
        )
        self.process.start()

    @property
    def is_running(self):
        return self.process.is_alive()

    def send(self, number):
        os.kill(self.process.pid, number)

    def end(self, seconds=300):
        """Wait; return the exit code, negative for a signal, and what it said."""
        self.process.join(seconds)
        assert not self.is_running, f"it takes longer than {seconds} seconds"
        return self.process.exitcode, self.log.read_text()


def two_processors():
    """Let TensorFlow have two logical devices, for replicas."""
    import tensorflow as tf

    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * 2,
    )


def _run(log, arguments, cwd, environment, prepare):
    with log.open("xb") as file:
        for output in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), output.fileno())
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(cwd)
    os.environ |= environment
    if prepare:
        prepare()
    sys.exit(cli.main(arguments))
