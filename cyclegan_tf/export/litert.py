"""The generator as LiteRT (TFLite) files, for phones, browsers and edge devices.

variant          weights   activations   for
float32          float32   float32       the reference; desktop processors
float16          float16   float32       GPUs; half the size, hardly any difference
dynamic_range    int8      float32       processors; quantized as it runs
int16x8          int8      int16         accurate integers; slow on desktop processors
int8             int8      int8          integer-only accelerators; also in- and output

The last two are calibrated: the range of every tensor is measured on images.
"""

import tempfile
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cyclegan_tf._shared.errors import RefusedFileError, first_line
from cyclegan_tf.export.equalization import equalize
from cyclegan_tf.export.gpu_safe import gpu_safe
from cyclegan_tf.export.litert_runtime import LiteRTModel
from cyclegan_tf.export.options import CALIBRATED, LiteRTVariant
from cyclegan_tf.models.networks.graph import size_multiple

# A conversion that loses the weights leaves these operations, and computes NaN.
_VARIABLE_OPERATIONS = {"VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE"}


def convert(
    model: keras.Model,
    variant: LiteRTVariant,
    size: tuple[int, int] | None,
    calibration: Sequence[np.ndarray] = (),
    for_gpu: bool = False,
) -> bytes:
    """Convert a model to the content of a LiteRT file.

    The file has one signature, `serving_default`, from `image` to `translated`, for
    one image at a time, and builtin operations only.

    Args:
        model: a model returned by `inference_model`.
        variant: the number formats, see above.
        size: (height, width) of the images; any size if `None`. GPUs and most
            accelerators want it fixed.
        calibration: float32 images (1, height, width, channels) in [-1, 1], for
            `int16x8` and `int8`.
        for_gpu: whether to make it `gpu_safe`, which needs a size.

    Returns:
        The content, checked by `refuse_unusable`.

    Raises:
        RefusedFileError: if the model cannot be converted, or is refused.
    """
    if variant in CALIBRATED:
        model = equalize(model, calibration)
    if for_gpu:
        model = gpu_safe(model)
    height, width = size or (None, None)
    shape = (1, height, width, model.input_shape[-1])
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # The converter calibrates with TensorFlow's own interpreter, and warns of it.
        warnings.filterwarnings("ignore", ".*tf.lite.Interpreter is deprecated")
        archive = keras.export.ExportArchive()
        archive.add_endpoint(
            "serving_default",
            lambda image: {"translated": model(image, training=False)},
            [tf.TensorSpec(shape, tf.float32, "image")],
        )
        archive.write_out(folder, verbose=False)
        # Not from_concrete_functions: it loses Keras 3 variables without an error.
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        _choose_numbers(converter, variant, calibration)
        try:
            content = converter.convert()
        except Exception as e:  # ConverterError is not public, nor the only one
            raise RefusedFileError(
                f"{model.name} cannot be converted to LiteRT {variant} "
                f"({first_line(e)}); use another variant."
            ) from e
    refuse_unusable(content, size or (max(32, size_multiple(model)),) * 2)
    return content


def refuse_unusable(content: bytes, size: tuple[int, int]) -> None:
    """Refuse a file that was converted without an error and is still of no use.

    Args:
        content: of a LiteRT file.
        size: (height, width) of an image to try.

    Raises:
        RefusedFileError: if it holds operations that are not LiteRT's own, or that
            read variables, if it does not run, or if its output is not finite.
    """
    converted = LiteRTModel(content)
    foreign = [
        name
        for name in converted.operations
        if name in _VARIABLE_OPERATIONS or name != name.upper()
    ]
    if foreign:
        raise _refused(f"holds {', '.join(foreign)}, which phones do not run")
    noise = np.random.default_rng(0).uniform(-1, 1, (1, *size, converted.channels))
    try:
        translated = converted(noise.astype(np.float32))
    except RuntimeError as e:
        raise _refused(f"does not run ({first_line(e)})") from e
    if not np.isfinite(translated).all():
        raise _refused("computes values that are not finite")


def _refused(problem: str) -> RefusedFileError:
    return RefusedFileError(
        f"The converted file {problem}; export the generator in another format."
    )


def _choose_numbers(
    converter: Any, variant: LiteRTVariant, calibration: Sequence[np.ndarray]
) -> None:
    operations = tf.lite.OpsSet

    def representative_dataset() -> Iterator[dict[str, np.ndarray]]:
        for image in calibration:
            yield {"image": image}

    if variant != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if variant == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if variant in CALIBRATED:
        converter.representative_dataset = representative_dataset
    if variant == "int16x8":
        converter.target_spec.supported_ops = [
            operations.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        ]
    if variant == "int8":
        converter.target_spec.supported_ops = [operations.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
