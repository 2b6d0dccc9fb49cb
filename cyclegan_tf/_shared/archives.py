"""Open untrusted zip files (`.keras`, `.pth`) and HDF5 files.

Headers are checked before data is read, and library errors become one-sentence
`InputError`s.
"""

import collections
import contextlib
import io
import json
import pathlib
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cyclegan_tf._shared.errors import InputError, first_line
from cyclegan_tf._shared.files import parse_json

if TYPE_CHECKING:
    import h5py

# Entries of a `.keras` file: the description of the model, and its arrays.
KERAS_CONFIG, KERAS_WEIGHTS = "config.json", "model.weights.h5"
_KERAS_ENTRIES = {"metadata.json", KERAS_CONFIG, KERAS_WEIGHTS}

# Bytes of the description of a model, by the header of its entry: ten times that of a
# CycleGAN with ResNet-9. Parsing takes up to 50 times as much memory.
LARGEST_CONFIG = 4 * 2**20

_READ_STRINGS = """
import io, sys, h5py

def read(_, item):
    dict(item.attrs)

try:
    source = sys.argv[1] if sys.argv[1:] else io.BytesIO(sys.stdin.buffer.read())
    with h5py.File(source) as file:
        read("", file)
        file.visititems(read)
except Exception:
    sys.exit(3)
"""
# It occurs again where the file is read for use, and is reported there.
_ERROR_OF_THE_LIBRARY = 3
_SECONDS_FOR_STRINGS = 30


@contextlib.contextmanager
def reading(
    path: pathlib.Path,
    kind: str,
    advice: str = "it is damaged or of another format",
) -> Iterator[None]:
    """Turn whatever a library raises about a file into an `InputError`.

    Args:
        path: the file or folder that is read.
        kind: what the file should be, such as `"a Keras .h5 file"`.
        advice: what to do.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as e:  # a damaged or hostile file can raise anything
        raise InputError(
            f"{path} cannot be read as {kind} ({first_line(e)}); {advice}."
        ) from e


@contextlib.contextmanager
def open_zip(path: pathlib.Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip file whose entries are stored as they are, as frameworks write them.

    Raises:
        InputError: if an entry is compressed or encrypted, or a name occurs twice; if
            the entries claim more data than the size of the file.
        zipfile.BadZipFile: if it is not a zip file.
    """
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        for entry in entries:
            _check_entry(path, entry)
        counts = collections.Counter(entry.filename for entry in entries)
        for name, count in counts.items():
            if count > 1:
                raise InputError(
                    f"{path} holds {name} {count} times, which no framework writes; "
                    "save the model again."
                )
        check_claim(path, sum(entry.file_size for entry in entries), "entries")
        yield archive


def check_claim(path: pathlib.Path, claimed: int, what: str) -> None:
    """Check that a file or folder does not claim more bytes than it has.

    Raises:
        InputError: if it does.
    """
    files = path.rglob("*") if path.is_dir() else [path]
    size = sum(file.stat().st_size for file in files if file.is_file())
    if claimed > size:
        raise InputError(
            f"{path} has {size} bytes, but its {what} claim {claimed}; it is damaged "
            "or made to fill the memory."
        )


def write_note(archive: pathlib.Path, note: Mapping[str, Any]) -> None:
    """Write a note into a zip file that every reader of it ignores: its comment.

    Args:
        archive: a zip file, such as a `.keras` file.
        note: what JSON can hold, in at most 65,535 bytes.
    """
    with zipfile.ZipFile(archive, "a") as file:
        file.comment = json.dumps(note).encode()


def read_note(archive: pathlib.Path) -> dict[str, Any]:
    """Read what `write_note` wrote; nothing if no zip file with a note can be read."""
    try:
        with open_zip(archive) as file:
            note = parse_json(file.comment)
    except (OSError, zipfile.BadZipFile, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def read_json_entry(archive: zipfile.ZipFile, name: str) -> Any:
    """Read a JSON file in a zip file that `open_zip` opened.

    Raises:
        ValueError: if it is no JSON, or larger than `LARGEST_CONFIG`.
        KeyError: if there is none of this name.
    """
    size = archive.getinfo(name).file_size
    if size > LARGEST_CONFIG:
        raise ValueError(f"{name} has {size} bytes, more than {LARGEST_CONFIG}")
    return parse_json(archive.read(name))


@contextlib.contextmanager
def open_h5(path: pathlib.Path, content: bytes | None = None) -> Iterator["h5py.File"]:
    """Open an HDF5 file that holds each of its arrays itself, and once.

    Arrays may be compressed or never written; links, external and virtual arrays can
    point to any file on this machine, and second names repeat an array at will.

    Args:
        path: the file on the disk.
        content: the HDF5 file, if it is an entry of the archive `path`.

    Raises:
        InputError: if the arrays claim more data than the size of `path`, or one points
            elsewhere; if the HDF5 library does not come to an end with it.
        OSError: if it is not an HDF5 file.
    """
    import h5py

    if content is None:
        _check_that_reading_ends(path)
    with h5py.File(path if content is None else io.BytesIO(content)) as file:
        claimed = 0
        places = set()
        has_dtypes = False

        def leads_elsewhere(name: str, link: Any) -> str | None:
            nonlocal claimed, has_dtypes
            if not isinstance(link, h5py.HardLink):
                return name
            item = file[name]
            place = h5py.h5o.get_info(item.id).addr
            if place in places:
                return name
            places.add(place)
            if not isinstance(item, h5py.Dataset):
                return None
            claimed += item.nbytes
            has_dtypes |= "dtype" in item.attrs
            return name if item.external or item.is_virtual else None

        # The visit ends at the first returned name; h5py passes on no exceptions.
        if name := file.visititems_links(leads_elsewhere):
            raise InputError(
                f"{path} holds {name}, which points elsewhere, as no framework writes "
                "it; save the model again."
            )
        check_claim(path, claimed, "arrays")
        # The only strings that Keras reads are attributes `dtype`.
        if content is not None and has_dtypes:
            _check_that_reading_ends(path, content)
        yield file


def _check_that_reading_ends(path: pathlib.Path, content: bytes | None = None) -> None:
    """Read the strings of an HDF5 file in another process first.

    A damaged string heap can make HDF5 loop forever or crash.
    """
    source = [path] if content is None else []
    try:
        code = subprocess.run(
            [sys.executable, "-P", "-c", _READ_STRINGS, *source],
            input=content,
            stderr=subprocess.DEVNULL,
            timeout=_SECONDS_FOR_STRINGS,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired:
        code = -1
    if code not in (0, _ERROR_OF_THE_LIBRARY):
        raise InputError(
            f"{path} is damaged: the HDF5 library cannot read its strings. Save the "
            "model again."
        )


def check_keras(path: pathlib.Path) -> dict[str, Any]:
    """Check a `.keras` file before Keras reads it; return its description of the model.

    Raises:
        Exception: of any kind, if it is not what Keras 3 writes; see `reading`.
    """
    with open_zip(path) as archive:
        if others := set(archive.namelist()) - _KERAS_ENTRIES:
            raise ValueError(f"it also holds {min(others)}")
        # In memory, as Keras does: reading it all compares its checksum first.
        with open_h5(path, archive.read(KERAS_WEIGHTS)):
            config: dict[str, Any] = read_json_entry(archive, KERAS_CONFIG)
            return config


def _check_entry(path: pathlib.Path, entry: zipfile.ZipInfo) -> None:
    if entry.compress_type != zipfile.ZIP_STORED or (
        entry.file_size != entry.compress_size
    ):
        raise InputError(
            f"{path} is compressed ({entry.filename} grows from {entry.compress_size} "
            f"to {entry.file_size} bytes), but no framework compresses its models; "
            "save the model again."
        )
    if entry.flag_bits & 1:
        raise InputError(
            f"{path} is encrypted ({entry.filename}); save the model again without a "
            "password."
        )
