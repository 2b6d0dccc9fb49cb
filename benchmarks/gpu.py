"""A training step on a GPU, beside PyTorch: a table, each row printed as it comes.

    python benchmarks/gpu.py [SECONDS [SIDE]]

Without arguments it takes four minutes, and up to four more if compilations do not end:
a borrowed GPU does not wait. TensorFlow and PyTorch each measure in a process of their
own, with half of the time, the rows that matter most first; what the time is not enough
for is named. With SIDE, all images have that many pixels a side, which tries the script
on a processor.

A step is measured without waiting for its losses, as `fit` and PyTorch's loops run it.
The share of the peak is the multiplications and additions of a step's convolutions, by
the fastest product of large matrices in the same precision.
"""

import functools
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

SECONDS = 240
LAST_ROW_SECONDS = 120  # for a row that was begun in time, and that XLA may compile
MEASURED_SECONDS = 2.0
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
HEADINGS = (
    "way",
    "generator",
    "side",
    "batch",
    "precision",
    "ms a step",
    "images a second",
    "first step",
    "peak memory",
    "share of the peak",
)


class Case(NamedTuple):
    """What is trained."""

    generator: str
    side: int
    batch_size: int


CASES = (
    Case("resnet", 256, 1),
    Case("resnet", 256, 8),
    Case("mobile_resnet", 128, 16),
)


def cases(side: int | None) -> list[Case]:
    """Return the cases, all with one side if it is given."""
    return [case._replace(side=side or case.side) for case in CASES]


def main() -> None:
    """Let both measure, one after the other."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    print(*HEADINGS, sep=" | ", flush=True)
    for framework in ("tensorflow", "pytorch"):
        environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3")
        if framework == "pytorch":
            # What was put there for TensorFlow would get in its way.
            environment.pop("LD_LIBRARY_PATH", None)
            environment["PYTHONPATH"] = str(pathlib.Path(__file__).parents[1])
        try:
            subprocess.run(
                [sys.executable, __file__, str(seconds / 2), *sys.argv[2:3], framework],
                env=environment,
                check=True,
                timeout=seconds / 2 + LAST_ROW_SECONDS,
            )
        except subprocess.TimeoutExpired:
            print(framework, "no time left for the row begun", sep=" | ", flush=True)


def measure(framework: str, seconds: float, side: int | None) -> None:
    """Print the rows of one framework until its time is over."""
    rows = {"tensorflow": tensorflow_rows, "pytorch": pytorch_rows}[framework]
    deadline = None  # until the first row, which waits for imports
    for way, case, precision, prepare in rows(side):
        deadline = deadline or time.monotonic() + seconds
        name = (way, *map(str, case), precision)
        if time.monotonic() > deadline:
            print(*name, "no time left", sep=" | ", flush=True)
            continue
        try:
            cells = row(*prepare(), case.batch_size)
        except Exception as e:  # one way that fails does not end the table
            cells = [f"{type(e).__name__}: {str(e).splitlines()[0][:80]}"]
        print(*name, *cells, sep=" | ", flush=True)


def row(
    step: Callable[[], Any],
    wait: Callable[[Any], None],
    peak_bytes: Callable[[], int],
    share: Callable[[float], float],
    batch_size: int,
) -> list[str]:
    """Measure a step.

    Args:
        step: starts a step, and returns its losses.
        wait: waits for losses.
        peak_bytes: returns the most memory that was held so far.
        share: turns seconds a step into a share of the peak.
        batch_size: images of each domain.
    """
    start = time.perf_counter()
    wait(step())
    first = time.perf_counter() - start
    wait(step())
    count, start = 0, time.perf_counter()
    while count < 3 or time.perf_counter() - start < MEASURED_SECONDS:
        losses = step()
        count += 1
        if count % 5 == 0:  # or hundreds would be waiting
            wait(losses)
    wait(losses)
    seconds = (time.perf_counter() - start) / count
    return [
        f"{1000 * seconds:.1f}",
        f"{batch_size / seconds:.1f}",
        f"{first:.1f} s",
        f"{peak_bytes() / 2**30:.2f} GiB",
        f"{share(seconds):.1%}",
    ]


def tensorflow_rows(side: int | None) -> Iterator[tuple[str, Case, str, Any]]:
    """Return our ways, the cases, and functions that prepare the arguments of `row`."""
    import keras
    import ours
    import roofline
    import tensorflow as tf

    from cyclegan_tf._shared.machine import peak_memory

    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        tf.config.experimental.set_memory_growth(gpus[0], True)

    @functools.cache
    def peak(precision: str) -> float:
        """On a processor the large product takes too long to try the script."""
        if not gpus:
            return float("nan")
        product = roofline.matrix_product(precision)
        return max(product() for _ in range(5))

    def peak_bytes() -> int:
        if gpus:
            return tf.config.experimental.get_memory_info("GPU:0")["peak"]
        return peak_memory() or 0

    def prepare(case: Case, precision: str, jit_compile: bool) -> tuple[Any, ...]:
        keras.backend.clear_session()
        if gpus:
            tf.config.experimental.reset_memory_stats("GPU:0")
        model, step = ours.tensor_step(
            case.generator,
            case.side,
            precision,
            case.batch_size,
            jit_compile=jit_compile,
        )
        flop = case.batch_size * roofline.step_flop(model, case.side)
        return (
            step,
            lambda losses: float(losses["generator_loss"]),
            peak_bytes,
            lambda seconds: flop / seconds / peak(precision),
        )

    for jit_compile in (False, True):
        for precision in PRECISIONS:
            for case in cases(side):
                yield (
                    "ours, XLA" if jit_compile else "ours",
                    case,
                    precision,
                    lambda c=case, p=precision, j=jit_compile: prepare(c, p, j),
                )


def pytorch_rows(side: int | None) -> Iterator[tuple[str, Case, str, Any]]:
    """Return PyTorch's ways, as `tensorflow_rows`; without shares of the peak."""
    import pytorch_peer
    import torch

    from cyclegan_tf._shared.machine import peak_memory
    from cyclegan_tf.config.options import NetworkConfig

    on_gpu = pytorch_peer.DEVICE == "cuda"
    torch.backends.cuda.matmul.allow_tf32 = True  # as TensorFlow does
    torch.backends.cudnn.benchmark = True
    mobile = NetworkConfig()
    generators = {
        "resnet": pytorch_peer.generator,
        "mobile_resnet": lambda: pytorch_peer.ResNet(
            mobile.mobile_filters, mobile.mobile_block_filters, mobile=True
        ),
    }

    def wait(losses: Any) -> None:
        losses["generator_loss"].item()

    def peak_bytes() -> int:
        return torch.cuda.max_memory_allocated() if on_gpu else peak_memory() or 0

    def prepare(case: Case, precision: str, compiled: bool) -> tuple[Any, ...]:
        if on_gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        step = pytorch_peer.tensor_step(
            generators[case.generator],
            case.side,
            precision,
            case.batch_size,
            compiled,
        )
        return step, wait, peak_bytes, lambda seconds: float("nan")

    for compiled in (False, True) if on_gpu else (False,):
        for precision in PRECISIONS:
            for case in cases(side):
                yield (
                    "PyTorch, compiled" if compiled else "PyTorch",
                    case,
                    precision,
                    lambda c=case, p=precision, z=compiled: prepare(c, p, z),
                )


if __name__ == "__main__":
    if sys.argv[-1] in ("tensorflow", "pytorch"):
        arguments = sys.argv[1:-1]
        pixels = int(arguments[1]) if len(arguments) > 1 else None
        measure(sys.argv[-1], float(arguments[0]), pixels)
    else:
        main()
