"""Files that are never half-written, and names in the order people count."""

import contextlib
import json
import os
import pathlib
import re
import uuid
import zipfile
from collections.abc import Iterator
from typing import Any

from cyclegan_tf._shared.errors import InputError


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Write a file or folder under a temporary name, then rename it.

    If the block fails, what stood at `path` before is left as it was and the
    temporary file is removed.

    Args:
        path: the final name. A file there is replaced, a folder must not be there.

    Yields:
        A temporary path beside it, with the same suffixes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex}.{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        remove(temporary)
        raise


def write_json(path: pathlib.Path, content: Any) -> None:
    """Write a JSON file, indented; an earlier one is replaced."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n")


def check_free(path: pathlib.Path, overwrite: bool) -> None:
    """Check that an output does not replace a file or folder by accident.

    Args:
        path: where the output goes.
        overwrite: bool. Whether the user allows it to be replaced.

    Raises:
        InputError: if something is there and `overwrite` is false.
    """
    if path.exists() and not overwrite:
        raise InputError(
            f"{path} already exists; choose another `out`, or replace it with "
            "`overwrite=True`."
        )


def remove(path: pathlib.Path) -> None:
    """Remove a file, or a folder of files, if it is there; of a link, the link."""
    if path.is_dir() and not path.is_symlink():
        for child in path.iterdir():
            remove(child)
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def check_not_compressed(path: pathlib.Path) -> None:
    """Check that a zip file is as large as what it holds, that is, no zip bomb.

    PyTorch and Keras put models into zip files without compression.

    Raises:
        InputError: if a file in it is compressed.
        zipfile.BadZipFile: if it is no zip file.
    """
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.file_size > entry.compress_size:
                raise InputError(
                    f"{path} is compressed ({entry.filename} grows from "
                    f"{entry.compress_size} to {entry.file_size} bytes), as no "
                    "framework writes its models; save it again."
                )


def natural_key(path: pathlib.Path | str) -> list[tuple[int, str]]:
    """Sort key that puts `2.jpg` before `10.jpg`."""
    parts = re.split(r"(\d+)", str(path))
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
