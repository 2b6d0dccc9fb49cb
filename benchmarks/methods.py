"""Time and memory of a training step of each method, in turns.

    python benchmarks/methods.py [256 ...]

The networks and options of the presets, one image of each domain.
"""

import contextlib
import sys

import measuring
from measuring import Contestant, ratios, spread

PRESETS = ("pytorch-2024", "cut", "fastcut", "pix2pix")
ROUNDS = 5


def race(contestants):
    """Let training steps take turns.

    Args:
        contestants: options of `ours.preset_training` by name. Steps are compared to
            those of the first.

    Returns:
        For each name the cells of a row: its step, that to the first's, its peak memory
        and its first step.
    """
    with contextlib.ExitStack() as stack:
        entered = {
            name: stack.enter_context(
                Contestant("ours:preset_training", precision="float32", **options)
            )
            for name, options in contestants.items()
        }
        first = {name: one.seconds() for name, one in entered.items()}
        answers = measuring.in_turns(
            ROUNDS, {name: one.run for name, one in entered.items()}
        )
    seconds = {
        name: [answer["seconds"] for answer in found] for name, found in answers.items()
    }
    baseline = next(iter(seconds.values()))
    peaks = {
        name: max(answer["peak_bytes"] for answer in found)
        for name, found in answers.items()
    }
    return {
        name: (
            spread(seconds[name], " s"),
            spread(ratios(seconds[name], baseline)),
            f"{peaks[name] / 1e9:.2f} GB",
            f"{first[name]:.0f} s",
        )
        for name in contestants
    }


def main():
    """Measure, and append the result."""
    machine = measuring.machine()
    sizes = [int(size) for size in sys.argv[1:]] or [256]
    rows = [("size", "preset", "step", "to CycleGAN's", "peak memory", "first step")]
    for size in sizes:
        options = {preset: {"preset": preset, "size": size} for preset in PRESETS}
        for preset, cells in race(options).items():
            rows.append((str(size), preset, *cells))
            print(*rows[-1], flush=True)
    measuring.append(
        "Training step of each method",
        machine,
        f"Networks of the presets, batch 1, float32: {ROUNDS} rounds, medians, ranges.",
        rows,
    )


if __name__ == "__main__":
    main()
