"""A training step: against PyTorch, the tutorial's structure, and the machine's limit.

    python benchmarks/training_step.py [128 256 ...]
    python benchmarks/training_step.py options

The default networks and options, one image of each domain, on the GPU if there is one.
Without sizes, 128 and 256. "options" compares XLA and `steps_per_execution` with the
defaults instead.
"""

import contextlib
import statistics
import sys

import measuring
import roofline
from measuring import Contestant, ratios, spread

from cyclegan_tf.assembly import build_model
from cyclegan_tf.config import DatasetConfig, TrainConfig

# A step of 256x256 takes many seconds on a processor, and varies less.
ROUNDS = {256: 3}
MANY_ROUNDS = 7
PRODUCTS = 3
PRECISIONS = {"float32": "mixed_bfloat16", "mixed_bfloat16": "float32"}
OPTIONS = {
    "default": {},
    "jit_compile": {"jit_compile": True},
    "steps_per_execution": {"steps_per_execution": 4},
}


def compare(size, precision, other_precision):
    """Let all train in turns, with matrix products in between; return what they say."""
    with contextlib.ExitStack() as stack:

        def prepare(name, **options):
            contestant = stack.enter_context(Contestant(name, **options))
            contestant.run()  # the first step is for first_step.py
            return contestant.run

        product = prepare("roofline:matrix_product", precision=precision)
        step = {"size": size, "precision": precision}
        return measuring.in_turns(
            ROUNDS.get(size, MANY_ROUNDS),
            {
                "ours": prepare("ours:training", **step),
                "pytorch": prepare("pytorch_peer:training", **step),
                "tutorial": prepare("tutorial_structure:training", **step),
                "other": prepare("ours:training", size=size, precision=other_precision),
                "product": lambda: [product() for _ in range(PRODUCTS)],
            },
        )


def rows_of(size, precision, runs, flop):
    """Return a row of ratios, and one of the machine and of memory."""
    products = [run["result"] for turn in runs.pop("product") for run in turn]
    limit = max(products)
    seconds = {name: [run["seconds"] for run in found] for name, found in runs.items()}
    ours = seconds["ours"]
    title = [str(size), precision.removeprefix("mixed_")]
    comparison = [
        *title,
        spread(ours, " s", 3),
        spread(ratios(seconds["pytorch"], ours)),
        spread(ratios(seconds["tutorial"], ours)),
        spread(ratios(ours, seconds["other"])),
        spread([flop / limit / step for step in ours]),
    ]
    memory = [
        *title,
        f"{limit / 1e9:.0f} GFLOP/s",
        f"{statistics.median(products) / 1e9:.0f} GFLOP/s",
        *(
            f"{runs[name][-1]['peak_bytes'] / 1e9:.2f} GB"
            for name in ("ours", "pytorch", "tutorial")
        ),
    ]
    return comparison, memory


def measure_steps(sizes):
    """Measure all sizes and precisions, and append the result."""
    machine = measuring.machine()
    model = build_model(TrainConfig(DatasetConfig("demo")))
    comparisons, memories = [], []
    for size in sizes:
        for precision, other_precision in PRECISIONS.items():
            runs = compare(size, precision, other_precision)
            flop = roofline.step_flop(model, size)
            comparison, memory = rows_of(size, precision, runs, flop)
            comparisons.append(comparison)
            memories.append(memory)
            print(*comparison, flush=True)
    measuring.append(
        "Training step",
        machine,
        "ResNet-9 and PatchGAN of 64 filters, batch 1. Medians and ranges of "
        f"{MANY_ROUNDS} rounds, at 256 of {ROUNDS[256]}; a ratio above 1 means that "
        "ours is faster. The limit is the best of all products of large square "
        "matrices made between the steps; a step has "
        + ", ".join(
            f"{roofline.step_flop(model, size) / 1e12:.2f} TFLOP at {size}"
            for size in sizes
        )
        + ".",
        [
            ("size", "precision", "ours", "PyTorch / ours", "tutorial / ours")
            + ("ours / ours in the other precision", "part of the limit"),
            *comparisons,
        ],
        [
            ("size", "precision", "best product", "median product")
            + ("peak memory, ours", "PyTorch", "tutorial"),
            *memories,
        ],
    )


def measure_options():
    """Measure the options of `compile`, and append the result."""
    machine, size = measuring.machine(), 128
    rows = []
    for precision in PRECISIONS:
        with contextlib.ExitStack() as stack:
            contestants, first = {}, {}
            for name, options in OPTIONS.items():
                contestants[name] = stack.enter_context(
                    Contestant(
                        "ours:training", size=size, precision=precision, **options
                    )
                )
                steps = options.get("steps_per_execution", 1)
                first[name] = contestants[name].seconds()
            found = measuring.in_turns(
                MANY_ROUNDS, {name: one.seconds for name, one in contestants.items()}
            )
        for name, options in OPTIONS.items():
            steps = options.get("steps_per_execution", 1)
            seconds = [each / steps for each in found[name]]
            rows.append(
                [
                    precision.removeprefix("mixed_"),
                    " ".join(f"{key}={value}" for key, value in options.items())
                    or "default",
                    spread(seconds, " s", 3),
                    spread(ratios(seconds, found["default"])),
                    f"{first[name]:.1f} s",
                    f"{first[name] / first['default']:.2f}",
                ]
            )
    measuring.append(
        f"Options of the training step at {size}",
        machine,
        f"Seconds of a step, medians and ranges of {MANY_ROUNDS} rounds, and of the "
        "first call, which is 4 steps with steps_per_execution=4; a ratio above 1 "
        "means that the default is faster.",
        [
            ("precision", "option", "step", "to the default", "first call")
            + ("to the default",),
            *rows,
        ],
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["options"]:
        measure_options()
    else:
        measure_steps([int(size) for size in sys.argv[1:]] or [128, 256])
