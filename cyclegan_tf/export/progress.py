"""How far an export is: a bar in a terminal; elsewhere one line a step, in the log."""

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator

import rich.console
import rich.progress
import rich.table

_LOG = logging.getLogger(__name__)

Tell = Callable[[str], None]


@contextlib.contextmanager
def progress(steps: int) -> Iterator[Tell]:
    """Show the progress of an export within this block, on standard error.

    Args:
        steps: int. How many there will be.

    Yields:
        A function to call when a step begins, with what is done in it.
    """
    shown = sys.stderr.isatty()
    bar = rich.progress.Progress(
        rich.progress.BarColumn(20),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TimeElapsedColumn(),
        rich.progress.TextColumn(
            "{task.description}",
            markup=False,
            table_column=rich.table.Column(no_wrap=True, ratio=1),
        ),
        # The terminal is a pipe while other libraries' noise is filtered out.
        console=rich.console.Console(stderr=True, force_terminal=shown),
        expand=True,
        transient=True,
        disable=not shown,
    )
    with bar:
        task = bar.add_task("", total=steps)
        begun = 0

        def tell(doing: str) -> None:
            nonlocal begun
            bar.update(task, description=doing, completed=begun, refresh=True)
            begun += 1
            if not shown:
                _LOG.info("%d/%d %s", begun, steps, doing)

        yield tell
