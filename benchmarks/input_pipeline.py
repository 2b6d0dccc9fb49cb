"""How fast images come, and how long a training step waits for them.

    python benchmarks/input_pipeline.py

On 400 real photographs of each domain from ../shared (or CYCLEGAN_TF_SHARED), or, where
that is absent, on as many that are made up. Images per second of one core; then the
part of a training at 128x128 in bfloat16, on all cores, in which `next(batches)` is
waited for.
"""

import functools
import os
import pathlib
import shutil
import tempfile

import measuring
import numpy as np
import PIL.Image
from measuring import Contestant, ratios, spread

ROUNDS = 5
IMAGES = 400  # of each domain
STEPS = 5
SHARED = pathlib.Path(
    os.environ.get("CYCLEGAN_TF_SHARED", measuring.HERE.parents[1] / "shared")
)


def fill(folder):
    """Put images into trainA and trainB; return what they are."""
    real = SHARED / "data/horse2zebra"
    random = np.random.default_rng(0)
    for split in ("trainA", "trainB"):
        (folder / split).mkdir()
        found = sorted((real / split).glob("*.jpg"))[:IMAGES]
        for file in found:
            shutil.copy(file, folder / split)
        for i in range(IMAGES if not found else 0):
            spots = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            image = PIL.Image.fromarray(spots).resize((256, 256))
            image.save(folder / split / f"{i}.jpg", quality=90)
    return "real photographs" if real.is_dir() else "made-up images"


def measure_loading(folder):
    """Return the rows of images per second."""
    with (
        Contestant("loading:ours", folder=str(folder)) as ours,
        Contestant("loading:pytorch", folder=str(folder)) as pytorch,
    ):

        def rate(contestant, what):
            run = contestant.run(what)
            return run["result"] / run["seconds"]

        rows = []
        for title, our_way, their_way in (
            ("decode", "decode", "decode"),
            ("decode, resize", "resize", "resize"),
            ("decode, resize, crop, flip", "all", "all"),
            ("the same, ours from its cache", "cached", "all"),
        ):
            rates = measuring.in_turns(
                ROUNDS,
                {
                    "ours": functools.partial(rate, ours, our_way),
                    "pytorch": functools.partial(rate, pytorch, their_way),
                },
            )
            rows.append(
                [
                    title,
                    spread(rates["ours"], digits=0),
                    spread(rates["pytorch"], digits=0),
                    spread(ratios(rates["ours"], rates["pytorch"])),
                ]
            )
    return rows


def measure_waiting(folder):
    """Return the part of a training, in percent, that is spent waiting for images."""
    options = {"folder": str(folder), "size": 128, "precision": "mixed_bfloat16"}
    with Contestant("ours:training_on_files", **options) as contestant:
        contestant.run(2)
        runs = [contestant.run(STEPS)["result"] for _ in range(3)]
    return [100 * run["waiting"] / sum(run.values()) for run in runs]


def main():
    """Measure, and append the result."""
    machine = measuring.machine()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        what = fill(folder)
        rows = measure_loading(folder / "trainA")
        waiting = measure_waiting(folder)
    measuring.append(
        "Input pipeline",
        machine,
        f"On {what}. Images per second of one core, medians and ranges of {ROUNDS} "
        f"rounds over {IMAGES} images; a ratio above 1 means that ours is faster. A "
        "training at 128x128 in bfloat16, on all cores, waits for images "
        f"{spread(waiting, ' %')} of the time (three times {STEPS} steps).",
        [("what", "ours", "Pillow and PyTorch", "ours / theirs"), *rows],
    )


if __name__ == "__main__":
    main()
