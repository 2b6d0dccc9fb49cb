"""How long an import takes, and how much memory, for a ResNet-9 of the reference.

    python benchmarks/import_checkpoint.py

Alternates the import (PyTorch is imported on the way, as for a user) with PyTorch's own
loading of the same file, each in a process of its own that has imported TensorFlow
already. Appends medians and ranges to RESULTS.md beside this file.
"""

import functools
import json
import pathlib
import tempfile

import measuring

ROUNDS = 5

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
from cyclegan_tf.pretrained.options import ImportConfig
from cyclegan_tf.pretrained.convert import import_network
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
from cyclegan_tf.models.networks.generators import resnet_generator
from cyclegan_tf.pretrained.pytorch.files import write_state_dict
from cyclegan_tf.pretrained.pytorch.weights import state_dict_of
write_state_dict(pathlib.Path(sys.argv[1]), state_dict_of(resnet_generator()))
"""


def main():
    """Measure, and append the result."""
    machine = measuring.machine()
    with tempfile.TemporaryDirectory() as folder:
        source, out = pathlib.Path(folder, "g.pth"), pathlib.Path(folder, "g.keras")
        measuring.run_python("-c", MAKE, source)

        def run(what):
            return json.loads(measuring.run_python("-c", MEASURE, what, source, out))

        wanted = ("import", "load", "memory")
        runs = measuring.in_turns(
            ROUNDS, {what: functools.partial(run, what) for what in wanted}
        )
        size = source.stat().st_size
    importing, loading = (
        [run["seconds"] for run in runs[what]] for what in ("import", "load")
    )
    peaks = [run["bytes"] / size for run in runs["memory"]]
    spread = measuring.spread
    measuring.append(
        "Import of a ResNet-9 checkpoint",
        machine,
        f"Medians and ranges of {ROUNDS} rounds.",
        [
            ("figure", "value"),
            ("file", f"{size / 1e6:.1f} MB"),
            ("`cyclegan import`, after TensorFlow's import", spread(importing, " s")),
            ("importing PyTorch and loading the same file", spread(loading, " s")),
            ("ratio of the two", spread(measuring.ratios(importing, loading))),
            ("peak memory of the import, in sizes of the file", spread(peaks)),
        ],
    )


if __name__ == "__main__":
    main()
