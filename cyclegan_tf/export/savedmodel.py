"""The generator as a SavedModel in the layout of TensorFlow Serving.

Signatures (TensorFlow Serving calls them by name; `serving_default` if none is given):

serving_default   image: float32 (batch, height, width, channels) in [-1, 1]
                  -> translated: the same with output channels. The sides must suit
                  the generator: multiples of 4 for a ResNet.
uint8             image: uint8 (batch, height, width, channels)
                  -> translated: uint8 of the same height and width; any size.
image_bytes       image_bytes: (batch,) JPEG or PNG files of any and different sizes
                  -> translated_bytes: (batch,) PNG files of the same sizes. REST
                  carries names that end in _bytes as base64.

A request of more than `cyclegan_tf.images.MAX_PIXELS` pixels fails before anything is
computed: for image_bytes in one file, else in all images of the batch.
"""

import collections
import contextlib
import importlib.util
import itertools
import os
import pathlib
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from cyclegan_tf.export.decoding import decode_file, small_images
from cyclegan_tf.images.pixels import normalize
from cyclegan_tf.translation.translator import translate_images

WARMUP = pathlib.PurePath("assets.extra", "tf_serving_warmup_requests")

# These keep a graph together and compute nothing.
_NO_OPERATIONS = {
    "Const",
    "Identity",
    "NoOp",
    "Placeholder",
    "ReadVariableOp",
    "StatefulPartitionedCall",
}


class SavedModelRuntime:
    """The signature `serving_default`: a `Runtime` of the parity report."""

    def __init__(self, folder: pathlib.Path):
        self._loaded = tf.saved_model.load(str(folder))
        self._signature = self._loaded.signatures["serving_default"]
        self.runtime = f"tensorflow {tf.__version__}"
        threads = tf.config.threading.get_intra_op_parallelism_threads()
        self.threads = threads or os.cpu_count() or 1
        graph = self._signature.graph.as_graph_def()
        functions = [function.node_def for function in graph.library.function]
        nodes = itertools.chain(graph.node, *functions)
        operations = collections.Counter(node.op for node in nodes)
        for name in _NO_OPERATIONS:
            del operations[name]
        self.operations = dict(sorted(operations.items()))

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Translate images, float32 (batch, height, width, channels) in [-1, 1]."""
        return self._signature(image=tf.constant(image))["translated"].numpy()


def write_saved_model(folder: pathlib.Path, model: keras.Model) -> None:
    """Write a model with the three signatures.

    Args:
        folder: the new folder; its last part is the version number.
        model: a model returned by `inference_model`.
    """
    channels = model.input_shape[-1]
    # Not archive.track(model) too: it would store every weight twice.
    archive = keras.export.ExportArchive()

    def serving_default(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"translated": model(small_images(image), training=False)}

    def uint8(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"translated": translate_images(model, small_images(image))}

    def image_bytes(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        def translate_file(item: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
            image = decode_file(*item, channels)
            return tf.io.encode_png(translate_images(model, image[None])[0])

        # One at a time: an image may be large, and convolutions run in parallel.
        files = tf.map_fn(
            translate_file,
            (tf.range(tf.size(image_bytes)), image_bytes),
            fn_output_signature=tf.TensorSpec((), tf.string),
            parallel_iterations=1,
        )
        return {"translated_bytes": files}

    shape = (None, None, None, channels)
    for function, spec in (
        (serving_default, tf.TensorSpec(shape, tf.float32, "image")),
        (uint8, tf.TensorSpec(shape, tf.uint8, "image")),
        (image_bytes, tf.TensorSpec((None,), tf.string, "image_bytes")),
    ):
        archive.add_endpoint(function.__name__, function, [spec])
    with _errors_of_the_disk():
        archive.write_out(folder, verbose=False)


def can_write_warmup_requests() -> bool:
    """Return whether the extra `serving` is installed."""
    return importlib.util.find_spec("tensorflow_serving") is not None


def write_warmup_requests(
    folder: pathlib.Path, name: str, image_shape: tuple[int, int, int]
) -> None:
    """Write the requests that TensorFlow Serving runs before it uses a model.

    One gray image for each signature. Needs the extra `serving`.

    Args:
        folder: of the SavedModel.
        name: the model's name on the server.
        image_shape: (height, width, channels) of the image.
    """
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    pixels = np.full((1, *image_shape), 127, np.uint8)
    requests = {
        "serving_default": ("image", normalize(pixels.astype(np.float32))),
        "uint8": ("image", pixels),
        "image_bytes": ("image_bytes", [tf.io.encode_png(pixels[0]).numpy()]),
    }
    path = folder / WARMUP
    path.parent.mkdir()
    with _errors_of_the_disk(), tf.io.TFRecordWriter(str(path)) as writer:
        for signature, (input_name, value) in requests.items():
            request = predict_pb2.PredictRequest()
            request.model_spec.name = name
            request.model_spec.signature_name = signature
            request.inputs[input_name].CopyFrom(tf.make_tensor_proto(value))
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(request=request)
            )
            writer.write(log.SerializeToString())


@contextlib.contextmanager
def _errors_of_the_disk() -> Iterator[None]:
    """Raise an `OSError` where TensorFlow cannot write, as Python's functions do."""
    try:
        yield
    except tf.errors.OpError as e:
        raise OSError(e.message) from e
