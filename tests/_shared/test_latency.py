"""Counting runs and memory; no test here depends on how fast the machine is."""

import subprocess
import sys

from cyclegan_tf._shared import latency


def test_runs_are_counted_without_the_first():
    calls = []
    times = latency.run_times(lambda: calls.append(None), 5)
    assert len(times) == 5 and len(calls) == 6
    assert all(time >= 0 for time in times)


def test_no_run_is_begun_after_enough_time():
    assert len(latency.run_times(lambda: sum(range(100_000)), 1000, seconds=1e-9)) == 1


def test_peak_memory_sees_what_was_freed_again():
    script = """
from cyclegan_tf._shared.latency import peak_memory
before = peak_memory()
filled = b"x" * 200_000_000
del filled
print(peak_memory() - before)
"""
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert 190e6 < int(result.stdout) < 230e6
