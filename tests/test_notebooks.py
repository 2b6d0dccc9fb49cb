"""Notebooks run from top to bottom in a real kernel, and are stored with pictures.

What they teach they also assert, so that a run that succeeds says a lot.
"""

import pathlib
import re
import subprocess
import sys
import tomllib

import nbformat
import pytest
import store

ROOT = pathlib.Path(__file__).parents[1]
REPOSITORY = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"][
    "Repository"
]
PICTURES = {
    "01_from_gan_to_cyclegan": 6,
    "02_train_with_fit": 6,
    "03_translate_photos": 4,
    "04_evaluate": 6,
    "05_export": 4,
    "06_many_gpus": 2,
}
# Parameters with which a notebook still keeps what it asserts, in less time.
QUICK = {
    "02_train_with_fit": {"IMAGES": 60},
    "03_translate_photos": {"STAND_IN_EPOCHS": 1},
    "04_evaluate": {"IMAGES": 60, "EPOCHS": 2},
}
MOST_LINES = 15

each_notebook = pytest.mark.parametrize(
    "path", store.NOTEBOOKS, ids=lambda path: path.stem
)


def cells(notebook, kind):
    return [cell for cell in notebook.cells if cell.cell_type == kind]


def test_there_are_the_ones_that_the_table_names():
    assert [path.stem for path in store.NOTEBOOKS] == sorted(PICTURES)
    table = (ROOT / "notebooks/README.md").read_text()
    for path in store.NOTEBOOKS:
        assert f"]({path.name})" in table


@each_notebook
def test_it_runs_and_shows_pictures(path, tmp_path, monkeypatch):
    """It hides what TensorFlow says of the machine, as where a reader runs it."""
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    # Kernels that see this variable do not show what C++ code writes.
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    notebook = store.read(path)
    store.execute(notebook, tmp_path, **QUICK.get(path.stem, {}))
    assert len(list(store.pictures(notebook))) >= PICTURES[path.stem]
    outputs = [output for cell in cells(notebook, "code") for output in cell.outputs]
    said = "".join(o.text for o in outputs if o.get("name") == "stderr")
    assert not re.search(r"cuda|oneDNN|^[EWI]\d{4}", said, re.MULTILINE)


@each_notebook
def test_the_parameters_that_make_it_quick_are_its_own(path):
    (parameters,) = [
        cell.source
        for cell in store.read(path).cells
        if "parameters" in cell.metadata.get("tags", [])
    ] or [""]
    for name in QUICK.get(path.stem, {}):
        assert re.search(rf"\b{name}\b.* = ", parameters)


@each_notebook
def test_it_is_stored_with_pictures_and_nothing_of_the_machine(path):
    notebook = store.read(path)
    nbformat.validate(notebook)
    assert path.stat().st_size <= store.MOST_BYTES
    assert notebook.metadata.kernelspec.name == "python3"
    assert len(list(store.pictures(notebook))) >= PICTURES[path.stem]
    code = cells(notebook, "code")
    # One run from top to bottom, not cells stored one by one.
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert all(output.output_type != "error" for output in outputs)
    assert all(output.get("name") != "stderr" for output in outputs)
    text = "\n".join(
        output.get("text", output.get("data", {}).get("text/plain", ""))
        for output in outputs
    )
    assert not re.search(r"(?<![\w.])/\w+/\w+|[A-Z]:\\\\|site-packages", text)
    assert not re.search(r"tensorflow/|cuda|oneDNN|XLA|WARNING|\x1b", text)


@each_notebook
def test_a_cell_does_one_thing(path):
    for cell in cells(store.read(path), "code"):
        lines = cell.source.splitlines()
        assert 0 < len(lines) <= MOST_LINES, cell.source


@each_notebook
def test_it_opens_in_colab_and_installs_the_package_there(path):
    """The address of the repository is written down in pyproject.toml."""
    notebook = store.read(path)
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
    for cell in cells(store.read(path), "markdown"):
        for block in re.findall(r"```python\n(.*?)```", cell.source, re.DOTALL):
            heading, *quoted = block.splitlines()
            file = ROOT / heading.removeprefix("# ")
            lines = {line.strip() for line in file.read_text().splitlines()}
            assert {line.strip() for line in quoted if line.strip()} <= lines


@each_notebook
def test_notebooks_that_it_names_are_there(path):
    for cell in cells(store.read(path), "markdown"):
        for name in re.findall(r"`(\w+\.ipynb)`", cell.source):
            assert (path.parent / name).is_file()


def test_they_are_clean():
    for command in (["check"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *command, *map(str, store.NOTEBOOKS)]
        result = subprocess.run(
            ruff, cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stdout
