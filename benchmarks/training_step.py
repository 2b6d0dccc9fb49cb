"""A training step: against PyTorch, the tutorial's structure, and the machine's limit.

    python benchmarks/training_step.py [128 256 ...]
    python benchmarks/training_step.py options

The default networks and options, one image of each domain, on the GPU if there is one.
Without sizes, 128 and 256. "options" compares XLA and `steps_per_execution` with the
defaults instead.
"""

import contextlib
import functools
import statistics
import sys

import measuring
from measuring import Contestant, ratios, spread

REPEATS = {"product": 3, "convolution": 30}  # of what gives the limits, in each round
OPTIONS = {
    "default": {},
    "steps_per_execution=4": {"steps_per_execution": 4},
    "jit_compile=True": {"jit_compile": True},
}
OPTION_ROUNDS = 5


def rounds(size):
    """Say how often: large steps take many seconds on a processor, and vary less."""
    return 3 if size >= 256 else 5


def repeat(run, times):
    """Return what several runs in a row have answered."""
    return [run() for _ in range(times)]


def race(size, precision):
    """Let all train in turns, with matrix products and convolutions in between.

    Args:
        size: pixels a side.
        precision: a key of `measuring.PRECISIONS`.

    Returns:
        What each has answered, round by round. Ours in float32 is raced by ours in
        bfloat16, too.
    """
    with contextlib.ExitStack() as stack:

        def enter(name, **options):
            contestant = stack.enter_context(Contestant(name, **options))
            contestant.run()  # the first step is measured by first_step.py
            return contestant.run

        step = {"size": size, "precision": measuring.PRECISIONS[precision]}
        limits = {
            "product": enter("roofline:matrix_product", precision=step["precision"]),
            "convolution": enter("roofline:convolution", **step),
        }
        contestants = {
            "ours": enter("ours:training", **step),
            "PyTorch": enter("pytorch_peer:training", **step),
            "tutorial": enter("tutorial_structure:training", **step),
            **{
                name: functools.partial(repeat, run, REPEATS[name])
                for name, run in limits.items()
            },
        }
        if precision == "float32":
            half = step | {"precision": measuring.PRECISIONS["bfloat16"]}
            contestants["ours in bfloat16"] = enter("ours:training", **half)
        return measuring.in_turns(rounds(size), contestants)


def speed_row(answers, rates, flop):
    """Return the cells of our step and of what it is compared to."""
    seconds = {
        name: [answer["seconds"] for answer in found] for name, found in answers.items()
    }
    ours = seconds["ours"]
    return [
        spread(ours, " s", 3),
        *(
            spread(ratios(seconds[other], ours)) if other in seconds else ""
            for other in ("PyTorch", "tutorial", "ours in bfloat16")
        ),
        *(
            spread([flop / step / max(rates[name]) for step in ours])
            for name in REPEATS
        ),
    ]


def machine_row(answers, rates):
    """Return the cells of the machine's speed and of the memory that was needed."""
    return [
        *(
            f"{figure(rates[name]) / 1e9:.0f} GFLOP/s"
            for name in REPEATS
            for figure in (max, statistics.median)
        ),
        *(
            f"{answers[name][-1]['peak_bytes'] / 1e9:.2f} GB"
            for name in ("ours", "PyTorch", "tutorial")
        ),
    ]


def measure_steps(sizes):
    """Measure all sizes in both precisions, and append the result."""
    machine = measuring.machine()
    with Contestant("roofline:counter") as counter:
        flop = {size: counter.run(size)["result"] for size in sizes}
    speed = [
        (
            "size",
            "precision",
            "ours",
            "PyTorch / ours",
            "tutorial / ours",
            "ours in bfloat16 / ours",
            "part of the limit",
            "of the convolution's",
        )
    ]
    limits = [
        (
            "size",
            "precision",
            "best product",
            "median product",
            "best convolution",
            "median convolution",
            "peak memory, ours",
            "PyTorch",
            "tutorial",
        )
    ]
    for size in sizes:
        for precision in measuring.PRECISIONS:
            answers = race(size, precision)
            rates = {
                name: [answer["result"] for turn in answers[name] for answer in turn]
                for name in REPEATS
            }
            trained = {k: v for k, v in answers.items() if k not in REPEATS}
            speed.append([str(size), precision, *speed_row(trained, rates, flop[size])])
            limits.append([str(size), precision, *machine_row(trained, rates)])
            print(*speed[-1], *limits[-1], flush=True)
    counts = " and ".join(
        f"{rounds(size)} rounds of {flop[size] / 1e12:.2f} TFLOP at {size}"
        for size in sizes
    )
    measuring.append(
        "Training step",
        machine,
        f"ResNet-9 and PatchGAN of 64 filters, batch 1: {counts}, medians and ranges. "
        "PyTorch and the tutorial train in the precision of the row; a ratio above 1 "
        "means that ours is faster. The limit is the best product of large square "
        "matrices in that precision, made between the steps; the convolution's is the "
        "best of a residual block's convolution and its two gradients in TensorFlow.",
        speed,
        limits,
    )


def measure_options(size=32):
    """Measure the options of `compile`, and append the result."""
    machine = measuring.machine()
    rows = [
        (
            "precision",
            "option",
            "step",
            "to the default's",
            "first call",
            "to the default's",
        )
    ]
    for precision, policy in measuring.PRECISIONS.items():
        step = {"size": size, "precision": policy}
        with contextlib.ExitStack() as stack:
            contestants = {
                name: stack.enter_context(
                    Contestant("ours:training", **step, **options)
                )
                for name, options in OPTIONS.items()
            }
            first = {name: one.seconds() for name, one in contestants.items()}
            work = {name: one.seconds for name, one in contestants.items()}
            calls = measuring.in_turns(OPTION_ROUNDS, work)
        for name, options in OPTIONS.items():
            steps = options.get("steps_per_execution", 1)
            seconds = [call / steps for call in calls[name]]
            rows.append(
                [
                    precision,
                    name,
                    spread(seconds, " s", 3),
                    spread(ratios(seconds, calls["default"][: len(seconds)])),
                    f"{first[name]:.1f} s",
                    f"{first[name] / first['default']:.2f}",
                ]
            )
    measuring.append(
        f"Options of the training step at {size}",
        machine,
        f"ResNet-9 and PatchGAN of 64 filters, batch 1: {OPTION_ROUNDS} rounds, "
        "medians and ranges, and one first call each, which traces and compiles; a "
        "ratio above 1 means that the default is faster. With steps_per_execution=4 a "
        "call, also the first, is four steps.",
        rows,
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["options"]:
        measure_options()
    else:
        measure_steps([int(size) for size in sys.argv[1:]] or [128, 256])
