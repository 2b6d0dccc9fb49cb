"""Parity: numbers checked by hand, verdicts."""

import dataclasses
import math
import re

import numpy as np
import pytest

from cyclegan_tf._shared.errors import RefusedFileError
from cyclegan_tf.export import parity
from cyclegan_tf.export.parity import Artefact, Measurement
from cyclegan_tf.images import denormalize, normalize


class Shifted:
    """Puts out its input, shifted."""

    runtime = "test 1.0"
    threads = 3
    operations = {"ADD": 1}  # noqa: RUF012

    def __init__(self, shift):
        self.shift = shift

    def __call__(self, image):
        return image + np.float32(self.shift)


IMAGES = [np.zeros((1, 4, 6, 3), np.float32), np.ones((1, 8, 6, 3), np.float32)]


def test_differences_by_hand():
    expected = [IMAGES[0], IMAGES[1] + np.float32(0.25)]
    measured = parity.measure(Shifted(0.25), IMAGES, expected)
    assert measured.largest_difference == 0.25
    assert measured.mean_difference == pytest.approx(0.25 / 3)  # a third of the pixels
    assert measured.psnr == pytest.approx(10 * math.log10(2**2 / (0.25**2 / 3)))
    assert (measured.images, measured.threads) == (2, 3)
    assert measured.latency_runs == 20 and measured.latency_size == "4x6"
    assert measured.latency_ms > 0


def test_no_difference_has_no_ratio():
    measured = parity.measure(Shifted(0), IMAGES, IMAGES)
    assert measured.largest_difference == 0 and measured.psnr is None


def test_float16_must_be_better_than_8_bits():
    values = np.random.default_rng(0).uniform(-1, 1, (1, 64, 64, 3)).astype("float32")
    in_8_bits = normalize(denormalize(values).astype("float32"))
    measured = parity.measure(Shifted(0), [in_8_bits], [values])
    assert parity.LEAST_PSNR["float16"] - 2 < measured.psnr < 60
    assert problem("float16", psnr=measured.psnr)


def test_what_is_not_finite_is_refused():
    with pytest.raises(RefusedFileError, match="not finite"):
        parity.measure(Shifted(np.nan), IMAGES, IMAGES)


MEASUREMENT = Measurement(
    5e-4, 1e-4, 50.0, 10, 12.3, 20, "4x6", 1, "test 1.0", {"ADD": 2}
)


def problem(variant, **values):
    artefact = Artefact("litert/a.tflite", "a", "litert", variant, "any")
    return parity.find_problem(artefact, dataclasses.replace(MEASUREMENT, **values))


@pytest.mark.parametrize(
    ("variant", "values", "sentence"),
    [
        ("float32", {"largest_difference": 0.1, "psnr": 80.0}, ""),
        ("float32", {"psnr": 79.9}, "less than the 80 dB required of float32"),
        ("float16", {"largest_difference": 0.1, "psnr": 60.0}, ""),
        ("float16", {"psnr": 59.9}, "reaches 59.9 dB .* less than the 60 dB"),
        ("int16x8", {"largest_difference": 0.5, "psnr": 30.0}, ""),
        ("int16x8", {"psnr": 29.9}, "reaches 29.9 dB .* less than the 30 dB"),
        ("int8", {"psnr": 20.0}, ""),
        ("int8", {"psnr": 19.0}, "less than the 20 dB required of int8"),
        ("dynamic_range", {"psnr": 24.0}, "less than the 25 dB"),
        ("int8", {"psnr": None}, ""),
    ],
)
def test_verdicts(variant, values, sentence):
    found = problem(variant, **values)
    if sentence:
        assert re.search(sentence, found)
    else:
        assert found == ""
