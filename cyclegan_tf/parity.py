"""Does an exported file compute what the Keras generator computes? The report.

Differences are of outputs in [-1, 1]. The peak signal-to-noise ratio has the peak 2,
the whole range, and the mean squared error over all images.
"""

import dataclasses
import json
import math
import pathlib
import statistics
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from cyclegan_tf.errors import RefusedFileError
from cyclegan_tf.files import replacing
from cyclegan_tf.latency import run_times

FORMAT = 1
LATENCY_RUNS = 20

# Runtimes add up in different orders, which instance normalization of nearly flat maps
# magnifies. Less than this is an eighth of a gray level of 255.
LARGEST_FLOAT_DIFFERENCE = 1e-3

# Rounded numbers change the output; what is too much is a matter of the eye. At 30 dB
# noise is hard to see in a photograph, at 20 dB it is plain. Full int8 cannot promise
# more: its instance normalization has 256 levels for variances of all channels.
LEAST_PSNR = {"dynamic_range": 25.0, "int16x8": 30.0, "int8": 20.0}


class Runtime(Protocol):
    """An exported file, loaded: a function from image to image."""

    runtime: str
    threads: int
    operations: dict[str, int]

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Translate float32 (1, height, width, channels) in [-1, 1]."""


@dataclasses.dataclass(frozen=True)
class Artefact:
    """What was exported; before it is measured.

    Attributes:
        path: relative to the export folder, `/` between its parts.
        generator: the name of its generator.
        format: `"savedmodel"`, `"litert"` or `"onnx"`.
        variant: the number formats, such as `"float32"` or `"int16x8"`.
        size: `"any"`, or the only one it takes, as `"HEIGHTxWIDTH"`.
        bytes: its size on the disk.
    """

    path: str
    generator: str
    format: str
    variant: str
    size: str
    bytes: int = 0


@dataclasses.dataclass(frozen=True)
class Measurement:
    """How an artefact compares to its Keras generator.

    Attributes:
        largest_difference: largest absolute difference of an output value.
        mean_difference: mean absolute difference.
        psnr: decibels; `None` if there is no difference.
        largest_difference_of_conversion: of float16 files, the largest difference to
            the Keras generator with weights rounded to float16 too: what the
            conversion added to the rounding. `None` of others.
        images: number of images compared.
        latency_ms: median milliseconds for the first of them.
        latency_runs: number of runs that is the median of.
        latency_size: `"HEIGHTxWIDTH"` of that image.
        threads: processor threads used.
        runtime: name and version.
        operations: how often the graph holds each operation.
        cpu_only_operations: of a LiteRT file, those that its GPU delegate does not
            take; `None` of others.
    """

    largest_difference: float
    mean_difference: float
    psnr: float | None
    largest_difference_of_conversion: float | None
    images: int
    latency_ms: float
    latency_runs: int
    latency_size: str
    threads: int
    runtime: str
    operations: dict[str, int]
    cpu_only_operations: list[str] | None = None


@dataclasses.dataclass(frozen=True)
class Entry:
    """A line of the report.

    Attributes:
        artefact: what was exported.
        measurement: how it compares; `None` if it was refused before.
        problem: why it failed, a sentence; empty if it passed.
    """

    artefact: Artefact
    measurement: Measurement | None
    problem: str


@dataclasses.dataclass(frozen=True)
class Report:
    """The parity report of an export.

    Attributes:
        source: what was exported.
        images: which images were compared.
        machine: processor and versions.
        entries: a line for each artefact.
    """

    source: str
    images: str
    machine: dict[str, str]
    entries: tuple[Entry, ...]

    @property
    def passed(self) -> bool:
        return not any(entry.problem for entry in self.entries)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-serializable dicts, one flat one per artefact."""
        return {
            "format": FORMAT,
            "passed": self.passed,
            "source": self.source,
            "images": self.images,
            "machine": self.machine,
            "limits": {
                "largest_float_difference": LARGEST_FLOAT_DIFFERENCE,
                "least_psnr": LEAST_PSNR,
            },
            "artefacts": [
                {
                    **dataclasses.asdict(entry.artefact),
                    **(
                        dataclasses.asdict(entry.measurement)
                        if entry.measurement
                        else {}
                    ),
                    "passed": not entry.problem,
                    "problem": entry.problem,
                }
                for entry in self.entries
            ],
        }

    def to_table(self) -> str:
        """Return the report as a Markdown table, with the problems below it."""
        head = "artefact|largest|mean|PSNR dB|MB|ms|runs|threads|operations|passed"
        lines = [head.split("|"), ["---"] + ["--:"] * 8 + ["---"]]
        lines += [_row(entry) for entry in self.entries]
        widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
        table = [
            "| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines
        ]
        problems = [f"- {entry.problem}" for entry in self.entries if entry.problem]
        return "\n".join(table + [""] * bool(problems) + problems)

    def write(self, folder: pathlib.Path) -> None:
        """Write `report.json` and `report.md`."""
        machine = ", ".join(f"{name} {value}" for name, value in self.machine.items())
        text = (
            f"# Parity report of {self.source}\n\n"
            f"Against the Keras generator on {self.images}; outputs are in [-1, 1]. "
            f"Machine: {machine}.\n\n{self.to_table()}\n"
        )
        content = json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n"
        for name, written in (("report.md", text), ("report.json", content)):
            with replacing(folder / name) as temporary:
                temporary.write_text(written)


def measure(
    exported: Runtime,
    images: Sequence[np.ndarray],
    expected: Sequence[np.ndarray],
    expected_of_rounded: Sequence[np.ndarray] | None = None,
) -> Measurement:
    """Compare an exported file to the Keras generator, and time it.

    Args:
        exported: the file, loaded.
        images: float32 (1, height, width, channels) in [-1, 1].
        expected: what the Keras generator makes of each.
        expected_of_rounded: what it makes of them with weights rounded to float16,
            for a file of such weights.

    Returns:
        The measurement.

    Raises:
        RefusedFileError: if an output is not finite.
    """
    outputs = [exported(image) for image in images]
    if not all(np.isfinite(output).all() for output in outputs):
        raise RefusedFileError("It puts out values that are not finite.")
    differences = _differences(outputs, expected)
    times = run_times(lambda: exported(images[0]), LATENCY_RUNS)
    squared = float(np.mean(np.square(differences)))
    return Measurement(
        largest_difference=float(differences.max()),
        mean_difference=float(differences.mean()),
        psnr=10 * math.log10(4 / squared) if squared else None,
        largest_difference_of_conversion=(
            float(_differences(outputs, expected_of_rounded).max())
            if expected_of_rounded
            else None
        ),
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
        excuse, else nothing.
    """
    least = LEAST_PSNR.get(artefact.variant)
    if least is not None:
        if measurement.psnr is None or measurement.psnr >= least:
            return ""
        return (
            f"{artefact.path} comes within {measurement.psnr:.1f} dB of the Keras "
            f"generator, less than the {least:g} dB that {artefact.variant} must reach."
        )
    difference = measurement.largest_difference_of_conversion
    if difference is None:
        difference = measurement.largest_difference
    if difference <= LARGEST_FLOAT_DIFFERENCE:
        return ""
    return (
        f"{artefact.path} differs from the Keras generator by {difference:.2g}, more "
        f"than the {LARGEST_FLOAT_DIFFERENCE:g} that float arithmetic excuses."
    )


def _differences(
    outputs: Sequence[np.ndarray], expected: Sequence[np.ndarray]
) -> np.ndarray:
    """Absolute differences of all values of all images, in one row."""
    return np.concatenate(
        [
            np.abs(output.astype(np.float64) - target).ravel()
            for output, target in zip(outputs, expected, strict=True)
        ]
    )


def _row(entry: Entry) -> list[str]:
    path, measured = entry.artefact.path, entry.measurement
    if measured is None:
        return [path, *["-"] * 8, "no"]
    psnr = "same" if measured.psnr is None else f"{measured.psnr:.1f}"
    return [
        path,
        f"{measured.largest_difference:.1e}",
        f"{measured.mean_difference:.1e}",
        psnr,
        f"{entry.artefact.bytes / 1e6:.2f}",
        f"{measured.latency_ms:.1f}",
        str(measured.latency_runs),
        str(measured.threads),
        str(sum(measured.operations.values())),
        "no" if entry.problem else "yes",
    ]
