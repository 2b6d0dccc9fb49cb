"""The launchers of docs/launch describe valid jobs, and start the right command."""

import copy
import json
import os
import pathlib
import subprocess

import kubernetes_validate
import pytest
import yaml

LAUNCH = pathlib.Path(__file__).parents[1] / "docs/launch"


@pytest.fixture
def programs(tmp_path):
    """Stand-ins for what the launchers call; `cyclegan` prints what it is given."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, script in {
        "cyclegan": 'printf "%s\\n" "$TF_CONFIG" | tr -d "\\n"; echo; echo "$@"',
        "scontrol": 'test "$3" = "node[1-2]"; echo node1; echo node2',
        "srun": 'shift; for SLURM_PROCID in 0 1; do export SLURM_PROCID; "$@"; done',
    }.items():
        path = folder / name
        path.write_text(f"#!/bin/bash\nset -e\n{script}\n")
        path.chmod(0o755)
    return folder


def run(command, programs, **variables):
    path = f"{programs}:{os.environ['PATH']}"
    result = subprocess.run(
        command,
        env={**os.environ, "PATH": path, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return result.stdout.splitlines()


def test_slurm(programs, tmp_path):
    script = LAUNCH / "train.sbatch"
    variables = {
        "SLURM_JOB_ID": "40007",
        "SLURM_JOB_NODELIST": "node[1-2]",
        "RUN_DIR": str(tmp_path / "run"),
        "DATA": "photos",
    }
    lines = run(["bash", script], programs, **variables)
    for index in range(2):
        assert json.loads(lines[2 * index]) == {
            "cluster": {"worker": ["node1:20007", "node2:20007"]},
            "task": {"type": "worker", "index": index},
        }
        assert lines[2 * index + 1] == (
            "train --strategy multi-worker --data photos "
            f"--run-dir {tmp_path}/run --batch-size 2"
        )
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.json").touch()
    lines = run(["bash", script], programs, **variables)
    assert lines[1] == f"train --strategy multi-worker --resume {tmp_path}/run"


@pytest.fixture
def jobset():
    return yaml.safe_load((LAUNCH / "jobset.yaml").read_text())


def job_of(jobset):
    """The Job that JobSet would make; the schemas that are bundled know no JobSet."""
    [replicated] = jobset["spec"]["replicatedJobs"]
    name = f"{jobset['metadata']['name']}-{replicated['name']}-0"
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        **copy.deepcopy(replicated["template"]),
    }


def test_the_jobs_of_the_jobset_are_valid(jobset):
    kubernetes_validate.validate(job_of(jobset), "1.30", strict=True)
    wrong = job_of(jobset)
    wrong["spec"]["completion"] = wrong["spec"].pop("completions")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.30", strict=True)


def test_the_pods_of_the_jobset(jobset, programs):
    job = job_of(jobset)
    [container] = job["spec"]["template"]["spec"]["containers"]
    variables = {item["name"]: item["value"] for item in container["env"]}
    assert int(variables["WORKERS"]) == job["spec"]["completions"]
    command = container["command"] + container["args"]
    config, arguments = run(command, programs, JOB_COMPLETION_INDEX="1", **variables)
    [port] = container["ports"]
    subdomain = jobset["spec"]["network"]["subdomain"]
    assert json.loads(config) == {
        "cluster": {
            "worker": [
                f"{job['metadata']['name']}-{i}.{subdomain}:{port['containerPort']}"
                for i in range(2)
            ]
        },
        "task": {"type": "worker", "index": 1},
    }
    assert arguments.startswith("train --strategy multi-worker --data /data/")
