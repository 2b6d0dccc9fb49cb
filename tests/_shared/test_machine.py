"""What the machine has, and what a container may use of it."""

import pytest

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
