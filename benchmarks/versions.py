"""A training step of this version against one of an earlier version.

    git worktree add /tmp/earlier REVISION
    python benchmarks/versions.py /tmp/earlier [SIZE ...]

The default networks and options. Both train in turns.
"""

import contextlib
import functools
import itertools
import pathlib
import sys

import measuring
import numpy as np
from measuring import Contestant, ratios, spread

SIZES = (64, 128, 256)
BATCH_SIZES = (1, 4)
# Two processes that train on 4 images of this size need more than 24 GB.
LARGEST_BATCH = 4 * 128**2


class Earlier(Contestant):
    """A contestant of the other checkout."""

    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".") / "benchmarks"


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
    """Return the seconds of a step of both, round by round."""
    steps = max(1, 64 // options["size"] * 4 // options["batch_size"])
    with contextlib.ExitStack() as stack:
        both = {
            "earlier": stack.enter_context(Earlier("versions:training", **options)),
            "now": stack.enter_context(Contestant("versions:training", **options)),
        }
        for contestant in both.values():
            contestant.run()  # traces
        rounds = 3 if options["size"] >= 256 else 5
        return measuring.in_turns(
            rounds,
            {name: functools.partial(repeat, one, steps) for name, one in both.items()},
        )


def main():
    """Measure, and append the result."""
    machine = measuring.machine()
    rows = [("size", "batch", "precision", "earlier", "now", "now / earlier")]
    sizes = [int(size) for size in sys.argv[2:]] or SIZES
    cases = itertools.product(sizes, BATCH_SIZES, measuring.PRECISIONS)
    for size, batch_size, precision in cases:
        if size**2 * batch_size > LARGEST_BATCH:
            continue
        seconds = race(
            size=size,
            precision=measuring.PRECISIONS[precision],
            batch_size=batch_size,
        )
        rows.append(
            (
                str(size),
                str(batch_size),
                precision,
                spread(seconds["earlier"], " s", 3),
                spread(seconds["now"], " s", 3),
                spread(ratios(seconds["now"], seconds["earlier"])),
            )
        )
        print(*rows[-1], flush=True)
    measuring.append(
        "A training step, now and earlier",
        machine,
        "The default networks and options, in turns.",
        rows,
    )


if __name__ == "__main__":
    main()
