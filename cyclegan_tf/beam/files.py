"""Files on any file system that Apache Beam knows: read, found, written whole.

Paths are strings, `gs://bucket/name` or absolute local ones. Beam packs and unpacks
what ends in `.gz`. Needs the extra `beam`.
"""

import contextlib
import os
import pathlib
import re
import shutil
import tempfile
import uuid
import zlib
from collections.abc import Iterator

from apache_beam.io.filesystems import FileSystems

from cyclegan_tf._shared.errors import InputError


def absolute(path: str) -> str:
    """Return a path that means the same on every worker, as far as they share files.

    Raises:
        InputError: if Beam does not know its file system.
    """
    try:
        FileSystems.get_filesystem(path)
    except ValueError as e:
        raise InputError(
            f"Beam has no file system for {path}; check the name, or install what it "
            "needs, such as apache-beam[gcp]."
        ) from e
    return path.rstrip("/") if "://" in path else os.path.abspath(path)


def same_file_key(path: str) -> str:
    """Return what is equal for two names of one file, links followed."""
    return path if "://" in path else os.path.realpath(path)


def exists(path: str) -> bool:
    """Say whether there is a file, or on a disk a folder."""
    return bool(FileSystems.exists(path))


def find(pattern: str, limit: int | None = None) -> list[str]:
    """List the files that match a pattern; `*` is any name, `**` any path."""
    [result] = FileSystems.match([pattern], [limit])
    return [metadata.path for metadata in result.metadata_list]


def literal(path: str) -> str:
    """Return the pattern that matches a path with wildcards in its name."""
    # Not [[], of which Python warns when Beam makes a regular expression of it.
    return re.sub(r"([*?[])", r"[/\1]", path)


def read_lines(path: str) -> Iterator[str]:
    """Read a text file line by line."""
    with FileSystems.open(path) as file:
        for line in file:
            yield line.decode()


def download(path: str, local: pathlib.Path) -> None:
    """Copy a file to this machine.

    Raises:
        InputError: if it is gone, may not be read, or cannot be unpacked. What else a
            file system raises may pass; it is for Beam to try again.
    """
    try:
        with FileSystems.open(path) as source, local.open("wb") as target:
            shutil.copyfileobj(source, target)
    except (FileNotFoundError, PermissionError, EOFError, zlib.error) as e:
        raise InputError(f"{path} cannot be read ({e}); check the file.") from e


def publish(local: pathlib.Path, path: str, unfinished: str) -> None:
    """Copy a file from this machine, so that it is never seen half-written.

    It is written under another name, that no second worker takes, and renamed. Where
    two workers write the same file, the later one replaces the other's.

    Args:
        local: the file.
        path: the final name. A file there is replaced.
        unfinished: a folder on the same file system, for the other name.
    """
    folder, _, name = path.rpartition("/")
    temporary = f"{unfinished}/{uuid.uuid4().hex}.{name}"
    # Beam refuses to make what is there. Where one cannot be made, the rename says so.
    with contextlib.suppress(OSError):
        FileSystems.mkdirs(folder)
    with local.open("rb") as source, FileSystems.create(temporary) as target:
        shutil.copyfileobj(source, target)
    FileSystems.rename([temporary], [path])


def remove_files(folder: str) -> None:
    """Remove the files in a folder, as far as that is possible."""
    with contextlib.suppress(OSError):
        FileSystems.delete(find(f"{folder}/*"))


@contextlib.contextmanager
def scratch_folder() -> Iterator[pathlib.Path]:
    """Make a folder on this machine, and remove it with what is in it."""
    with tempfile.TemporaryDirectory(prefix="cyclegan-") as folder:
        yield pathlib.Path(folder)
