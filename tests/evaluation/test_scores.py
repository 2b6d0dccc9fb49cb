"""Scores are written, read and shown in full."""

import json
import math

import pytest

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.evaluation.scores import Evaluation, MetricScores, Score

KID = MetricScores(
    "Kernel Inception distance",
    "Polynomial kernel of degree 3.",
    {"translated": 120, "reference": 507},
    (Score("kid", 0.25, 0.5, 0.125, "lower"), Score("kid_standard_error", 0.0625)),
    "Few images.",
    (0.5, -1.5),
)
EVALUATION = Evaluation("runs/h2z", 7, "data/h2z", {"g": (KID,), "f": ()})


def test_read_back(tmp_path):
    EVALUATION.write(tmp_path / "evaluation.json")
    assert Evaluation.read(tmp_path / "evaluation.json") == EVALUATION


def test_found_by_name():
    assert EVALUATION.score("g", "kid").real == 0.125
    with pytest.raises(KeyError):
        EVALUATION.score("f", "kid")


def test_the_table_has_a_row_for_each_score():
    text = EVALUATION.to_text()
    lines = text[text.index("| direction") :].splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert cells[0][2:5] == ["doing nothing", "translated", "real"]
    assert cells[2] == ["g", "kid", "0.5", "0.25", "0.125", "lower"]
    assert cells[3] == ["g", "kid_standard_error", "", "0.0625", "", ""]


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"format": 2}', pytest.param("[" * 100_000, id="deep")]
)
def test_a_damaged_file(tmp_path, content):
    path = tmp_path / "evaluation.json"
    path.write_text(content)
    with pytest.raises(InputError, match="evaluate again"):
        Evaluation.read(path)


def test_scores_that_are_not_finite_are_still_json(tmp_path):
    def refuse(word):
        raise ValueError(word)

    scores = (Score("psnr", math.inf), Score("fid", math.nan, -math.inf), Score("a", 0))
    metric = MetricScores("", "", {"translated": 2}, scores, "", (math.inf, 0.5))
    path = tmp_path / "evaluation.json"
    Evaluation("", None, "", {"g": (metric,)}).write(path)
    json.loads(path.read_text(), parse_constant=refuse)
    read = Evaluation.read(path)
    assert math.isnan(read.score("g", "psnr").translated)
    assert read.score("g", "fid").untranslated is None
    assert read.score("g", "a").translated == 0
    [of_images] = [metric.of_images for metric in read.directions["g"]]
    assert math.isnan(of_images[0]) and of_images[1] == 0.5
    assert "| nan" in read.to_text()
