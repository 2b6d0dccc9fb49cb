"""How long a function takes, and how much memory this process has needed."""

import pathlib
import sys
import time
from collections.abc import Callable

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
