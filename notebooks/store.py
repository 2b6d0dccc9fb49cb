"""Run notebooks from top to bottom, and store them with their pictures.

`make notebooks` runs all; `python notebooks/store.py 03` those whose names begin so.
"""

import base64
import io
import pathlib
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import nbclient
import nbformat
import PIL.Image

NOTEBOOKS = sorted(pathlib.Path(__file__).parent.glob("*.ipynb"))
MOST_BYTES = 300_000  # of a stored notebook: GitHub shows it at once
SECONDS_A_CELL = 1800
_WIDEST = 640
_QUALITY = 75


def read(path: pathlib.Path) -> Any:
    """Return a notebook."""
    return nbformat.read(path, as_version=4)


def execute(notebook: Any, folder: pathlib.Path, **parameters: Any) -> None:
    """Run a notebook with this Python; its outputs replace the stored ones.

    Args:
        notebook: result of `read`.
        folder: where the code runs.
        **parameters: values that replace those of the cell tagged `parameters`.
    """
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            given = (f"{name} = {value!r}" for name, value in parameters.items())
            cell.source = "\n".join([cell.source, *given])
    client = nbclient.NotebookClient(
        notebook,
        timeout=SECONDS_A_CELL,
        kernel_name="python3",
        coalesce_streams=True,
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )
    # Whatever other kernels the machine offers under that name.
    client.create_kernel_manager().kernel_spec.argv[0] = sys.executable
    client.execute()


def pictures(notebook: Any) -> Iterator[Any]:
    """Yield the data of each picture, by MIME type."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if data.keys() & {"image/png", "image/jpeg"}:
                yield data


def tidy(notebook: Any) -> None:
    """Leave out standard error, which is about this machine; scale pictures down."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
    for data in pictures(notebook):
        _shrink(data)


def _shrink(data: Any) -> None:
    """Keep a picture as PNG or JPEG, whichever is smaller."""
    mime = next(name for name in data if name.startswith("image/"))
    content = base64.b64decode(data.pop(mime))
    picture = PIL.Image.open(io.BytesIO(content)).convert("RGB")
    picture.thumbnail((_WIDEST, 2 * _WIDEST), PIL.Image.Resampling.LANCZOS)
    encoded = {
        "image/png": _encoded(picture.quantize(64), "PNG", optimize=True),
        "image/jpeg": _encoded(picture, "JPEG", quality=_QUALITY),
    }
    mime = min(encoded, key=lambda name: len(encoded[name]))
    data[mime] = base64.b64encode(encoded[mime]).decode()


def _encoded(picture: PIL.Image.Image, image_format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, image_format, **options)
    return file.getvalue()


def main(names: list[str]) -> None:
    """Run and store the notebooks whose names begin with one of these, or all."""
    for path in NOTEBOOKS:
        if names and not path.name.startswith(tuple(names)):
            continue
        start = time.monotonic()
        notebook = read(path)
        with tempfile.TemporaryDirectory() as folder:
            execute(notebook, pathlib.Path(folder))
        tidy(notebook)
        content = (nbformat.writes(notebook) + "\n").encode()
        if len(content) > MOST_BYTES:
            sys.exit(f"{path.name} has {len(content):,} bytes, above {MOST_BYTES:,}.")
        path.write_bytes(content)
        seconds = time.monotonic() - start
        print(f"{path.name}: {len(content):,} bytes, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
