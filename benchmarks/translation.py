"""Translation by image size, and how long it takes to begin.

    python benchmarks/translation.py [128 256 512 ...]

`Translator` with the default generator, in float32, against the same in PyTorch; then
the time of an import and of `cyclegan --help`.
"""

import functools
import statistics
import sys
import time

import measuring
from measuring import Contestant, ratios, spread

ROUNDS = 5
STARTS = {
    "python -c pass": ("-c", "pass"),
    "import cyclegan_tf": ("-c", "import cyclegan_tf"),
    "cyclegan --help": ("-m", "cyclegan_tf", "--help"),
    "import tensorflow": ("-c", "import tensorflow"),
}


def measure_translation(sizes):
    """Return the rows of images per second."""
    seconds, theirs, peaks = {}, {}, {}
    for size in sizes:
        with (
            Contestant("ours:translation", size=size) as ours,
            Contestant("pytorch_peer:translation", size=size) as pytorch,
        ):
            ours.run()
            pytorch.run()
            runs = measuring.in_turns(ROUNDS, {"ours": ours.run, "theirs": pytorch.run})
        seconds[size] = [run["seconds"] for run in runs["ours"]]
        theirs[size] = [run["seconds"] for run in runs["theirs"]]
        peaks[size] = runs["ours"][-1]["peak_bytes"]

    def of_a_pixel(size):
        return statistics.median(seconds[size]) / size**2

    return [
        [
            str(size),
            spread([1 / each for each in seconds[size]]),
            spread(ratios(theirs[size], seconds[size])),
            f"{of_a_pixel(size) / of_a_pixel(sizes[0]):.2f}",
            f"{peaks[size] / 1e9:.2f} GB",
        ]
        for size in sizes
    ]


def measure_starts():
    """Return the rows of what a process takes to begin."""

    def start(arguments):
        before = time.perf_counter()
        measuring.run_python(*arguments)
        return time.perf_counter() - before

    seconds = measuring.in_turns(
        ROUNDS,
        {name: functools.partial(start, command) for name, command in STARTS.items()},
    )
    return [
        [
            f"`{name}`",
            spread(found, " s", 3),
            spread(ratios(found, seconds["python -c pass"])),
            spread(ratios(found, seconds["import tensorflow"]), digits=3),
        ]
        for name, found in seconds.items()
    ]


def main():
    """Measure, and append the results."""
    machine = measuring.machine()
    sizes = [int(size) for size in sys.argv[1:]] or [128, 256, 512]
    rows = measure_translation(sizes)
    measuring.append(
        "Translation",
        machine,
        f"ResNet-9 of 64 filters, float32. Medians and ranges of {ROUNDS} rounds; a "
        "ratio above 1 means that ours is faster.",
        [
            (
                "size",
                "images per second",
                "PyTorch / ours",
                f"time per pixel, to {sizes[0]}",
                "peak memory",
            ),
            *rows,
        ],
    )
    measuring.append(
        "Start of a process",
        machine,
        f"New processes in turns, medians and ranges of {ROUNDS} rounds.",
        [
            ("what", "time", "to `python -c pass`", "to `import tensorflow`"),
            *measure_starts(),
        ],
    )


if __name__ == "__main__":
    main()
