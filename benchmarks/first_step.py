"""From the start of the process to the end of the first training step, and its memory.

    python benchmarks/first_step.py [64 128 256 ...]

The default networks and options, one image of each domain; each run is a new process.
"""

import functools
import statistics
import sys

import measuring
from measuring import Contestant, ratios, spread

ROUNDS = {64: 2, 128: 3}
CONTESTANTS = {
    "ours, float32": ("ours:training", "float32"),
    "ours, bfloat16": ("ours:training", "mixed_bfloat16"),
    "PyTorch, float32": ("pytorch_peer:training", "float32"),
    "tutorial, float32": ("tutorial_structure:training", "float32"),
}


def begin(name, precision, size):
    """Run one process up to its second step; return its seconds and its memory."""
    with Contestant(name, size=size, precision=precision) as contestant:
        first = contestant.run()
        stages = {
            "import": contestant.import_seconds,
            "build": contestant.build_seconds,
            "step": first["seconds"],
        }
        return stages | {"all": sum(stages.values()), "bytes": first["peak_bytes"]}


def measure(size):
    """Return the rows of one size."""
    runs = measuring.in_turns(
        ROUNDS.get(size, 1),
        {
            title: functools.partial(begin, *contestant, size)
            for title, contestant in CONTESTANTS.items()
        },
    )
    everything = {title: [run["all"] for run in found] for title, found in runs.items()}
    rows = []
    for title, found in runs.items():
        medians = [
            f"{statistics.median(run[stage] for run in found):.1f} s"
            for stage in ("import", "build", "step")
        ]
        rows.append(
            [
                str(size),
                title,
                *medians,
                spread(everything[title], " s", 1),
                spread(ratios(everything[title], everything["ours, float32"])),
                f"{statistics.median(run['bytes'] for run in found) / 1e9:.2f} GB",
            ]
        )
        print(*rows[-1], flush=True)
    return rows


def main():
    """Measure, and append the result."""
    machine = measuring.machine()
    # So that no run reads the libraries from the disk for the first time.
    measuring.run_python("-c", "import cyclegan_tf.training.train, torch")
    sizes = [int(size) for size in sys.argv[1:]] or [64, 128, 256]
    rows = [row for size in sizes for row in measure(size)]
    counts = ", ".join(f"{ROUNDS.get(size, 1)} at {size}" for size in sizes)
    measuring.append(
        "From the start to the first step",
        machine,
        "ResNet-9 and PatchGAN of 64 filters, batch 1, a new process each time. "
        f"Rounds: {counts}; medians, and ranges where there are several.",
        [
            (
                "size",
                "what",
                "import",
                "build",
                "first step",
                "in all",
                "to ours, float32",
                "peak memory",
            ),
            *rows,
        ],
    )


if __name__ == "__main__":
    main()
