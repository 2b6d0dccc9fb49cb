"""Scores of an evaluation with their protocol and verdict, as JSON and as a table."""

import dataclasses
import math
import pathlib
import textwrap
from typing import Any, Literal

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf._shared.files import parse_json, write_json
from cyclegan_tf._shared.tables import markdown_table
from cyclegan_tf.config.directions import DIRECTIONS
from cyclegan_tf.evaluation.verdict import Verdict, caution, judge

FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Score:
    """One number of a metric, for the translations and for images that frame them.

    Attributes:
        name: name such as `"kid"`.
        translated: score of the translated test images.
        untranslated: score of the untranslated inputs, the do-nothing baseline; `None`
            where it has no meaning.
        real: score of real test images of the target domain, the goal; `None` where it
            has no meaning.
        better: `"lower"`, `"higher"`, or `""` if neither is better.
    """

    name: str
    translated: float
    untranslated: float | None = None
    real: float | None = None
    better: Literal["lower", "higher", ""] = ""


@dataclasses.dataclass(frozen=True)
class MetricScores:
    """The scores of one metric, and how they were measured.

    Attributes:
        title: full name of the metric.
        protocol: how it was measured, in sentences to quote.
        images: number of images by role: `"translated"`, `"untranslated"`, `"real"`.
        scores: the numbers.
        warning: why the scores are not reliable; empty if they are.
        of_images: a number for each translated test image, in order, higher for a
            better one; empty for a metric of sets.
    """

    title: str
    protocol: str
    images: dict[str, int]
    scores: tuple[Score, ...]
    warning: str = ""
    of_images: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The scores of both directions of a run, or of one generator.

    Attributes:
        source: the evaluated run or file.
        step: training steps of the run's generators; `None` for a file.
        data: data set of the images, as the user named it.
        directions: the metrics of `"g"` (X to Y) and `"f"` (Y to X), or of one of them.
        translates: what each direction turns into what, such as `"horse to zebra"`, if
            it is known.
    """

    source: str
    step: int | None
    data: str
    directions: dict[str, tuple[MetricScores, ...]]
    translates: dict[str, str | None] = dataclasses.field(default_factory=dict)

    def score(self, direction: str, name: str) -> Score:
        """Return the score of a name.

        Raises:
            KeyError: if there is none.
        """
        for metric in self.directions[direction]:
            for score in metric.scores:
                if score.name == name:
                    return score
        raise KeyError(name)

    @property
    def warnings(self) -> list[str]:
        """The warnings of all metrics, without repetition."""
        return list(
            dict.fromkeys(
                metric.warning
                for metrics in self.directions.values()
                for metric in metrics
                if metric.warning
            )
        )

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """What the scores of each direction say in words."""
        return {name: judge(metrics) for name, metrics in self.directions.items()}

    @property
    def caution(self) -> str:
        """How far the verdicts can be trusted."""
        return caution(self.directions)

    def write(self, path: pathlib.Path) -> None:
        """Write a JSON file; scores that are not finite become null."""
        verdicts = {
            name: dataclasses.asdict(verdict) for name, verdict in self.verdicts.items()
        }
        content = {"format": FORMAT, "verdicts": verdicts, "caution": self.caution}
        write_json(path, content | dataclasses.asdict(self))

    @classmethod
    def read(cls, path: pathlib.Path) -> "Evaluation":
        """Read a file of `write`.

        Raises:
            InputError: if it is damaged or has another format.
        """
        try:
            content = parse_json(path.read_text())
            if content.pop("format") != FORMAT:
                raise ValueError(f"it does not have format {FORMAT}")
            for computed in ("verdicts", "caution"):  # absent from older files
                content.pop(computed, None)
            content["directions"] = {
                direction: tuple(_metric_scores(metric) for metric in metrics)
                for direction, metrics in content["directions"].items()
            }
            return cls(**content)
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            raise InputError(
                f"{path} cannot be read ({e}); evaluate again with cyclegan evaluate."
            ) from e

    @property
    def exit_code(self) -> int:
        """Always 0: a bad score is no failure of the command."""
        return 0

    def to_text(self) -> str:
        """Return the verdict, a Markdown table of all scores, and the warnings."""
        verdicts = []
        for name, verdict in self.verdicts.items():
            title = DIRECTIONS[name].title(self.translates.get(name))
            verdicts += [
                _wrapped(f"{title}. {verdict.reason}"),
                _wrapped(verdict.next, "  "),
            ]
        rows = [("direction", "score", "doing nothing", "translated", "real", "better")]
        rows += [
            (
                direction,
                score.name,
                _number(score.untranslated),
                _number(score.translated),
                _number(score.real),
                score.better,
            )
            for direction, metrics in self.directions.items()
            for metric in metrics
            for score in metric.scores
        ]
        notes = [f"Note: {warning}" for warning in self.warnings]
        return "\n".join(
            [*verdicts, _wrapped(self.caution), "", markdown_table(rows), *notes]
        )


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(text, 80, initial_indent=indent, subsequent_indent=indent)


def _metric_scores(content: dict[str, Any]) -> MetricScores:
    scores = tuple(
        Score(**score | {"translated": _finite_or_nan(score["translated"])})
        for score in content.pop("scores")
    )
    of_images = content.pop("of_images", ())  # absent from older files
    return MetricScores(
        scores=scores, of_images=tuple(map(_finite_or_nan, of_images)), **content
    )


def _finite_or_nan(value: float | None) -> float:
    """Return a number of a file, where null stands for one that is not finite."""
    return math.nan if value is None else value


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
