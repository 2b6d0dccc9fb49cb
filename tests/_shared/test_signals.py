"""Signals that end a process."""

import subprocess
import sys

SCRIPT = """
import os, signal, time
from cyclegan_tf._shared.signals import keep_interrupts

keep_interrupts()


class Interrupted:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):  # here Python raises it
            pass


def main():
    Interrupted()
    time.sleep(30)


try:
    main()
except KeyboardInterrupt:
    print("interrupted")
"""


def test_an_interrupt_of_a_destructor_is_kept():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=25
    )
    assert (done.stdout, done.stderr) == ("interrupted\n", "")
