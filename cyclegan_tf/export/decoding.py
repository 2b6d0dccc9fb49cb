"""Decode JPEG and PNG files, and limit pixels, inside a TensorFlow graph."""

import tensorflow as tf

from cyclegan_tf.images.reading import MAX_PIXELS

_JPEG_MAGIC = b"\xff\xd8\xff"
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


def decode_file(index: tf.Tensor, file: tf.Tensor, channels: int) -> tf.Tensor:
    """Decode one file of a batch, after its header says that it is not too large.

    16-bit gray is scaled to 8 bits by round(v / 257), as `cyclegan_tf.images` does.
    Alpha is dropped; color profiles and the EXIF orientation are ignored.

    Args:
        index: int32 (). The file's place in the batch, for errors.
        file: string (). The bytes of a JPEG or PNG file.
        channels: int. 3 or 1.

    Returns:
        uint8 (height, width, channels). The graph raises an `InvalidArgumentError` if
        the file is of another format, is damaged, or has more than `MAX_PIXELS` pixels.
    """

    def check(condition: tf.Tensor, text: str) -> tf.Operation:
        message = tf.strings.format("image_bytes[{}] " + text, index)
        return tf.debugging.Assert(condition, [message])

    size = _size_in_header(file)
    with tf.control_dependencies(
        [
            check(tf.reduce_all(size > 0), "is not a JPEG or PNG image"),
            check(_is_small(size), f"has more than {MAX_PIXELS} pixels"),
        ]
    ):
        return tf.cond(
            _is_deep_gray(file),
            lambda: _decode_deep_gray(file, channels),
            # It decodes PNG too. Pillow uses the accurate transform, decode_image not.
            lambda: tf.io.decode_jpeg(file, channels, dct_method="INTEGER_ACCURATE"),
        )


def small_images(images: tf.Tensor) -> tf.Tensor:
    """Return a batch of images unchanged, if it is not too large for a generator.

    Args:
        images: (batch, height, width, channels) of any type.

    Returns:
        The same. The graph raises an `InvalidArgumentError` if the batch has more than
        `MAX_PIXELS` pixels.
    """
    message = f"The images of a batch have more than {MAX_PIXELS} pixels"
    check = tf.debugging.Assert(_is_small(tf.shape(images)[:3]), [message])
    with tf.control_dependencies([check]):
        return tf.identity(images)


def _is_small(sides: tf.Tensor) -> tf.Tensor:
    return tf.reduce_prod(tf.cast(sides, tf.int64)) <= MAX_PIXELS


def _is_deep_gray(file: tf.Tensor) -> tf.Tensor:
    """Say whether a file is a PNG with 16 bits per pixel and one channel."""
    depth_and_color = tf.strings.substr(tf.strings.join([file, bytes(26)]), 24, 2)
    return _starts_with(file, _PNG_MAGIC) & (depth_and_color == b"\x10\x00")


def _decode_deep_gray(file: tf.Tensor, channels: int) -> tf.Tensor:
    levels = tf.cast(tf.io.decode_png(file, 1, tf.uint16), tf.int32)
    rounded = tf.cast((levels + 128) // 257, tf.uint8)
    return tf.repeat(rounded, channels, axis=-1)


def _starts_with(file: tf.Tensor, magic: bytes) -> tf.Tensor:
    # Padded, because TensorFlow does not cut bytes out of a shorter file.
    padded = tf.strings.join([file, bytes(len(magic))])
    return tf.strings.substr(padded, 0, len(magic)) == magic


def _size_in_header(file: tf.Tensor) -> tf.Tensor:
    """Read the sides, int32 (2,), without decoding; zeros for other formats."""

    def png_size() -> tf.Tensor:
        sides = tf.strings.substr(tf.strings.join([file, bytes(24)]), 16, 8)
        return tf.io.decode_raw(sides, tf.int32, little_endian=False)

    return tf.case(
        [
            (
                _starts_with(file, _JPEG_MAGIC),
                lambda: tf.image.extract_jpeg_shape(file)[:2],
            ),
            (_starts_with(file, _PNG_MAGIC), png_size),
        ],
        default=lambda: tf.zeros((2,), tf.int32),
    )
