"""Memory, disk and processor of the machine, and limits of containers."""

import pathlib
import subprocess
import sys

import pytest
import tensorflow as tf

from cyclegan_tf._shared import machine


def test_memory_and_disk_of_this_machine(tmp_path):
    assert 0 < machine.free_memory() <= machine.total_memory()
    there = machine.free_disk(tmp_path)
    absent = machine.free_disk(tmp_path / "not/yet/there")
    assert absent == pytest.approx(there, rel=0.1) and there > 0


@pytest.mark.parametrize(
    ("groups", "limits"),
    [
        ("0::/job/step\n", {"job/memory.max": 8, "job/step/memory.max": "max"}),
        ("0::/\n", {"memory.max": 8}),
        (
            "9:cpu,cpuacct:/job\n4:memory:/job\n",
            {
                "memory/job/memory.limit_in_bytes": 8,
                "cpu/job/memory.limit_in_bytes": 3,
            },
        ),
    ],
)
def test_limits_of_control_groups(groups, limits, tmp_path):
    for name, limit in limits.items():
        path = tmp_path / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{limit}\n")
    (tmp_path / "groups").write_text(groups)
    found = list(machine.memory_limits(tmp_path / "groups", tmp_path / "cgroup"))
    assert found == [8]


def test_no_control_groups(tmp_path):
    assert list(machine.memory_limits(tmp_path / "absent", tmp_path)) == []


def test_the_first_run_is_not_counted():
    calls = []
    times = machine.run_times(lambda: calls.append(None), 5)
    assert len(times) == 5 and len(calls) == 6
    assert all(time >= 0 for time in times)


def test_no_run_starts_after_enough_time():
    assert len(machine.run_times(lambda: sum(range(100_000)), 1000, seconds=1e-9)) == 1


def test_peak_memory_includes_freed_memory():
    script = """
from cyclegan_tf._shared.machine import peak_memory
before = peak_memory()
filled = b"x" * 200_000_000
del filled
print(peak_memory() - before)
"""
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert 190e6 < int(result.stdout) < 230e6


@pytest.mark.parametrize(
    ("details", "expected"),
    [({"device_name": "NVIDIA H100"}, "2 x NVIDIA H100"), ({}, "2 x GPU")],
)
def test_gpus_are_named(details, expected, monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["first"])
    monkeypatch.setattr(
        tf.config.experimental, "get_device_details", {"first": details}.get
    )
    assert machine.hardware(2) == expected


def test_the_flags_of_this_processor_are_read():
    if not pathlib.Path("/proc/cpuinfo").exists():
        pytest.skip("only Linux lists processor flags there")
    text = pathlib.Path("/proc/cpuinfo").read_text()
    assert ("avx2" in machine.processor_flags()) == (" avx2 " in text)
