"""Compare the outputs of an exported file to those of its Keras generator.

Outputs are in [-1, 1]. The peak signal-to-noise ratio has the peak 2, the whole range,
and the mean squared error over all images.
"""

import dataclasses
import math
import statistics
from collections.abc import Sequence
from typing import Protocol

import keras
import numpy as np

from cyclegan_tf._shared.errors import RefusedFileError
from cyclegan_tf._shared.machine import run_times
from cyclegan_tf.export.litert_runtime import cpu_only_operations
from cyclegan_tf.images.pixels import Image, normalize, resize_image
from cyclegan_tf.models.networks.graph import size_multiple

# A median of fewer runs, if they take longer, is good enough.
LATENCY_RUNS, LATENCY_SECONDS = 20, 5.0

# Storing an image in 8 bits costs 58.9 dB: levels 2/255 apart, a mean squared error of
# (2/255)^2 / 12. A float16 file, whose weights are rounded, changes an image less than
# that: it reaches 66 to 90 dB (trained mobile generator, ResNet-9; photographs, boxes).
# A float32 file differs by the order of its sums alone, which instance normalization of
# nearly flat maps magnifies: 95 to 122 dB. The largest of millions of differences has
# no limit, because it would fail by chance: 0.001 at 97 dB. Noise is hard to see in a
# photograph at 30 dB, and plain at 20 dB. Full int8 cannot promise more: its instance
# normalization has 256 levels for the variances of all channels.
LEAST_PSNR = {
    "float32": 80.0,
    "float16": 60.0,
    "dynamic_range": 25.0,
    "int16x8": 30.0,
    "int8": 20.0,
}


class Runtime(Protocol):
    """An exported file, loaded: a function from image to image.

    Attributes:
        runtime: name and version of the runtime.
        threads: processor threads it uses.
        operations: how often the graph holds each operation, by name.
    """

    runtime: str
    threads: int
    operations: dict[str, int]

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Translate float32 (1, height, width, channels) in [-1, 1]."""


@dataclasses.dataclass(frozen=True)
class Artefact:
    """An exported file or folder.

    Attributes:
        path: relative to the export folder, with `/` between its parts.
        format: `"savedmodel"`, `"litert"` or `"onnx"`.
        variant: the number formats, such as `"float32"` or `"int16x8"`.
        size: of the images it takes: `"any"` or `"HEIGHTxWIDTH"`.
    """

    path: str
    generator: str
    format: str
    variant: str
    size: str
    bytes: int = 0


@dataclasses.dataclass(frozen=True)
class Measurement:
    """How an artefact compares to its Keras generator, and how it ran.

    Attributes:
        psnr: decibels; `None` if there is no difference.
        latency_ms: median milliseconds for the first image, over `latency_runs`.
        latency_size: `"HEIGHTxWIDTH"` of that image.
        cpu_only_operations: for a LiteRT file, the operations that its GPU delegate
            does not accept; `None` for others.
    """

    largest_difference: float
    mean_difference: float
    psnr: float | None
    images: int
    latency_ms: float
    latency_runs: int
    latency_size: str
    threads: int
    runtime: str
    operations: dict[str, int]
    cpu_only_operations: list[str] | None = None


def measure(
    exported: Runtime,
    images: Sequence[np.ndarray],
    expected: Sequence[np.ndarray],
) -> Measurement:
    """Compare an exported file to the Keras generator, and time it.

    Args:
        exported: the file, loaded.
        images: float32 (1, height, width, channels) in [-1, 1].
        expected: the Keras generator's output for each.

    Raises:
        RefusedFileError: if an output is not finite.
    """
    outputs = [exported(image) for image in images]
    if not all(np.isfinite(output).all() for output in outputs):
        raise RefusedFileError("It computes values that are not finite.")
    differences = _differences(outputs, expected)
    times = run_times(lambda: exported(images[0]), LATENCY_RUNS, LATENCY_SECONDS)
    squared = float(np.mean(np.square(differences)))
    return Measurement(
        largest_difference=float(differences.max()),
        mean_difference=float(differences.mean()),
        psnr=10 * math.log10(4 / squared) if squared else None,
        images=len(images),
        latency_ms=statistics.median(times),
        latency_runs=len(times),
        latency_size="x".join(map(str, images[0].shape[1:3])),
        threads=exported.threads,
        runtime=exported.runtime,
        operations=exported.operations,
    )


def find_problem(artefact: Artefact, measurement: Measurement) -> str:
    """Judge an artefact.

    Returns:
        A sentence if it is further from its Keras generator than its number formats
        explain, else an empty string.
    """
    least = LEAST_PSNR[artefact.variant]
    if measurement.psnr is None or measurement.psnr >= least:
        return ""
    return (
        f"{artefact.path} reaches {measurement.psnr:.1f} dB against the Keras "
        f"generator, less than the {least:g} dB required of {artefact.variant}."
    )


class Judge:
    """Compares artefacts to the outputs of their Keras generator.

    Args:
        generator: the generator as trained.
        model: what `inference_model` makes of it.
        images: uint8 images (height, width, channels) of one size. Artefacts that take
            any size are also tried on another size.
    """

    def __init__(
        self, generator: keras.Model, model: keras.Model, images: Sequence[Image]
    ):
        height, width, _ = images[0].shape
        other = resize_image(images[0], height + size_multiple(generator), width)
        self._fixed = as_input(images)
        self._any = [*self._fixed, *as_input([other])]
        keras_model = _keras_reference(generator, model)
        self._expected = [_run(keras_model, image) for image in self._any]

    def measure(self, artefact: Artefact, exported: Runtime) -> Measurement:
        """Compare an artefact to the generator by `measure`."""
        images = self._any if artefact.size == "any" else self._fixed
        measurement = measure(exported, images, self._expected[: len(images)])
        if artefact.format != "litert":
            return measurement
        cpu_only = cpu_only_operations(measurement.operations, artefact.variant)
        return dataclasses.replace(measurement, cpu_only_operations=cpu_only)


def as_input(images: Sequence[Image]) -> list[np.ndarray]:
    """Make uint8 images float32 (1, height, width, channels) in [-1, 1]."""
    return [normalize(image[None].astype(np.float32)) for image in images]


def _keras_reference(generator: keras.Model, model: keras.Model) -> keras.Model:
    """Return the generator itself, unless it is in half precision or of one size."""
    is_float32 = all(layer.compute_dtype == "float32" for layer in generator.layers)
    is_free = generator.input_shape[1:3] == (None, None)
    return generator if is_float32 and is_free else model


def _run(model: keras.Model, image: np.ndarray) -> np.ndarray:
    return np.asarray(model(image, training=False))


def _differences(
    outputs: Sequence[np.ndarray], expected: Sequence[np.ndarray]
) -> np.ndarray:
    """Return the absolute differences of all values of all images, flat."""
    return np.concatenate(
        [
            np.abs(output.astype(np.float64) - target).ravel()
            for output, target in zip(outputs, expected, strict=True)
        ]
    )
