"""What the scores of one direction say in words.

All rules are here; docs/evaluation.md states them. They compare translations with the
untranslated inputs and look for signs of failure. Scores cannot say more: whether a
picture is good, a person decides.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from cyclegan_tf.evaluation import protocols

if TYPE_CHECKING:
    from cyclegan_tf.evaluation.scores import MetricScores, Score

# Signs of failure, which the watchdog of a training looks for, too.
INVERTED_CORRELATION = -0.3
COLLAPSED_DIVERSITY = 0.1  # as a share of real images' diversity
UNCHANGED_GRAY_LEVELS = 1.0

# With fewer test images there is no verdict.
LEAST_IMAGES = 20
# A score counts only if it differs by more from that of doing nothing.
STANDARD_ERRORS = 2.0  # KID, of the difference
LEAST_SHARE = 0.1  # SWD and mae, of the value for doing nothing
LEAST_HIT_RATE = 0.1

Judgement = Literal["better", "worse", "mixed", "unclear", "failing"]

_NEXT: Mapping[Judgement, str] = {
    "better": "compare the pictures with real ones: the score of a set can be good "
    "although some of its images are wrong.",
    "worse": "look at the pictures and the loss curves; an earlier epoch may be "
    "better, or the training too short.",
    "mixed": "look at the pictures, and believe them more than any one score.",
    "unclear": "score more test images, or train longer and evaluate again.",
    "failing": "look at the pictures; if they confirm it, start again with another "
    "seed, because training rarely recovers.",
}


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the scores of one direction say.

    Attributes:
        judgement: compared with doing nothing, `"better"` or `"worse"` by all scores
            that differ clearly, `"mixed"` if they disagree, `"unclear"` if none does
            or there are few images; `"failing"` if there is a sign of failure.
        reason: sentences that name the scores.
        next: a sentence that says what to look at next.
    """

    judgement: Judgement
    reason: str
    next: str


def judge(metrics: Sequence["MetricScores"]) -> Verdict:
    """Judge the scores of one direction."""
    scores = {score.name: score for metric in metrics for score in metric.scores}
    if signs := list(_signs_of_failure(scores)):
        return _verdict("failing", f"Signs of failure: {_listed(signs)}.")
    if (images := _fewest(metrics)) < LEAST_IMAGES:
        return _verdict("unclear", f"{images} test images are too few for a verdict.")
    votes = dict(_votes(metrics))
    better = [name for name, is_better in votes.items() if is_better]
    worse = [name for name, is_better in votes.items() if not is_better]
    if better and worse:
        return _verdict(
            "mixed",
            f"The scores disagree: better than doing nothing by {_listed(better)}, "
            f"worse by {_listed(worse)}.",
        )
    if better:
        reason = f"Better than doing nothing by {_listed(better)}."
        return _verdict("better", reason + _way_to_real(scores))
    if worse:
        return _verdict("worse", f"Worse than doing nothing by {_listed(worse)}.")
    return _verdict("unclear", "No score differs clearly from doing nothing.")


def caution(directions: Mapping[str, Sequence["MetricScores"]]) -> str:
    """Return a sentence that says how far the verdicts can be trusted."""
    metrics = [metric for each in directions.values() for metric in each]
    is_random = any(
        score.name == "kid_random" for metric in metrics for score in metric.scores
    )
    features = " and the features of a random network" if is_random else ""
    return (
        f"From {_fewest(metrics):,} test images{features}: this says whether "
        "translations are nearer to the target domain than the inputs are, not whether "
        "they look good."
    )


def _verdict(judgement: Judgement, reason: str) -> Verdict:
    return Verdict(judgement, reason, f"Next: {_NEXT[judgement]}")


def _fewest(metrics: Sequence["MetricScores"]) -> int:
    return min((metric.images["translated"] for metric in metrics), default=0)


def _signs_of_failure(scores: Mapping[str, "Score"]) -> Iterator[str]:
    correlation = scores.get("luminance_correlation")
    if correlation and correlation.translated < INVERTED_CORRELATION:
        yield f"light became dark (luminance correlation {correlation.translated:.2f})"
    change = scores.get("change")
    if change and change.translated < UNCHANGED_GRAY_LEVELS:
        yield f"nothing changed ({change.translated:.1f} of 255 gray levels)"
    diversity = scores.get("diversity")
    real_diversity = (diversity and diversity.real) or 0.0
    if diversity and diversity.translated < COLLAPSED_DIVERSITY * real_diversity:
        yield (
            f"all translations look alike (diversity {diversity.translated:.1f}, "
            f"real images {real_diversity:.1f})"
        )


def _votes(metrics: Sequence["MetricScores"]) -> Iterator[tuple[str, bool]]:
    """Yield what differs clearly from doing nothing, and whether it is better."""
    for metric in metrics:
        if metric.title == protocols.HIT_RATE.title and metric.warning:
            continue  # the classifier cannot tell the domains apart
        scores = {score.name: score for score in metric.scores}
        for score in metric.scores:
            if (margin := _margin(score, scores)) is None:
                continue
            gain = _gain(score, score.translated)
            if abs(gain) > margin:
                yield _label(score), gain > 0


def _margin(score: "Score", scores: Mapping[str, "Score"]) -> float | None:
    """Return the least difference that counts; `None` for scores that do not vote."""
    if score.untranslated is None:
        return None
    if score.name == "hit_rate":
        return LEAST_HIT_RATE
    if score.name in ("swd", "mae"):
        return LEAST_SHARE * score.untranslated
    error = scores.get(score.name.replace("kid_", "kid_standard_error_", 1))
    if error is None or error is score or error.untranslated is None:
        return None
    return STANDARD_ERRORS * math.hypot(error.translated, error.untranslated)


def _gain(score: "Score", value: float) -> float:
    """Return how much better a value is than doing nothing."""
    assert score.untranslated is not None
    difference = value - score.untranslated
    return difference if score.better == "higher" else -difference


def _way_to_real(scores: Mapping[str, "Score"]) -> str:
    """Return how much of the distance to real images is covered, if KID tells."""
    for score in scores.values():
        margin = _margin(score, scores)
        if margin is None or score.real is None or not score.name.startswith("kid_"):
            continue
        possible, gain = _gain(score, score.real), _gain(score, score.translated)
        if min(possible, gain) > margin:
            share = min(gain / possible, 1)
            return f" KID covers about {share:.0%} of the distance to real images."
    return ""


def _label(score: "Score") -> str:
    labels = {"swd": "SWD", "hit_rate": "hit rate", "mae": "difference to the truth"}
    return labels.get(score.name, "KID")


def _listed(items: Sequence[str]) -> str:
    *first, last = items
    return f"{', '.join(first)} and {last}" if first else last
