"""How much memory and how much room on its disks this machine has."""

import importlib.metadata
import pathlib
import platform
import sys
import time
from collections.abc import Callable, Iterator

import psutil


def total_memory() -> int:
    """Return the bytes of memory that the machine has, or lets its container use."""
    return min([psutil.virtual_memory().total, *memory_limits()])


def free_memory() -> int:
    """Return the bytes of memory that a new process could have now."""
    return min(psutil.virtual_memory().available, total_memory())


def free_disk(path: pathlib.Path) -> int:
    """Return the bytes that can be written to the disk of a path.

    Args:
        path: a file or folder, which need not be there yet.
    """
    path = path.absolute()
    nearest = next(p for p in (path, *path.parents) if p.exists())
    return psutil.disk_usage(str(nearest)).free


def processor_name() -> str:
    """Return what the processor is called, as far as the system tells."""
    name = _processor_facts().get("model name", "")
    return name or platform.processor() or platform.machine()


def processor_flags() -> frozenset[str]:
    """Return the instruction sets of the processor; none where Linux does not tell."""
    return frozenset(_processor_facts().get("flags", "").split())


def versions(*packages: str) -> dict[str, str]:
    """Return the installed versions of packages by name; they are not imported."""
    return {package: importlib.metadata.version(package) for package in packages}


def _processor_facts() -> dict[str, str]:
    """Read what Linux says about the first processor."""
    path = pathlib.Path("/proc/cpuinfo")
    first = path.read_text().partition("\n\n")[0] if path.exists() else ""
    facts = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in facts}


def memory_limits(
    groups: pathlib.Path = pathlib.Path("/proc/self/cgroup"),
    root: pathlib.Path = pathlib.Path("/sys/fs/cgroup"),
) -> Iterator[int]:
    """Find what containers and cluster jobs may use, which `psutil` does not know.

    Args:
        groups: where Linux names the control groups of this process: a line
            `number:controllers:path` each, without controllers for version 2.
        root: where it describes them.

    Yields:
        Bytes: the limit of each group that has one, and of those that it is in.
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
            # The word "max" stands for none.
            if limit.is_file() and (text := limit.read_text().strip()).isdigit():
                yield int(text)


# Of a generator that takes seconds, a few runs say as much.
_ENOUGH_SECONDS = 60.0


def run_times(
    function: Callable[[], object], runs: int, seconds: float = _ENOUGH_SECONDS
) -> list[float]:
    """Time a function, after one call that is not counted.

    Args:
        function: is called without arguments.
        runs: int. How often.
        seconds: float. After so many seconds no further run is begun, but there is
            one. Defaults to `60`.

    Returns:
        Milliseconds of each run.
    """
    function()
    times: list[float] = []
    while len(times) < runs and sum(times) < 1000 * seconds:
        start = time.perf_counter()
        function()
        times.append(1000 * (time.perf_counter() - start))
    return times


def peak_memory() -> int | None:
    """Return the most memory this process has held so far, in bytes.

    Returns:
        Bytes of physical memory; `None` where the system does not tell.
    """
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        # Not getrusage: on Linux it counts what the process was before exec().
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return None
