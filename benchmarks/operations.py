"""How many operations a training step runs.

    python benchmarks/operations.py

On a GPU, a small step waits for its operations to be started. TensorFlow's profiler
counts them, on a processor, which computes the GPU's operations, too. Operations that
only read or write weights and constants are left out.
"""

import collections
import itertools
import pathlib
import tempfile
from unittest import mock

import measuring
import ours
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

SIDE = 32
STEPS = 3
NOT_COUNTED = ("ReadVariableOp", "AssignVariableOp", "Const", "Identity", "NoOp")
SHOWN = 20


def operations_of_a_step() -> collections.Counter[str]:
    """Count the operations of a step of the default options by type."""
    step = ours.training(SIDE, "float32")
    step()
    with tempfile.TemporaryDirectory() as folder:
        options = tf.profiler.experimental.ProfilerOptions(host_tracer_level=3)
        with tf.profiler.experimental.Profile(folder, options):
            for _ in range(STEPS):
                step()
        (file,) = pathlib.Path(folder).rglob("*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(file.read_bytes())
    found: collections.Counter[str] = collections.Counter()
    for plane in space.planes:
        for event in itertools.chain.from_iterable(line.events for line in plane.lines):
            # An operation is called NAME:TYPE#details; other events have no type.
            name = plane.event_metadata[event.metadata_id].name.partition("#")[0]
            kind = name.partition(":")[2].removeprefix("_MklNative")
            kind = kind.removeprefix("_Mkl").removesuffix("WithBias")
            if hasattr(tf.raw_ops, kind) and kind not in NOT_COUNTED:
                found[kind] += 1
    return collections.Counter({kind: n // STEPS for kind, n in found.items()})


def main() -> None:
    """Count with the norms of processors and with those of GPUs; append the result."""
    machine = measuring.machine()
    processor = operations_of_a_step()
    with mock.patch.object(tf.config, "list_logical_devices", lambda kind: [kind]):
        gpu = operations_of_a_step()
    rows = [("operations", "on a processor", "on a GPU")]
    rows.append(("all", f"{processor.total():,}", f"{gpu.total():,}"))
    for kind, _ in (processor + gpu).most_common(SHOWN):
        rows.append((kind, f"{processor[kind]:,}", f"{gpu[kind]:,}"))
    measuring.append(
        "Operations of a training step",
        machine,
        f"The default networks and options at {SIDE}x{SIDE}. Above 64x64 pixels (on "
        "a GPU 256x256) networks are called 12 times instead of 8.",
        rows,
    )


if __name__ == "__main__":
    main()
