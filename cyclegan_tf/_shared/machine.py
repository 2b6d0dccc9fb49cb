"""Memory, disk, processor and packages of this machine, and the time of a call."""

import importlib.metadata
import os
import pathlib
import platform
import sys
import time
from collections.abc import Callable, Iterator

import psutil


def total_memory() -> int:
    """Return the bytes of memory of the machine, or of its container if limited."""
    return min([psutil.virtual_memory().total, *memory_limits()])


def free_memory() -> int:
    """Return the bytes of memory that a new process can use now."""
    return min(psutil.virtual_memory().available, total_memory())


def free_disk(path: pathlib.Path) -> int:
    """Return the free bytes on the disk of a path, which need not exist yet."""
    path = path.absolute()
    nearest = next(p for p in (path, *path.parents) if p.exists())
    return psutil.disk_usage(str(nearest)).free


def processor_name() -> str:
    """Return the name of the processor, or else its architecture."""
    name = _processor_facts().get("model name", "")
    return name or platform.processor() or platform.machine()


def processor_flags() -> frozenset[str]:
    """Return the instruction sets of the processor; empty except on Linux."""
    return frozenset(_processor_facts().get("flags", "").split())


def hardware(devices: int = 1) -> str:
    """Return in words what TensorFlow computes on.

    Args:
        devices: int. How many GPUs it uses, if there are any. Defaults to `1`.
    """
    import tensorflow as tf  # slow; the help must be fast

    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        return f"{devices} x {details.get('device_name', 'GPU')}"
    return f"{os.cpu_count()} processor cores"


def versions(*packages: str) -> dict[str, str]:
    """Return the installed versions of packages by name, without importing them."""
    return {package: importlib.metadata.version(package) for package in packages}


def _processor_facts() -> dict[str, str]:
    """Read the first processor's entry of /proc/cpuinfo."""
    path = pathlib.Path("/proc/cpuinfo")
    first = path.read_text().partition("\n\n")[0] if path.exists() else ""
    facts = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in facts}


def memory_limits(
    groups: pathlib.Path = pathlib.Path("/proc/self/cgroup"),
    root: pathlib.Path = pathlib.Path("/sys/fs/cgroup"),
) -> Iterator[int]:
    """Find the memory limits of containers and cluster jobs, unknown to `psutil`.

    Args:
        groups: Linux's list of this process's control groups: one line
            `number:controllers:path` each, without controllers for version 2.
        root: folder that describes the groups.

    Yields:
        Bytes: the limit of each group, and of its parents, that has one.
    """
    if not groups.is_file():
        return
    for line in groups.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            top, name = root, "memory.max"
        elif "memory" in controllers.split(","):
            top, name = root / "memory", "memory.limit_in_bytes"
        else:
            continue
        group = top / path.lstrip("/")
        for folder in (group, *group.parents):
            limit = folder / name
            # "max" means no limit.
            if limit.is_file() and (text := limit.read_text().strip()).isdigit():
                yield int(text)


# A few runs are enough for a generator that takes seconds.
_ENOUGH_SECONDS = 60.0


def run_times(
    function: Callable[[], object], runs: int, seconds: float = _ENOUGH_SECONDS
) -> list[float]:
    """Time a function, after one uncounted call.

    Args:
        function: called without arguments.
        runs: int. Number of timed calls.
        seconds: float. Start no further call after this time; at least one call is
            timed. Defaults to `60`.

    Returns:
        Milliseconds of each call.
    """
    function()
    times: list[float] = []
    while len(times) < runs and sum(times) < 1000 * seconds:
        start = time.perf_counter()
        function()
        times.append(1000 * (time.perf_counter() - start))
    return times


def peak_memory() -> int | None:
    """Return this process's peak physical memory in bytes; `None` if unknown."""
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        # getrusage on Linux also counts the process before exec().
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return None
