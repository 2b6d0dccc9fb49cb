"""Notebooks run from top to bottom in a real kernel, and are stored without output.

What they teach they also assert, so that a run that succeeds says a lot.
"""

import pathlib
import re
import subprocess
import sys
import tomllib

import nbclient
import nbformat
import pytest
from ipykernel.kernelspec import write_kernel_spec

ROOT = pathlib.Path(__file__).parents[1]
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))
REPOSITORY = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"][
    "Repository"
]
PICTURES = {
    "01_from_gan_to_cyclegan": 6,
    "02_train_with_fit": 5,
    "03_translate_photos": 3,
    "04_evaluate": 5,
    "05_export": 4,
    "06_many_gpus": 2,
}
MOST_LINES = 15

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def cells(notebook, kind):
    return [cell for cell in notebook.cells if cell.cell_type == kind]


def test_there_are_the_ones_that_the_table_names():
    assert [path.stem for path in NOTEBOOKS] == sorted(PICTURES)
    table = (ROOT / "notebooks/README.md").read_text()
    for path in NOTEBOOKS:
        assert f"]({path.name})" in table


@pytest.fixture
def _kernel_of_this_python(tmp_path, monkeypatch):
    """Whatever other kernels the machine offers under that name."""
    write_kernel_spec(tmp_path / "jupyter/kernels/python3")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))


@each_notebook
@pytest.mark.usefixtures("_kernel_of_this_python")
def test_it_runs_and_shows_pictures(path, tmp_path):
    notebook = read(path)
    folder = tmp_path / "work"
    folder.mkdir()
    client = nbclient.NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    )
    manager = client.create_kernel_manager()
    assert manager.kernel_spec.argv[0] == sys.executable
    client.execute()
    pictures = [
        output
        for cell in cells(notebook, "code")
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) >= PICTURES[path.stem]


@each_notebook
def test_it_is_stored_without_output(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    for cell in cells(notebook, "code"):
        assert not cell.outputs
        assert cell.execution_count is None


@each_notebook
def test_a_cell_does_one_thing(path):
    for cell in cells(read(path), "code"):
        lines = cell.source.splitlines()
        assert 0 < len(lines) <= MOST_LINES, cell.source


@each_notebook
def test_it_opens_in_colab_and_installs_the_package_there(path):
    """The address of the repository is written down in pyproject.toml."""
    notebook = read(path)
    name = REPOSITORY.removeprefix("https://github.com/")
    address = (
        f"https://colab.research.google.com/github/{name}/blob/main/notebooks/"
        f"{path.name}"
    )
    assert f"({address})" in notebook.cells[0].source
    install = cells(notebook, "code")[0].source
    assert 'find_spec("cyclegan_tf") is None' in install
    assert f"git+{REPOSITORY}" in install
    assert "cyclegan_tf.quiet_tensorflow()" in install


@each_notebook
def test_what_it_quotes_is_in_the_package(path):
    """A quotation is a block of Python that begins with the name of its file."""
    for cell in cells(read(path), "markdown"):
        for block in re.findall(r"```python\n(.*?)```", cell.source, re.DOTALL):
            heading, *quoted = block.splitlines()
            file = ROOT / heading.removeprefix("# ")
            lines = {line.strip() for line in file.read_text().splitlines()}
            assert {line.strip() for line in quoted if line.strip()} <= lines


@each_notebook
def test_notebooks_that_it_names_are_there(path):
    for cell in cells(read(path), "markdown"):
        for name in re.findall(r"`(\w+\.ipynb)`", cell.source):
            assert (path.parent / name).is_file()


def test_they_are_clean():
    for command in (["check"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *command, *map(str, NOTEBOOKS)]
        result = subprocess.run(
            ruff, cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stdout
