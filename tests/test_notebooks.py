"""Every notebook runs from top to bottom, and is stored without output."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

NOTEBOOKS = sorted(pathlib.Path(__file__).parents[1].glob("notebooks/*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, tmp_path):
    cells = [
        cell
        for cell in json.loads(path.read_text())["cells"]
        if cell["cell_type"] == "code"
    ]
    assert cells and all(not cell["outputs"] for cell in cells)
    (tmp_path / "notebook.py").write_text(
        "\n\n".join("".join(cell["source"]) for cell in cells)
    )
    result = subprocess.run(
        [sys.executable, "notebook.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "MPLBACKEND": "agg"},
    )
    assert result.returncode == 0, result.stderr
    assert "largest difference after loading: 0.0" in result.stdout
