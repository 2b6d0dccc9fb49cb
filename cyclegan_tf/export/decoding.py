"""Decode JPEG and PNG files inside a TensorFlow graph, as `read_image` does outside.

A graph that a server runs on files of strangers: whatever is in them, it answers with
an error that names the file, and does not run forever.
"""

from collections.abc import Callable

import tensorflow as tf

# Larger images are refused from their header, before they are decoded: a PNG of a few
# kilobytes can claim to be gigabytes. 4096 x 4096 is beyond what a generator can take
# in a server's memory.
MAX_PIXELS = 4096 * 4096

_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_JPEG_MAGIC = b"\xff\xd8\xff"

# The EXIF block comes first or second. A file of tiny blocks must not take minutes.
_MOST_BLOCKS = 100

_ORIENTATION_TAG = 0x0112
_SHORT = 3  # The type of two-byte numbers.


def decode_file(index: tf.Tensor, file: tf.Tensor, channels: int) -> tf.Tensor:
    """Decode one file of a batch.

    As `read_image` does, it turns the image upright by its EXIF orientation, drops
    alpha and ignores colour profiles. A damaged EXIF block is ignored. Orientations in
    other metadata (XMP, text chunks of PNG) are not looked for.

    Args:
        index: int32 (). What to call the file in an error.
        file: string (). The bytes of a JPEG or PNG file.
        channels: int. 3 or 1.

    Returns:
        uint8 (height, width, channels). The graph raises an `InvalidArgumentError` that
        names the index if the file is neither, is damaged, or has more than
        `MAX_PIXELS` pixels.
    """

    def message(text: str) -> tf.Tensor:
        return tf.strings.format("image_bytes[{}] " + text, index)

    size = _attempt(_size_in_header, file, tf.zeros((2,), tf.int64))
    with tf.control_dependencies(
        [
            tf.debugging.Assert(
                tf.reduce_all(size > 0),
                [message("cannot be read as a JPEG or PNG image")],
            ),
            tf.debugging.Assert(
                tf.reduce_prod(size) <= MAX_PIXELS,
                [message(f"has more than {MAX_PIXELS} pixels")],
            ),
        ]
    ):
        file = tf.identity(file)
    image = _attempt(
        lambda file: _decode(file, channels), file, tf.zeros((0, 0, channels), tf.uint8)
    )
    with tf.control_dependencies(
        [tf.debugging.Assert(tf.size(image) > 0, [message("is a damaged image")])]
    ):
        image = _upright(image, exif_orientation(file))
    return tf.ensure_shape(image, (None, None, channels))


def _attempt(
    function: Callable[[tf.Tensor], tf.Tensor], file: tf.Tensor, otherwise: tf.Tensor
) -> tf.Tensor:
    """Return `function(file)`, or `otherwise` if one of its operations fails.

    A graph cannot catch an error; a dataset can skip the element that raised it.
    """
    dataset = tf.data.Dataset.from_tensors(file).map(function).ignore_errors()
    return dataset.reduce(otherwise, lambda _, result: result)


def _size_in_header(file: tf.Tensor) -> tf.Tensor:
    """Read height and width, int64 (2,), without decoding; zeros for other formats."""
    no_size = tf.zeros((2,), tf.int64)
    return tf.case(
        [
            (_starts_with(file, _JPEG_MAGIC), lambda: _jpeg_size(file)),
            (_starts_with(file, _PNG_MAGIC), lambda: _png_size(file)),
        ],
        default=lambda: no_size,
    )


def _jpeg_size(file: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.image.extract_jpeg_shape(file)[:2], tf.int64)


def _png_size(file: tf.Tensor) -> tf.Tensor:
    # The first chunk, IHDR, begins with width and height.
    return tf.stack([_number(file, 20, 4), _number(file, 16, 4)])


def _decode(file: tf.Tensor, channels: int) -> tf.Tensor:
    image = tf.cond(
        _starts_with(file, _JPEG_MAGIC),
        # The accurate transform is the one that Pillow uses.
        lambda: tf.io.decode_jpeg(file, channels, dct_method="INTEGER_ACCURATE"),
        lambda: tf.io.decode_png(file, channels),
    )
    return tf.ensure_shape(image, (None, None, channels))


def _upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Undo one of the eight orientations of EXIF: a transposition, then two flips."""

    def flip(*orientations: int) -> tf.Tensor:
        return tf.where(tf.reduce_any(orientation == orientations), -1, 1)

    image = tf.cond(
        tf.logical_and(orientation >= 5, orientation <= 8),
        lambda: tf.transpose(image, (1, 0, 2)),
        lambda: image,
    )
    return image[:: flip(3, 4, 7, 8), :: flip(2, 3, 6, 7)]


def exif_orientation(file: tf.Tensor) -> tf.Tensor:
    """Read the orientation in the EXIF block, int32 (); 1 where none is found.

    Nothing in it may fail. (Not by `_attempt`: tf.data would take a tenth of a second
    to prepare the loop, for each file.)

    The block is a TIFF file: the order of its bytes, then where its directory of
    entries is, of 12 bytes each.
    """
    block = tf.cond(
        _starts_with(file, _JPEG_MAGIC),
        lambda: _jpeg_exif(file),
        lambda: _png_exif(file),
    )
    is_little = _starts_with(block, b"II")
    directory = _number(block, 4, 4, is_little)
    count = _number(block, directory, 2, is_little)
    entries = tf.io.decode_raw(_bytes(block, directory + 2, 12 * count), tf.uint8)
    whole = entries[: tf.size(entries) // 12 * 12]
    # An entry is its tag, its type, its length and its value, in 2, 2, 4 and 4 bytes.
    pairs = tf.cast(tf.reshape(whole, (-1, 6, 2)), tf.int32)
    numbers = tf.reduce_sum(pairs * tf.where(is_little, [1, 256], [256, 1]), axis=-1)
    tag, kind, value = (numbers[:, i] for i in (0, 1, 4))
    found = value[(tag == _ORIENTATION_TAG) & (kind == _SHORT)]
    return tf.concat([[1], found], axis=0)[-1]


def _jpeg_exif(file: tf.Tensor) -> tf.Tensor:
    """Find the segment: a marker, two bytes of length, `Exif`, two zeros, the block."""

    def is_exif(at: tf.Tensor) -> tf.Tensor:
        marker, name = _bytes(file, at, 2), _bytes(file, at + 4, 6)
        return (marker == b"\xff\xe1") & (name == b"Exif\0\0")

    def end(at: tf.Tensor) -> tf.Tensor:
        return at + 2 + _number(file, at + 2, 2)

    return _first_block(file, 2, end, is_exif, 10)


def _png_exif(file: tf.Tensor) -> tf.Tensor:
    """Find the chunk: four bytes of length, `eXIf`, the block, a checksum."""

    def is_exif(at: tf.Tensor) -> tf.Tensor:
        return _bytes(file, at + 4, 4) == b"eXIf"

    def end(at: tf.Tensor) -> tf.Tensor:
        return at + 12 + _number(file, at, 4)

    return _first_block(file, len(_PNG_MAGIC), end, is_exif, 8)


def _first_block(
    file: tf.Tensor,
    start: int,
    end: Callable[[tf.Tensor], tf.Tensor],
    is_wanted: Callable[[tf.Tensor], tf.Tensor],
    header: int,
) -> tf.Tensor:
    """Go from block to block; empty if none is wanted. A block may end too late."""
    size = tf.cast(tf.strings.length(file), tf.int64)
    (at,) = tf.while_loop(
        lambda at: (at < size) & ~is_wanted(at),
        lambda at: (end(at),),
        (tf.constant(start, tf.int64),),
        maximum_iterations=_MOST_BLOCKS,
    )
    block = _bytes(file, at + header, tf.maximum(end(at) - at - header, 0))
    return tf.where(is_wanted(at), block, b"")


def _number(
    file: tf.Tensor,
    at: int | tf.Tensor,
    length: int,
    is_little: bool | tf.Tensor = False,
) -> tf.Tensor:
    """Read an unsigned number of so many bytes, int64 (); 0 beyond the end."""
    digits = tf.io.decode_raw(_bytes(file, at, length), tf.uint8)
    digits = tf.cast(tf.pad(digits, [[0, length - tf.size(digits)]]), tf.int64)
    digits = tf.where(is_little, digits[::-1], digits)
    return tf.reduce_sum(digits * [256**i for i in reversed(range(length))])


def _bytes(file: tf.Tensor, at: int | tf.Tensor, length: int | tf.Tensor) -> tf.Tensor:
    """Cut out so many bytes; fewer at the end, none beyond it."""
    size = tf.cast(tf.strings.length(file), tf.int64)
    at = tf.minimum(tf.cast(at, tf.int64), size)
    return tf.strings.substr(file, at, tf.cast(length, tf.int64))


def _starts_with(file: tf.Tensor, magic: bytes) -> tf.Tensor:
    return _bytes(file, 0, len(magic)) == magic
