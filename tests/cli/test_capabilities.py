"""Five folders can be deleted, each with its rows in the table of commands."""

import ast
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

import cyclegan_tf

# The folders, and the verbs of their rows.
CAPABILITIES = {
    "export": ["export"],
    "report": ["report"],
    "doctor": ["doctor"],
    "planning": ["plan"],
    "beam": ["translate-beam"],
}


def copy_without(folder, capabilities):
    """Copy the package without some folders and their rows."""
    package = folder / "cyclegan_tf"
    shutil.copytree(
        pathlib.Path(cyclegan_tf.__file__).parent,
        package,
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    table = package / "cli/commands.py"
    for capability in capabilities:
        shutil.rmtree(package / capability)
        for verb in CAPABILITIES[capability]:
            table.write_text(without_row(table.read_text(), verb))


def without_row(source, verb):
    """Remove the lines of `Command("verb", ...),`."""
    (row,) = (
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "Command"
        and ast.unparse(node.args[0]) == repr(verb)
    )
    lines = source.splitlines(keepends=True)
    return "".join(lines[: row.lineno - 1] + lines[row.end_lineno :])


def run_copy(folder, *arguments):
    result = subprocess.run(
        [sys.executable, "-m", "cyclegan_tf", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_a_capability_can_be_deleted(capability, tmp_path):
    copy_without(tmp_path, [capability])
    verbs = {
        line.split()[0]
        for line in run_copy(tmp_path, "--help").splitlines()[4:]
        if line.startswith("  ")
    }
    assert {"train", "translate"} < verbs
    assert not verbs & set(CAPABILITIES[capability])


def test_a_training_needs_none_of_them(tmp_path):
    copy_without(tmp_path, CAPABILITIES)
    options = """
        --max-images 2 --batch-size 1 --filters 2 --num-residual-blocks 1
        --discriminator-filters 2 --num-layers 1 --load-size 18 --crop-size 16
        --constant-epochs 1 --decay-epochs 0
    """
    printed = run_copy(tmp_path, "train", "--data", "demo", *options.split())
    assert "Trained: runs/demo" in printed
    assert (tmp_path / "runs/demo/generator_g.keras").is_file()
