"""TFRecord files of encoded images: `tf.train.Example`s with two features.

`image/encoded` has the bytes of an image file, `image/filename` its name. The suffix of
the name determines the format of the translation.
"""

import pathlib
from collections.abc import Iterator

import tensorflow as tf
from google.protobuf.message import DecodeError

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.images.reading import SUFFIXES

ENCODED = "image/encoded"
FILENAME = "image/filename"


class UnreadableRecordsError(InputError):
    """A file is damaged or not a TFRecord file."""


def read_records(path: pathlib.Path, label: str) -> Iterator[bytes]:
    """Read a TFRecord file.

    Args:
        path: the file, not compressed.
        label: its name in messages.

    Yields:
        The records in order.

    Raises:
        UnreadableRecordsError: after the last readable record of a damaged file.
    """
    count = 0
    try:
        whole, is_complete = _whole_records(path)
        dataset = tf.data.TFRecordDataset(str(path)).take(whole)
        for record in dataset.as_numpy_iterator():
            yield record
            count += 1
        if not is_complete:
            raise EOFError
    except Exception as e:
        raise UnreadableRecordsError(
            f"{label} cannot be read as a TFRecord file after its first {count} "
            "records; write it again."
        ) from e


def _whole_records(path: pathlib.Path) -> tuple[int, bool]:
    """Count the records before the end of a file, and say whether that ends the last.

    If a record claims far more bytes than there are, TensorFlow asks for the memory and
    ends the process.
    """
    size, count, end = path.stat().st_size, 0, 0
    with path.open("rb") as file:
        while header := file.read(12):  # the length and its checksum
            end += 16 + int.from_bytes(header[:8], "little")  # a checksum ends it
            if len(header) < 12 or end > size:
                return count, False
            file.seek(end)
            count += 1
    return count, True


def decode_record(record: bytes, label: str) -> tuple[str, bytes]:
    """Read the image of a record.

    Args:
        record: a serialized `tf.train.Example`.
        label: its name in messages.

    Returns:
        The image's name, a relative path with an image suffix, and its encoded content.

    Raises:
        InputError: if the record has no such name or no content.
    """
    name_bytes, content = _feature(record, FILENAME), _feature(record, ENCODED)
    if name_bytes is None or content is None:
        raise InputError(
            f"{label} is no tf.train.Example with one {ENCODED} and one {FILENAME}; "
            "write these features."
        )
    name = name_bytes.decode(errors="replace")
    path = pathlib.PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise InputError(
            f"{label} is named {name!r}, which leads out of the output folder; use a "
            "relative path."
        )
    written = name.encode()  # longer than `name_bytes` if these are not UTF-8
    longest = max(map(len, written.split(b"/")))
    if "\0" in name or longest > 255 or len(written) > 1024:
        raise InputError(
            f"{label} is named {name[:32]!r}..., which no file system allows; use at "
            "most 255 bytes for each folder and file, 1,024 in all, and no null byte."
        )
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"{label} is named {name!r}, which has no image suffix; known are "
            f"{', '.join(sorted(SUFFIXES))}."
        )
    return str(path), content


def encode_record(name: str, content: bytes, like: bytes = b"") -> bytes:
    """Return a record of an encoded image, with the other features of `like`."""
    example = tf.train.Example.FromString(like)
    for feature, value in {FILENAME: name.encode(), ENCODED: content}.items():
        example.features.feature[feature].bytes_list.value[:] = [value]
    # Features are a map without an order of its own.
    return example.SerializeToString(deterministic=True)


def _feature(record: bytes, name: str) -> bytes | None:
    """Return the value of a bytes feature, if it has exactly one."""
    try:
        features = tf.train.Example.FromString(record).features.feature
    except DecodeError:
        return None
    values = features[name].bytes_list.value if name in features else []
    return values[0] if len(values) == 1 else None
