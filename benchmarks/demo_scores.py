"""What the demo's training comes to in float32 and in bfloat16.

    python benchmarks/demo_scores.py [SEED ...]

Each training, with other start weights and another order of the images for each seed,
runs in a process of its own. Without seeds, 0, 1 and 2.
"""

import dataclasses
import json
import pathlib
import sys
import tempfile
import time

import measuring
from measuring import ratios, spread

# For each direction the error of the translations over that of doing nothing.
DIRECTIONS = {"g": "plain to striped", "f": "striped to plain"}


def train(precision, seed):
    """Run the demo in this process; print what it comes to."""
    from cyclegan_tf.cli.demo import DEMO, run_demo

    options = dataclasses.replace(
        DEMO.optimization, precision=precision, seed=int(seed)
    )
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        evaluation = run_demo(
            pathlib.Path(folder, "run"),
            dataclasses.replace(DEMO, optimization=options),
        )
    outcome = shares(evaluation)
    print(json.dumps({**outcome, "seconds": time.perf_counter() - start}))


def shares(evaluation):
    """Return the error of each direction over that of doing nothing."""
    scores = {name: evaluation.score(name, "mae") for name in DIRECTIONS}
    return {name: s.translated / s.untranslated for name, s in scores.items()}


def main():
    """Measure, and append the result."""
    machine = measuring.machine()
    seeds = sys.argv[1:] or ["0", "1", "2"]
    outcomes = {precision: [] for precision in measuring.PRECISIONS}
    for seed in seeds:
        for precision, policy in measuring.PRECISIONS.items():
            line = measuring.run_python(__file__, "train", policy, seed)
            outcomes[precision].append(json.loads(line))
            print(precision, seed, line, flush=True)
    rows = [
        [
            precision,
            *(
                spread([outcome[direction] for outcome in found], digits=3)
                for direction in DIRECTIONS
            ),
            spread(
                ratios(
                    [outcome["seconds"] for outcome in found],
                    [outcome["seconds"] for outcome in outcomes["float32"]],
                )
            ),
        ]
        for precision, found in outcomes.items()
    ]
    measuring.append(
        "Scores of the demo by precision",
        machine,
        f"The training of `cyclegan demo` from the seeds {', '.join(seeds)}: mean "
        "absolute error of the translated test images over that of doing nothing, "
        "medians and ranges; time of training and evaluation over that in float32 "
        "from the same seed.",
        [("precision", *DIRECTIONS.values(), "time"), *rows],
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["train"]:
        train(*sys.argv[2:])
    else:
        main()
