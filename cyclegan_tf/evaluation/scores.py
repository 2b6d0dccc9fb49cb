"""What an evaluation found: scores beside their protocol, as JSON and as a table.

`evaluation.py` makes them, the report page shows them. Nothing is computed here.
"""

import dataclasses
import json
import pathlib
from typing import Any, Literal

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf._shared.files import write_json
from cyclegan_tf._shared.tables import markdown_table

FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Score:
    """One number of a metric, for the translations and for what frames them.

    Attributes:
        name: such as `"kid"`.
        translated: the score of the translated test images.
        untranslated: that of the same images as they were, which is what doing
            nothing gets; `None` where it has no meaning.
        real: that of real test images of the target domain, which no translation
            can be expected to beat; `None` where it has no meaning.
        better: `"lower"`, `"higher"`, or `""` for a number that only describes.
    """

    name: str
    translated: float
    untranslated: float | None = None
    real: float | None = None
    better: Literal["lower", "higher", ""] = ""


@dataclasses.dataclass(frozen=True)
class MetricScores:
    """What one metric said, and how it was measured.

    Attributes:
        title: the metric by its full name.
        protocol: how it was measured, in sentences that can be quoted.
        images: how many images took part, by their role: `"translated"`,
            `"untranslated"`, `"real"`, `"reference"`.
        scores: the numbers.
        warning: why they should not be relied upon; empty if they can be.
    """

    title: str
    protocol: str
    images: dict[str, int]
    scores: tuple[Score, ...]
    warning: str = ""


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The scores of both directions of a run, or of one generator.

    Attributes:
        source: the run or the file that was evaluated.
        step: training steps of the run's generators; `None` for a file.
        data: the data set that the images are from, as `--data` names it.
        directions: for `"g"` (X to Y) and `"f"` (Y to X), or one of them, the metrics.
    """

    source: str
    step: int | None
    data: str
    directions: dict[str, tuple[MetricScores, ...]]

    def score(self, direction: str, name: str) -> Score:
        """Return the score of that name.

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
        """Why scores should not be relied upon, each reason once."""
        return list(
            dict.fromkeys(
                metric.warning
                for metrics in self.directions.values()
                for metric in metrics
                if metric.warning
            )
        )

    def write(self, path: pathlib.Path) -> None:
        """Write it as JSON."""
        content = {"format": FORMAT, **dataclasses.asdict(self)}
        write_json(path, content)

    @classmethod
    def read(cls, path: pathlib.Path) -> "Evaluation":
        """Read what `write` wrote.

        Raises:
            InputError: if it is damaged or of another version.
        """
        try:
            content = json.loads(path.read_text())
            if content.pop("format") != FORMAT:
                raise ValueError(f"it does not have format {FORMAT}")
            content["directions"] = {
                direction: tuple(_metric_scores(metric) for metric in metrics)
                for direction, metrics in content["directions"].items()
            }
            return cls(**content)
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            raise InputError(
                f"{path} cannot be read ({e}); evaluate again with cyclegan evaluate."
            ) from e

    def to_table(self) -> str:
        """Return a Markdown table of all scores, a row for each."""
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
        return markdown_table(rows)


def _metric_scores(content: dict[str, Any]) -> MetricScores:
    scores = tuple(Score(**score) for score in content.pop("scores"))
    return MetricScores(scores=scores, **content)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
