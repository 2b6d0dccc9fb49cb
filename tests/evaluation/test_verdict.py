"""Planted scores get the verdict that docs/evaluation.md promises."""

import json
import math

import pytest

from cyclegan_tf.evaluation import protocols
from cyclegan_tf.evaluation.scores import Evaluation, MetricScores, Score
from cyclegan_tf.evaluation.verdict import judge


def metrics(
    kid=0.010,
    swd=100.0,
    hit_rate=0.10,
    mae=None,
    correlation=0.9,
    change=20.0,
    diversity=40.0,
    error=0.001,
    images=120,
    poor_classifier="",
    real_kid=0.0,
):
    """Scores; doing nothing has a KID of 0.010, an SWD of 100, a hit rate of 0.10."""
    distances = (
        Score("fid_random", 9.0, 0.1, 0.0, "lower"),  # biased, so it does not vote
        Score("kid_random", kid, 0.010, real_kid, "lower"),
        Score("kid_standard_error_random", error, error, error),
    )
    paired = () if mae is None else (Score("mae", mae, 20.0, None, "lower"),)
    groups = (
        (protocols.FEATURES, distances, "Few images."),
        (protocols.PATCHES, (Score("swd", swd, 100.0, 20.0, "lower"),), ""),
        (
            protocols.HIT_RATE,
            (Score("hit_rate", hit_rate, 0.10, 0.9, "higher"),),
            poor_classifier,
        ),
        (protocols.PAIRED, paired, ""),
        (
            protocols.CONTENT,
            (Score("luminance_correlation", correlation), Score("change", change)),
            "",
        ),
        (protocols.DIVERSITY, (Score("diversity", diversity, 42.0, 40.0),), ""),
    )
    return tuple(
        MetricScores(title, text, {"translated": images}, scores, warning)
        for (title, text), scores, warning in groups
    )


@pytest.mark.parametrize(
    ("planted", "judgement", "said"),
    [
        ({}, "unclear", "No score differs clearly from doing nothing."),
        (
            {"kid": 0.005, "swd": 80, "hit_rate": 0.5},
            "better",
            "Better than doing nothing by KID, SWD and hit rate. KID covers about 50% "
            "of the distance to real images.",
        ),
        ({"mae": 10}, "better", "doing nothing by difference to the truth."),
        ({"kid": 0.02, "swd": 120}, "worse", "Worse than doing nothing by KID and"),
        (
            {"kid": 0.005, "mae": 25},
            "mixed",
            "The scores disagree: better than doing nothing by KID, worse by "
            "difference to the truth.",
        ),
        # Within the margins: two standard errors of the difference, 10 %, 0.1.
        ({"kid": 0.0073, "swd": 91, "hit_rate": 0.19}, "unclear", "No score"),
        ({"kid": 0.0071}, "better", "by KID."),
        ({"swd": 89}, "better", "by SWD."),
        ({"hit_rate": 0.21}, "better", "by hit rate."),
        ({"hit_rate": 0.9, "poor_classifier": "It guesses."}, "unclear", "No score"),
        ({"kid": math.nan, "swd": math.nan}, "unclear", "No score"),
        ({"kid": -0.001}, "better", "KID covers about 100% of the distance"),
        ({"kid": 0.005, "images": 19}, "unclear", "19 test images are too few"),
        ({"correlation": -0.5, "kid": 0.005}, "failing", "light became dark"),
        ({"change": 0.2}, "failing", "nothing changed (0.2 of 255 gray levels)"),
        (
            {"diversity": 3, "images": 5},
            "failing",
            "all translations look alike (diversity 3.0, real images 40.0)",
        ),
    ],
)
def test_the_rules(planted, judgement, said):
    verdict = judge(metrics(**planted))
    assert verdict.judgement == judgement
    assert said in verdict.reason
    assert verdict.next.startswith("Next: ")


def test_no_share_where_domains_are_near_or_real_images_are_the_reference():
    for real in (0.009, None):
        verdict = judge(metrics(kid=0.005, real_kid=real))
        assert verdict.reason == "Better than doing nothing by KID."


def test_the_verdict_comes_first_with_what_limits_it(tmp_path):
    directions = {"g": metrics(kid=0.005), "f": metrics(swd=150, images=100)}
    evaluation = Evaluation("runs/h2z", 7, "data/h2z", directions)
    verdict, _, table = evaluation.to_text().partition("\n\n")
    assert max(map(len, verdict.splitlines())) <= 80
    assert table.startswith("| direction")
    verdict = " ".join(verdict.split())
    parts = [
        "G: X to Y. Better than doing nothing by KID.",
        "Next: compare the pictures",
        "F: Y to X. Worse than doing nothing by SWD.",
        "From 100 test images and the features of a random net",
    ]
    places = [verdict.index(part) for part in parts]
    assert places[0] == 0 and places == sorted(places)
    evaluation.write(tmp_path / "evaluation.json")
    stored = json.loads((tmp_path / "evaluation.json").read_text())
    assert stored["verdicts"]["f"]["judgement"] == "worse"
    assert stored["verdicts"]["f"]["reason"] in verdict
    assert verdict.endswith(stored["caution"])
    assert Evaluation.read(tmp_path / "evaluation.json") == evaluation


def test_a_file_without_a_verdict_gets_one(tmp_path):
    """As versions before it wrote them."""
    evaluation = Evaluation("", None, "", {"g": metrics(swd=50)})
    path = tmp_path / "evaluation.json"
    evaluation.write(path)
    content = json.loads(path.read_text())
    del content["verdicts"], content["caution"]
    path.write_text(json.dumps(content))
    assert Evaluation.read(path).verdicts["g"].judgement == "better"
