"""Peak memory and time of a training step on large images, with `remat` and without.

    python benchmarks/memory.py [512 ...]

The default networks and options, one image of each domain, one process after the other.
"""

import sys

import measuring
from measuring import Contestant

STEPS = 2  # after the first, which traces


def measure(size, precision, remat):
    """Return the least seconds of a step, and the peak of memory in bytes."""
    options = {
        "size": size,
        "precision": measuring.PRECISIONS[precision],
        "remat": remat,
    }
    with Contestant("ours:training", **options) as training:
        training.run()
        steps = [training.run() for _ in range(STEPS)]
    return min(step["seconds"] for step in steps), steps[-1]["peak_bytes"]


def main():
    """Measure, and append the result."""
    machine = measuring.machine()
    sizes = [int(size) for size in sys.argv[1:]] or [512]
    rows = []
    for size in sizes:
        for precision in measuring.PRECISIONS:
            plain, plain_peak = measure(size, precision, remat=False)
            remat, remat_peak = measure(size, precision, remat=True)
            rows.append(
                [
                    str(size),
                    precision,
                    f"{plain_peak / 1e9:.2f} GB",
                    f"{remat_peak / 1e9:.2f} GB",
                    f"{remat_peak / plain_peak:.2f}",
                    f"{plain:.1f} s",
                    f"{remat:.1f} s",
                    f"{remat / plain:.2f}",
                ]
            )
            print(*rows[-1], flush=True)
    measuring.append(
        "Memory of a training step",
        machine,
        "ResNet-9 and PatchGAN of 64 filters, batch 1. Peak memory of the process, and "
        f"the faster of {STEPS} steps after the first.",
        [
            (
                "size",
                "precision",
                "peak",
                "with remat",
                "ratio",
                "step",
                "with remat",
                "ratio",
            ),
            *rows,
        ],
    )


if __name__ == "__main__":
    main()
