"""Time and memory of a training step of each method, in turns.

    python benchmarks/methods.py [256 ...]

The networks and options of the presets, one image of each domain.
"""

import contextlib
import statistics
import sys

import measuring
from measuring import Contestant, ratios, spread

PRESETS = ("pytorch-2024", "cut", "fastcut", "pix2pix")
ROUNDS = 3


def main():
    """Measure, and append the result."""
    machine = measuring.machine()
    sizes = [int(size) for size in sys.argv[1:]] or [256]
    rows = [("size", "preset", "step", "to CycleGAN's", "peak memory", "first step")]
    for size in sizes:
        with contextlib.ExitStack() as stack:
            contestants = {
                preset: stack.enter_context(
                    Contestant(
                        "ours:preset_training",
                        preset=preset,
                        size=size,
                        precision="float32",
                    )
                )
                for preset in PRESETS
            }
            first = {name: one.seconds() for name, one in contestants.items()}
            answers = measuring.in_turns(
                ROUNDS, {name: one.run for name, one in contestants.items()}
            )
        seconds = {
            name: [answer["seconds"] for answer in found]
            for name, found in answers.items()
        }
        for name in PRESETS:
            to_cyclegan = statistics.median(ratios(seconds[name], seconds[PRESETS[0]]))
            peak = max(answer["peak_bytes"] for answer in answers[name])
            row = (
                str(size),
                name,
                spread(seconds[name], " s"),
                f"{to_cyclegan:.2f}",
                f"{peak / 1e9:.2f} GB",
                f"{first[name]:.0f} s",
            )
            rows.append(row)
            print(*row, flush=True)
    measuring.append(
        "Training step of each method",
        machine,
        f"Networks of the presets, batch 1, float32: {ROUNDS} rounds, medians, ranges.",
        rows,
    )


if __name__ == "__main__":
    main()
