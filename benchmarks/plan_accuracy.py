"""How near `cyclegan plan` comes to the training that it forecasts.

    python benchmarks/plan_accuracy.py path/to/horse2zebra [64 128 256 ...]

For each size a plan, then the whole training, each in a process of its own, one after
the other. Appends a table to RESULTS.md beside this file. What else runs on the machine
is in both times, but not alike in both: the load is written down with them.
"""

import datetime
import itertools
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile

RESULTS = pathlib.Path(__file__).with_name("RESULTS.md")

# Pixels a side, and the options of a training of a few minutes.
TRAININGS = {
    "64": "--max-images 60 --load-size 72 --crop-size 64 --num-residual-blocks 3 "
    "--filters 16 --discriminator-filters 16 --constant-epochs 8",
    "128": "--max-images 30 --load-size 143 --crop-size 128 --num-residual-blocks 6 "
    "--filters 32 --constant-epochs 3",
    "256": "--max-images 4 --precision mixed_bfloat16 --filters 32 --constant-epochs 4 "
    "--validation-images 4 --sample-images 2",
}

TRAIN = """
import json, sys, time
import psutil
from cyclegan_tf.cli.main import main
from cyclegan_tf._shared.machine import peak_memory
assert main(["train", *sys.argv[1:]]) == 0
age = time.time() - psutil.Process().create_time()
print(json.dumps({"bytes": peak_memory(), "seconds": age}))
"""


def python(*arguments):
    """Run Python in a new process; return the last line that it prints."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    return done.stdout.splitlines()[-1]


def size(folder):
    """Return the bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def measure(options, folder):
    """Return the cells of forecast, training and their ratio, figure by figure."""
    run_dir, file = folder / "run", folder / "plan.json"
    options = [*options, "--decay-epochs", 0, "--run-dir", run_dir]
    python("-m", "cyclegan_tf", "plan", *options, "--json", file)
    needs = json.loads(file.read_text())["forecast"]
    run = json.loads(python("-c", TRAIN, *options))
    # From picture to picture: an epoch with its checkpoint, but not the first one, in
    # which TensorFlow traces.
    pictures = [path.stat().st_mtime for path in sorted(run_dir.glob("samples/*"))]
    epochs = [after - before for before, after in itertools.pairwise(pictures)]
    # A plan counts with the newest checkpoint, the best and one that is being written.
    checkpoints = list(run_dir.glob("checkpoints/*"))
    disk = size(run_dir) + (3 - len(checkpoints)) * size(checkpoints[0])
    pairs = (
        (needs["peak_bytes"] / 1e9, run["bytes"] / 1e9, "GB"),
        (needs["disk_bytes"] / 1e6, disk / 1e6, "MB"),
        (needs["epoch_seconds"], statistics.median(epochs), "s"),
        (needs["total_seconds"], run["seconds"], "s"),
    )
    return [
        f"{forecast:.3g} / {true:.3g} {unit} = {forecast / true:.2f}"
        for forecast, true, unit in pairs
    ]


def main():
    """Measure, print and append."""
    data, *names = sys.argv[1:]
    rows = []
    for name in names or TRAININGS:
        with tempfile.TemporaryDirectory() as folder:
            options = ["--data", data, *TRAININGS[name].split()]
            cells = measure(options, pathlib.Path(folder))
        rows.append(f"| {' | '.join([name, *cells, f'{os.getloadavg()[2]:.1f}'])} |")
        print(rows[-1], flush=True)
    command = " ".join(["python benchmarks/plan_accuracy.py horse2zebra", *names])
    text = f"""
## Forecast of `cyclegan plan` / true training, {datetime.date.today()}

`{command}`, {os.cpu_count()}
cores ({platform.machine()}), Python {platform.python_version()}, one run each. The
epoch is the median of those after the first; the load is the system's average over 15
minutes at the end of the row:

| size | peak memory | disk | epoch | whole training | load |
|---|---|---|---|---|---|
{chr(10).join(rows)}
"""
    with RESULTS.open("a") as file:
        file.write(text)


if __name__ == "__main__":
    main()
