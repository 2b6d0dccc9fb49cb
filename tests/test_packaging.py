"""What is built, what is installed, and by whom."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = pathlib.Path(__file__).parents[1]
FILES = ("requirements.txt", "README.md", "LICENSE")
BUILD = "import sys; from setuptools import build_meta; build_meta.{}(sys.argv[1])"


def run(*command, **options):
    result = subprocess.run(command, capture_output=True, text=True, **options)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """The source distribution, built in a copy of the files that it needs."""
    folder = tmp_path_factory.mktemp("sdist")
    source = folder / "source"
    caches = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "cyclegan_tf", source / "cyclegan_tf", ignore=caches)
    for name in ("pyproject.toml", "setup.py", *FILES):
        shutil.copy(ROOT / name, source)
    run(sys.executable, "-c", BUILD.format("build_sdist"), str(folder), cwd=source)
    (archive,) = folder.glob("*.tar.gz")
    return archive


def test_the_wheel_of_the_source_distribution_runs(sdist, tmp_path):
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    run(sys.executable, "-c", BUILD.format("build_wheel"), str(tmp_path), cwd=source)
    (wheel,) = tmp_path.glob("*.whl")
    installed, elsewhere = tmp_path / "installed", tmp_path / "elsewhere"
    elsewhere.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)

    environment = {**os.environ, "PYTHONPATH": str(installed)}
    code = "import cyclegan_tf; print(cyclegan_tf.__file__)"
    python = [sys.executable, "-P"]
    path = run(*python, "-c", code, cwd=elsewhere, env=environment).strip()
    assert pathlib.Path(path).is_relative_to(installed)
    photo = installed / "cyclegan_tf/photographs/coffee.jpg"
    command = [*python, "-m", "cyclegan_tf", "translate", "photo2monet", str(photo)]
    run(*command, "--out", "out", cwd=elsewhere, env=environment)
    assert (elsewhere / "out/coffee.jpg").is_file()


def test_the_lock_has_all_that_is_required():
    lines = (ROOT / ".ci/requirements.lock").read_text().splitlines()
    pinned = dict(line.split(" ")[0].split("==") for line in lines if "==" in line)
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = settings["project"]["optional-dependencies"]
    wanted = [
        line
        for line in (ROOT / "requirements.txt").read_text().splitlines()
        if not line.startswith("#")
    ]
    (ours, *tools) = extras["dev"]
    for extra in Requirement(ours).extras:
        wanted += extras[extra]
    for requirement in map(Requirement, [*wanted, *tools]):
        name = canonicalize_name(requirement.name)
        if name != "torch":  # from elsewhere, and pinned in pyproject.toml
            assert requirement.specifier.contains(pinned[name]), name


def test_every_locked_file_has_a_hash():
    text = (ROOT / ".ci/requirements.lock").read_text()
    entries = re.findall(
        r"^\S+==\S+ \\\n(?:    --hash=sha256:[0-9a-f]{64}.*\n)+", text, re.M
    )
    assert len(entries) == text.count("==") > 100
    assert "://" not in text  # any index serves


def test_the_workflow_may_only_read():
    for path in (ROOT / ".github/workflows").iterdir():
        workflow = yaml.safe_load(path.read_text())
        assert workflow["permissions"] == {"contents": "read"}
        for job in workflow["jobs"].values():
            assert "permissions" not in job
            used = [step["uses"] for step in job["steps"] if "uses" in step]
            assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", name) for name in used)
