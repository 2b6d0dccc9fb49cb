"""Measure a LiteRT file on this machine: latency, memory, threads."""

import dataclasses
import statistics

import numpy as np

from cyclegan_tf._shared.errors import InputError, first_line
from cyclegan_tf._shared.machine import peak_memory, run_times
from cyclegan_tf.export.litert_runtime import LiteRTModel
from cyclegan_tf.export.options import BenchmarkConfig


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """What a file needs on this machine.

    Attributes:
        median_ms: median milliseconds for one image.
        fastest_ms: of the fastest run.
        slowest_ms: of the slowest run.
        runs: number of runs.
        threads: processor threads.
        size: (height, width) of the image.
        file_bytes: size of the file.
        peak_bytes: most memory that the process has held; `None` if the system does
            not tell.
        peak_bytes_before: the same before the file was loaded.
        operations: how often the graph holds each operation.
        runtime: name and version of the runtime.
    """

    median_ms: float
    fastest_ms: float
    slowest_ms: float
    runs: int
    threads: int
    size: tuple[int, int]
    file_bytes: int
    peak_bytes: int | None
    peak_bytes_before: int | None
    operations: dict[str, int]
    runtime: str


def benchmark_litert(config: BenchmarkConfig) -> Benchmark:
    """Run a LiteRT file on noise and measure.

    The peak of memory is that of the process: call it in a fresh one.

    Args:
        config: which file, and how.

    Returns:
        The measurements. There are fewer runs than asked for if they take more than a
        minute.

    Raises:
        InputError: if it is no LiteRT file, or does not take images of that size, or
            LiteRT is not installed.
    """
    config.check()
    before = peak_memory()
    model = LiteRTModel(config.file, config.threads)
    height, width = (
        fixed or free for fixed, free in zip(model.size, config.image_size)
    )
    noise = np.random.default_rng(0).uniform(-1, 1, (1, height, width, model.channels))
    image = noise.astype(np.float32)
    try:
        times = run_times(lambda: model(image), config.runs)
    except (RuntimeError, ValueError) as e:
        raise InputError(
            f"{config.file} cannot translate an image of {height}x{width} "
            f"({first_line(e)}); choose another --image-size."
        ) from e
    return Benchmark(
        median_ms=statistics.median(times),
        fastest_ms=min(times),
        slowest_ms=max(times),
        runs=len(times),
        threads=config.threads,
        size=(height, width),
        file_bytes=config.file.stat().st_size,
        peak_bytes=peak_memory(),
        peak_bytes_before=before,
        operations=model.operations,
        runtime=model.runtime,
    )
