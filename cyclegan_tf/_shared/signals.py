"""Signals that end a process."""

import _thread
import contextlib
import signal
import sys
import threading
from collections.abc import Iterator

# Destructors are done by then.
_SECONDS = 0.1


def keep_interrupts() -> None:
    """Make Ctrl-C end the program even while Python destroys an object.

    Otherwise Python prints a `KeyboardInterrupt` of a destructor and continues.
    """
    sys.unraisablehook = _repeat_or_show


def _repeat_or_show(unraisable: "sys.UnraisableHookArgs") -> None:
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        threading.Timer(_SECONDS, _interrupt).start()
    else:
        sys.__unraisablehook__(unraisable)


def _interrupt() -> None:
    if sys.platform == "win32":
        _thread.interrupt_main()
    else:  # this also wakes it up
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


@contextlib.contextmanager
def interrupted_by_sigterm() -> Iterator[None]:
    """Raise `KeyboardInterrupt` on SIGTERM, as on Ctrl-C, so that all is cleared up.

    Only the main thread can; in another this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
