"""Find, read and write files on any file system that Apache Beam knows.

Paths are strings, `gs://bucket/name` or absolute local ones. Beam compresses and
decompresses files that end in `.gz`, `.bz2` and the like. Needs the extra `beam`.
"""

import contextlib
import os
import pathlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

from apache_beam.io.filesystem import FileSystem
from apache_beam.io.filesystems import FileSystems

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf._shared.files import (
    ERRORS_OF_A_NAME,
    files_below,
    parse_json,
    remove_leftovers,
    replacing,
    temporary_name,
)

_CHUNK = 2**20  # bytes that are copied at once


def absolute(path: str) -> str:
    """Return an absolute path, without a final slash.

    Raises:
        InputError: if Beam does not know its file system.
    """
    try:
        FileSystems.get_filesystem(path)
    except ValueError as e:
        raise InputError(
            f"Beam has no file system for {path}; check the name, or install its "
            "package, such as apache-beam[gcp]."
        ) from e
    return os.path.abspath(path) if is_local(path) else path.rstrip("/")


def is_local(path: str) -> bool:
    """Say whether a path is on a disk."""
    return "://" not in path


def same_file_key(path: str) -> str:
    """Return a key that is equal for all names of one file, links included."""
    return os.path.realpath(path) if is_local(path) else path


def exists(path: str) -> bool:
    """Say whether a file exists, or on a local disk a folder."""
    return bool(FileSystems.exists(path))


def is_folder(path: str) -> bool:
    """Say whether a path is a folder on a local disk; others have no folders."""
    return is_local(path) and os.path.isdir(path)


def find(pattern: str, limit: int | None = None) -> list[str]:
    """List the files that match a pattern: `*` is any name, `**` any path."""
    [result] = FileSystems.match([pattern], [limit])
    return [metadata.path for metadata in result.metadata_list]


def find_below(folder: str, pattern: str) -> list[str]:
    """List the files of `files_below` in a local folder that match a pattern.

    Raises:
        InputError: if the pattern is not valid.
    """
    try:
        matches = re.compile(FileSystem.translate_pattern(pattern)).match
    except re.error as e:
        raise InputError(f"{pattern} is not a valid pattern ({e}); check it.") from e
    return [
        path for path in map(str, files_below(pathlib.Path(folder))) if matches(path)
    ]


def literal(path: str) -> str:
    """Return a pattern that matches only this path, even with wildcards in it."""
    # Python would warn of [[] when Beam turns it into a regular expression.
    return re.sub(r"([*?[])", r"[/\1]", path)


def read_lines(path: str) -> Iterator[str]:
    """Read a text file line by line."""
    with FileSystems.open(path) as file:
        for line in file:
            yield line.decode()


def read_json(path: str) -> Any:
    """Read a JSON file.

    Raises:
        InputError: if it is damaged.
    """
    try:
        return parse_json("".join(read_lines(path)))
    except ValueError as e:
        raise InputError(
            f"{path} is not valid JSON ({e}); begin again with `overwrite=True`."
        ) from e


def download(path: str, local: pathlib.Path) -> None:
    """Copy a file to this machine.

    Raises:
        InputError: if it cannot be read, whatever its file system or the library that
            decompresses it raises.
        OSError: if the copy cannot be written.
    """
    with local.open("wb") as target:
        target.writelines(_chunks(path))


def _chunks(path: str) -> Iterator[bytes]:
    try:
        with FileSystems.open(path) as source:
            while chunk := source.read(_CHUNK):
                yield chunk
    except Exception as e:
        reason = str(e) or type(e).__name__
        raise InputError(f"{path} cannot be read ({reason}); check the file.") from e


def publish(local: pathlib.Path, path: str, unfinished: str) -> None:
    """Copy a local file to a path where it never appears half-written.

    The copy gets a unique temporary name and is renamed, on a local disk as in
    `replacing`. If two workers write the same file, the later one wins.

    Args:
        local: the file.
        path: final name. An existing file is replaced.
        unfinished: folder for temporary files on the same file system, if that is not
            local.

    Raises:
        InputError: if a local disk can have no file of this name.
    """
    if not is_local(path):
        folder, _, name = path.rpartition("/")
        temporary = f"{unfinished}/{temporary_name(name)}"
        # Beam refuses to create an existing folder; the rename reports other failures.
        with contextlib.suppress(OSError):
            FileSystems.mkdirs(folder)
        _copy(local, temporary)
        FileSystems.rename([temporary], [path])
        return
    try:
        with replacing(pathlib.Path(path)) as beside:
            _copy(local, str(beside))
    except OSError as e:
        if e.errno not in ERRORS_OF_A_NAME:
            raise
        raise InputError(
            f"{path} cannot be written ({e.strerror}); rename the input, or choose "
            "another `out`."
        ) from e


def _copy(local: pathlib.Path, path: str) -> None:
    with local.open("rb") as source, FileSystems.create(path) as target:
        shutil.copyfileobj(source, target)


def remove_unfinished(out: str, unfinished: str) -> None:
    """Remove what stopped jobs left under temporary names in an output folder."""
    if is_local(out):
        remove_leftovers(*(pathlib.Path(folder) for folder, _, _ in os.walk(out)))
        return
    with contextlib.suppress(OSError):
        FileSystems.delete(find(f"{unfinished}/*"))


@contextlib.contextmanager
def scratch_folder() -> Iterator[pathlib.Path]:
    """Create a local temporary folder, and remove it with its contents."""
    with tempfile.TemporaryDirectory(prefix="cyclegan-") as folder:
        yield pathlib.Path(folder)
