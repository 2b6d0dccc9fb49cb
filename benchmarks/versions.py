"""A training step of this version against one of an earlier version.

    python benchmarks/versions.py REVISION [SIZE ...]

The default networks and options. Both train in turns.
"""

import contextlib
import functools
import itertools
import pathlib
import subprocess
import sys
import tempfile

import measuring
import numpy as np
from measuring import Contestant, ratios, spread

SIZES = (64, 128, 256)
BATCH_SIZES = (1, 4)
FIRST_STEPS = 3  # in new processes


class Earlier(Contestant):
    """A contestant of the earlier version; `main` sets its folder."""


@contextlib.contextmanager
def checkout(revision):
    """Yield a folder with an earlier version."""
    with tempfile.TemporaryDirectory() as folder:
        root = measuring.HERE.parent
        subprocess.run(["git", "clone", "--quiet", root, folder], check=True)
        subprocess.run(
            ["git", "-C", folder, "checkout", "--quiet", revision], check=True
        )
        yield pathlib.Path(folder)


def training(size, precision, batch_size):
    """Prepare the training step of whichever version runs this."""
    import ours

    images = measuring.random_images(size)
    batch = tuple(np.repeat(image, batch_size, axis=0) for image in images)
    ours.random_images = lambda *_: batch
    return ours.training(size, precision)


def repeat(contestant, steps):
    """Return the mean seconds of steps in a row."""
    return sum(contestant.seconds() for _ in range(steps)) / steps


def race(**options):
    """Return the seconds of a step of both, round by round, and their peak memory."""
    steps = max(1, 64 // options["size"] * 4 // options["batch_size"])
    with contextlib.ExitStack() as stack:
        both = {
            "earlier": stack.enter_context(Earlier("versions:training", **options)),
            "now": stack.enter_context(Contestant("versions:training", **options)),
        }
        for contestant in both.values():
            contestant.run()  # traces
        rounds = 3 if options["size"] >= 256 else 5
        seconds = measuring.in_turns(
            rounds,
            {name: functools.partial(repeat, one, steps) for name, one in both.items()},
        )
        peaks = {name: one.run()["peak_bytes"] for name, one in both.items()}
    return seconds, peaks


def begin(contestant, **options):
    """Return the seconds from the start of a process to the end of its first step."""
    with contestant("versions:training", **options) as one:
        return one.import_seconds + one.build_seconds + one.seconds()


def first_steps(**options):
    """Return those of both versions, in turns."""
    both = {"earlier": Earlier, "now": Contestant}
    return measuring.in_turns(
        FIRST_STEPS,
        {name: functools.partial(begin, one, **options) for name, one in both.items()},
    )


def main():
    """Measure, and append the result."""
    machine = measuring.machine()
    revision, *sizes = sys.argv[1:]
    headings = ("size", "batch", "precision", "earlier", "now", "now / earlier")
    more = ("peak memory, earlier", "now", "first step, now / earlier")
    rows = [(*headings, *more)]
    cases = itertools.product(
        map(int, sizes or SIZES), BATCH_SIZES, measuring.PRECISIONS
    )
    with checkout(revision) as folder:
        Earlier.folder = folder / "benchmarks"
        for size, batch_size, precision in cases:
            options = {
                "size": size,
                "precision": measuring.PRECISIONS[precision],
                "batch_size": batch_size,
            }
            seconds, peaks = race(**options)
            first = first_steps(**options)
            rows.append(
                (
                    str(size),
                    str(batch_size),
                    precision,
                    spread(seconds["earlier"], " s", 3),
                    spread(seconds["now"], " s", 3),
                    spread(ratios(seconds["now"], seconds["earlier"])),
                    f"{peaks['earlier'] / 1e9:.2f} GB",
                    f"{peaks['now'] / 1e9:.2f} GB",
                    spread(ratios(first["now"], first["earlier"])),
                )
            )
            print(*rows[-1], flush=True)
    measuring.append(
        "A training step, now and earlier",
        machine,
        "The default networks and options, in turns. The first step is measured from "
        "the start of a new process.",
        rows,
    )


if __name__ == "__main__":
    main()
