"""Small files to export and translate, and reading what was exported."""

import io
import struct
import zlib

import keras
import numpy as np
import PIL.Image
import tensorflow as tf

from cyclegan_tf.export.parity import as_input
from cyclegan_tf.images import read_image, resize_image


def two_layer_generator():
    """A generator for tests in which its inside does not matter; sides are even."""
    image = keras.Input((None, None, 3))
    options = {"strides": 2, "padding": "same"}
    x = keras.layers.Conv2D(4, 3, activation="relu", **options)(image)
    x = keras.layers.Conv2DTranspose(3, 4, activation="tanh", **options)(x)
    return keras.Model(image, x)


def encode(image, suffix="PNG"):
    """Return the bytes of an image file."""
    buffer = io.BytesIO()
    pixels = image[..., 0] if image.shape[-1] == 1 else image
    PIL.Image.fromarray(pixels).save(buffer, suffix, quality=95)
    return buffer.getvalue()


def photo(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def photographs(folder, count, side=256):
    """Read the first JPEG files of a folder, square, as a generator takes them."""
    images = [read_image(path) for path in sorted(folder.glob("*.jpg"))[:count]]
    return as_input([resize_image(image, side, side) for image in images])


def png_that_claims(width, height):
    """A small PNG whose header promises so many pixels."""

    def chunk(kind, data):
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )


def translate_files(saved_model, files):
    """Send files to the signature `image_bytes`, and decode the answer."""
    signature = saved_model.signatures["image_bytes"]
    answer = signature(image_bytes=tf.constant(files, tf.string))["translated_bytes"]
    return [read_image(file.numpy(), 3) for file in answer]
