"""What averaged weights (`--ema`) bring, and what they cost.

    python benchmarks/averages.py [SEED ...]

Averages do not change the training, so one training of the demo gives both scores: of
the averaged generators, and of those that were trained. Without seeds, 0, 1 and 2.
"""

import dataclasses
import json
import pathlib
import sys
import tempfile

import measuring
import methods
from demo_scores import DIRECTIONS, shares
from measuring import spread

DECAY = 0.999
SIZE = 128


def train(seed):
    """Train the demo in this process; print the scores with and without averages."""
    import cyclegan_tf as api
    from cyclegan_tf.cli.demo import DEMO
    from cyclegan_tf.runs.run import Run

    options = dataclasses.replace(DEMO.optimization, ema=DECAY, seed=int(seed))
    with tempfile.TemporaryDirectory() as folder:
        run_dir = pathlib.Path(folder, "run")
        api.train(dataclasses.replace(DEMO, optimization=options), run_dir)
        averaged = api.evaluate(api.EvaluateConfig(run_dir))
        trained = Run(run_dir).checkpoints.load_newest()[1]
        for name in DIRECTIONS:
            file = run_dir / f"generator_{name}.keras"
            trained.generators[name].save(file)
        outcomes = {
            "averaged": averaged,
            "trained": api.evaluate(api.EvaluateConfig(run_dir)),
        }
    print(json.dumps({name: shares(scores) for name, scores in outcomes.items()}))


def main():
    """Measure, and append the result."""
    machine = measuring.machine()
    seeds = sys.argv[1:] or ["0", "1", "2"]
    outcomes = []
    for seed in seeds:
        line = measuring.run_python(__file__, "train", seed)
        outcomes.append(json.loads(line))
        print(seed, line, flush=True)
    step = {"preset": "pytorch-2024", "size": SIZE}
    costs = methods.race({"trained": step, "averaged": {**step, "ema": DECAY}})
    rows = [
        (
            name,
            *(
                spread([outcome[name][direction] for outcome in outcomes], digits=3)
                for direction in DIRECTIONS
            ),
            *cost,
        )
        for name, cost in costs.items()
    ]
    measuring.append(
        "Averaged weights",
        machine,
        f"The training of `cyclegan demo` with --ema {DECAY} from the seeds "
        f"{', '.join(seeds)}: mean absolute error of the translated test images over "
        "that of doing nothing, of the averaged generators and of those that were "
        f"trained; a step at {SIZE} pixels with averages and without, "
        f"{methods.ROUNDS} rounds. Medians and ranges.",
        [
            (
                "weights",
                *DIRECTIONS.values(),
                "step",
                "to that without",
                "peak memory",
                "first step",
            ),
            *rows,
        ],
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["train"]:
        train(*sys.argv[2:])
    else:
        main()
