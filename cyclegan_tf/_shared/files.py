"""Write, check, remove and sort files; 2.jpg comes before 10.jpg."""

import collections
import contextlib
import errno
import json
import math
import os
import pathlib
import re
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import filelock

from cyclegan_tf._shared.errors import InputError

# Errors of the system for which the name of one file is at fault. All others, such as a
# full disk, concern the next file as well.
ERRORS_OF_A_NAME = frozenset(
    {
        errno.ENAMETOOLONG,
        errno.EINVAL,
        errno.EILSEQ,
        errno.EISDIR,
        errno.ENOTDIR,
        errno.EEXIST,
    }
)

# Characters of a name in its temporary name, so that this is short.
_KEPT_OF_A_NAME = 32


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Write a file or folder under a temporary name, then rename it.

    If the block fails, `path` stays as it was and the temporary file is removed. After
    the block, the new content is on the disk: a power cut does not undo it.

    Args:
        path: final name. An existing file is replaced; an existing folder is an error.

    Yields:
        A temporary path beside `path`, with the same suffixes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(temporary_name(path.name))
    try:
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
        _sync_one(path.parent)
    except BaseException:
        remove(temporary)
        raise


def _sync(path: pathlib.Path) -> None:
    """Wait until a file, or a folder with all that it holds, is on the disk."""
    if path.is_dir():
        for child in path.iterdir():
            _sync(child)
    _sync_one(path)


def _sync_one(path: pathlib.Path) -> None:
    if os.name == "nt":  # it cannot sync what is open for reading
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as e:
        if e.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network disks
            raise
    finally:
        os.close(descriptor)


def temporary_name(name: str) -> str:
    """Return a unique hidden name with the end of a name, such as its suffixes.

    It is short, where most systems allow names of 255 bytes.
    """
    return f".{uuid.uuid4().hex}.{name[-_KEPT_OF_A_NAME:]}"


def remove_leftovers(*folders: pathlib.Path, of: Iterable[str] | None = None) -> None:
    """Remove what killed processes left in folders under temporary names.

    Call it only where no other process writes, such as in `locked`.

    Args:
        *folders: existing or not.
        of: the names of the files that were to be written. Defaults to any.
    """
    ends = None if of is None else {name[-_KEPT_OF_A_NAME:] for name in of}
    for folder in folders:
        for path in folder.glob(".*"):
            found = re.match(r"\.[0-9a-f]{32}\.(.*)", path.name, re.DOTALL)
            if found and (ends is None or found[1] in ends):
                remove(path)


@contextlib.contextmanager
def locked(folder: pathlib.Path, doing: str, option: str) -> Iterator[None]:
    """Keep other processes out of a folder, by a lock on its file `.lock`.

    Args:
        folder: an existing folder.
        doing: what processes do there, such as `"training"`.
        option: name of the option that chooses the folder.

    Raises:
        InputError: if another process has the lock.
    """
    lock = filelock.FileLock(folder / ".lock", blocking=False)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise InputError(
            f"Another process is {doing} in {folder}; wait for it, or choose another "
            f"`{option}`."
        ) from None
    try:
        yield
    finally:
        lock.release()


def versions_in(folder: pathlib.Path) -> dict[int, pathlib.Path]:
    """Return the versions of a SavedModel, as TensorFlow Serving finds them.

    Returns:
        Their folders by number, in ascending order; none if there is no folder.
    """
    folders = (path for path in folder.glob("[0-9]*") if path.is_dir())
    return {
        int(path.name): path
        for path in sorted(folders, key=natural_key)
        if path.name.isdecimal()
    }


def printable(text: object) -> str:
    r"""Return a text that can be written in UTF-8, as not all names of files can.

    Python keeps bytes of a name that are not UTF-8 as lone surrogates; these become
    escapes such as `\udcff`.
    """
    return str(text).encode(errors="backslashreplace").decode()


def identity(path: pathlib.Path) -> tuple[int, int] | None:
    """Return what two names of one file have in common; `None` if there is no file.

    The names may differ by links, or in case where the system ignores it.
    """
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def write_json(path: pathlib.Path, content: Any) -> None:
    """Write an indented JSON file, replacing an earlier one.

    Numbers that are not finite become null: JSON has no others.
    """
    text = json.dumps(finite(content), indent=2, allow_nan=False)
    with replacing(path) as temporary:
        temporary.write_text(text + "\n")


def parse_json(text: str | bytes) -> Any:
    """Parse JSON that another program, or a stranger, may have written.

    Raises:
        ValueError: if it is none, or nested too deeply for Python's parser.
    """
    try:
        return json.loads(text)
    except RecursionError as e:
        raise ValueError("it is nested too deeply") from e


def finite(content: Any) -> Any:
    """Return content for JSON, with null for each number that is not finite."""
    if isinstance(content, dict):
        return {key: finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [finite(value) for value in content]
    is_infinite = isinstance(content, float) and not math.isfinite(content)
    return None if is_infinite else content


def check_free(path: pathlib.Path, overwrite: bool) -> None:
    """Check that an output replaces an existing file or folder only on request.

    Raises:
        InputError: if `path` exists and `overwrite` is false.
    """
    if path.exists() and not overwrite:
        raise InputError(
            f"{path} already exists; choose another `out`, or replace it with "
            "`overwrite=True`."
        )


def remove(path: pathlib.Path) -> None:
    """Remove a file, a folder with its contents, or a link itself, if it exists."""
    if path.is_dir() and not path.is_symlink():
        for child in path.iterdir():
            remove(child)
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def check_downloaded(path: pathlib.Path) -> None:
    """Check that a file is not what a failed download leaves in the place of a model.

    Raises:
        InputError: if it is a web page or the pointer of Git LFS.
    """
    with path.open("rb") as file:
        start = file.read(256).removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head")):
        raise InputError(
            f"{path} is a web page instead of a model; download the file itself, not "
            "the page about it."
        )
    if start.startswith(b"version https://git-lfs"):
        raise InputError(
            f"{path} is a pointer of Git LFS instead of a model; fetch the file itself "
            "with git lfs pull."
        )


def files_below(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """List the files in a folder and its subfolders.

    Hidden files and folders are left out. Links to folders are followed, but each
    folder is listed once, so they may form a circle.

    Yields:
        The files, among them links without a target, and subfolders that cannot be
        read.
    """
    unreadable: list[OSError] = []
    seen: set[str] = set()
    starts = collections.deque([str(folder)])
    while starts:  # what a link leads to comes after what lies here
        for here, folders, files in os.walk(
            starts.popleft(), onerror=unreadable.append
        ):
            if os.path.realpath(here) in seen:
                folders.clear()
                continue
            seen.add(os.path.realpath(here))
            folders[:] = [name for name in folders if not name.startswith(".")]
            paths = [os.path.join(here, name) for name in sorted(folders)]
            starts.extend(path for path in paths if os.path.islink(path))
            for name in files:
                if not name.startswith("."):
                    yield pathlib.Path(here, name)
    for error in unreadable:
        yield pathlib.Path(error.filename)


def relative_name(path: str, folder: str | pathlib.Path) -> str:
    """Return a path relative to a folder, or unchanged if it is not inside."""
    full = pathlib.PurePath(path)
    return full.relative_to(folder).as_posix() if full.is_relative_to(folder) else path


def natural_key(path: pathlib.Path | str) -> list[tuple[int, str]]:
    """Sort key that puts `2.jpg` before `10.jpg`."""
    parts = re.split(r"(\d+)", str(path))
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
