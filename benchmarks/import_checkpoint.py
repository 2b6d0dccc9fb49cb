"""How long an import takes, and how much memory, for a ResNet-9 of the reference.

    python benchmarks/import_checkpoint.py

Alternates the import (PyTorch is imported on the way, as for a user) with PyTorch's own
loading of the same file, each in a process of its own that has imported TensorFlow
already. Appends medians and ranges to RESULTS.md beside this file.
"""

import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile

REPEATS = 5
RESULTS = pathlib.Path(__file__).with_name("RESULTS.md")

# The peak is sampled from the kernel's own record, which can be reset at the start.
MEASURE = """
import json, pathlib, sys, time
import tensorflow, keras, h5py
what, source, out = sys.argv[1:]
source, out = pathlib.Path(source), pathlib.Path(out)
def memory(name):
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))
if what == "memory":
    import torch  # what its import takes is no cost of the file
from cyclegan_tf.options import ImportConfig
from cyclegan_tf.conversion import import_network
pathlib.Path("/proc/self/clear_refs").write_text("5")
before, start = memory("VmRSS"), time.perf_counter()
if what == "load":
    import torch
    torch.load(source, weights_only=True)
else:
    import_network(ImportConfig(source, out, overwrite=True))
seconds = time.perf_counter() - start
print(json.dumps({"seconds": seconds, "bytes": memory("VmHWM") - before}))
"""
MAKE = """
import pathlib, sys
from cyclegan_tf.networks import resnet_generator
from cyclegan_tf.pytorch_files import write_state_dict
from cyclegan_tf.pytorch_weights import state_dict_of
write_state_dict(pathlib.Path(sys.argv[1]), state_dict_of(resnet_generator()))
"""


def python(script, *arguments):
    """Run a script in a new process; return what it prints."""
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ).stdout


def words(values, unit=""):
    """Median and range."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.2f}{unit} ({low:.2f} to {high:.2f})"


def main():
    """Measure, print and append."""
    with tempfile.TemporaryDirectory() as folder:
        source, out = pathlib.Path(folder, "g.pth"), pathlib.Path(folder, "g.keras")
        python(MAKE, source)
        runs = {"import": [], "load": [], "memory": []}
        for _ in range(REPEATS):
            for what, found in runs.items():
                found.append(json.loads(python(MEASURE, what, source, out)))
        size = source.stat().st_size
    seconds = {what: [run["seconds"] for run in found] for what, found in runs.items()}
    ratios = [a / b for a, b in zip(seconds["import"], seconds["load"])]
    peaks = [run["bytes"] / size for run in runs["memory"]]
    text = f"""
## Import of a ResNet-9 checkpoint, {datetime.date.today()}

`python benchmarks/import_checkpoint.py`, {os.cpu_count()} cores ({platform.machine()}),
Python {platform.python_version()}, {REPEATS} runs each, medians and ranges:

| figure | value |
|---|---|
| file | {size / 1e6:.1f} MB |
| `cyclegan import`, after TensorFlow's import | {words(seconds["import"], " s")} |
| importing PyTorch and loading the same file | {words(seconds["load"], " s")} |
| ratio of the two | {words(ratios)} |
| peak memory of the import, in sizes of the file | {words(peaks)} |
"""
    print(text)
    with RESULTS.open("a") as file:
        file.write(text)


if __name__ == "__main__":
    main()
