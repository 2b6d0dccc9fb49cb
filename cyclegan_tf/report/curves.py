"""Draw the values of metrics.jsonl as SVG curves in the colors of the page.

matplotlib draws in placeholder colors, which become custom properties of the page's
style sheet, so that curves are legible in light and dark mode.
"""

import dataclasses
import io
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cyclegan_tf._shared.files import parse_json

# Placeholder colors of matplotlib, and the page's colors that replace them.
_G, _F, _SINGLE, _TEXT, _RULE = "#000001", "#000002", "#000003", "#000004", "#000005"
_PAGE_COLORS = {
    _G: "var(--g)",
    _F: "var(--f)",
    _SINGLE: "var(--ink)",
    _TEXT: "var(--muted)",
    _RULE: "var(--rule)",
}

_STYLE: Any = {
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.edgecolor": _RULE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": _RULE,
    "axes.labelcolor": _TEXT,
    "xtick.color": _TEXT,
    "ytick.color": _TEXT,
    "lines.linewidth": 1.6,
    "lines.markersize": 3.2,
}

# Curves of more points have no dots.
_DOTTED_EPOCHS = 30

_EVALUATION_KEY = re.compile(r"eval_([gf])_(.+)")


@dataclasses.dataclass(frozen=True)
class Series:
    """One quantity over the epochs.

    Attributes:
        label: name in the legend.
        role: `"g"`, `"f"` or `"single"`, which determines the color.
        training: one value per epoch, `None` if missing.
        validation: likewise, on the test images.
    """

    label: str
    role: str
    training: list[float | None]
    validation: list[float | None]

    @property
    def last(self) -> tuple[float | None, float | None]:
        """The latest training and validation values, `None` if there are none."""
        return _last(self.training), _last(self.validation)


@dataclasses.dataclass(frozen=True)
class Panel:
    """A group of curves.

    Attributes:
        title: title such as `"Cycle"`.
        explanation: a sentence that describes the values.
        series: the curves.
        svg: the drawing, an `<svg>` element.
    """

    title: str
    explanation: str
    series: list[Series]
    svg: Markup

    @property
    def is_validated(self) -> bool:
        """Whether there are validation values."""
        return any(series.last[1] is not None for series in self.series)


# Title, explanation, and the label, role and key of each curve.
_Group = tuple[str, str, tuple[tuple[str, str, str], ...]]

_PANELS: tuple[_Group, ...] = (
    (
        "Adversarial",
        "Loss of each generator: it falls as its discriminator is deceived.",
        (("G", "g", "generator_g_loss"), ("F", "f", "generator_f_loss")),
    ),
    (
        "Discriminators",
        "Loss of each discriminator: it falls as it recognizes translated images.",
        (
            ("D_Y, against G", "g", "discriminator_y_loss"),
            ("D_X, against F", "f", "discriminator_x_loss"),
        ),
    ),
    (
        "Cycle",
        "Mean absolute difference of an image and its cycled image, in [-1, 1].",
        (("F(G(x)) to x", "g", "cycle_x_loss"), ("G(F(y)) to y", "f", "cycle_y_loss")),
    ),
    (
        "Identity",
        "Mean absolute change of an image that is already of the target domain.",
        (("G(y) to y", "g", "identity_y_loss"), ("F(x) to x", "f", "identity_x_loss")),
    ),
    (
        "Distance",
        "Mean absolute difference of a translation and the paired image, in [-1, 1].",
        (("G(x) to y", "g", "l1_loss"),),
    ),
    (
        "Contrast",
        "How hard patches of a translation are to find in their image again.",
        (("G(x) in x", "g", "nce_x_loss"), ("G(y) in y", "f", "nce_y_loss")),
    ),
    (
        "Generators, total",
        "Weighted sum of the losses that the generators minimize.",
        (("total", "single", "generator_loss"),),
    ),
    (
        "Learning rate",
        "Learning rate of Adam at the start of the epoch.",
        (("learning rate", "single", "learning_rate"),),
    ),
)


def read_metrics(path: pathlib.Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Read the record of each epoch.

    Args:
        path: a run's metrics.jsonl, which need not exist.

    Returns:
        The records in order, and a sentence for each unreadable line.
    """
    records, problems = [], []
    lines = path.read_text(errors="replace").splitlines() if path.is_file() else []
    for number, line in enumerate(lines, 1):
        try:
            record = parse_json(line)
            if type(record["epoch"]) is not int:
                raise TypeError
            records.append(record)
        except (ValueError, KeyError, TypeError):
            problems.append(
                f"Line {number} of {path.name} is damaged; the curves leave it out."
            )
    return records, problems


def draw_panels(records: Sequence[Mapping[str, Any]]) -> list[Panel]:
    """Draw the training and validation values of all epochs, grouped by meaning.

    Args:
        records: result of `read_metrics`. Keys `eval_g_NAME` and `eval_f_NAME` are
            evaluation scores, which may be missing in some epochs.

    Returns:
        A panel for each group with values other than 0, the value of a skipped loss.
    """
    epochs = [record["epoch"] for record in records]
    panels = []
    for title, explanation, curves in (*_PANELS, *_evaluation_panels(records)):
        series = [
            Series(label, role, _values(records, key), _values(records, f"val_{key}"))
            for label, role, key in curves
            if any(key in record for record in records)
        ]
        if any(value for curve in series for value in curve.training):
            svg = Markup(_draw(title, epochs, series))
            panels.append(Panel(title, explanation, series, svg))
    return panels


def _evaluation_panels(records: Sequence[Mapping[str, Any]]) -> Iterator[_Group]:
    keys = {key for record in records for key in record}
    matches = [match for key in keys if (match := _EVALUATION_KEY.fullmatch(key))]
    for name in sorted({match[2] for match in matches}):
        yield (
            f"Evaluation: {name}",
            "Score of the translated test images in the evaluated epochs.",
            (("G", "g", f"eval_g_{name}"), ("F", "f", f"eval_f_{name}")),
        )


def _values(records: Sequence[Mapping[str, Any]], key: str) -> list[float | None]:
    values = [record.get(key) for record in records]
    return [float(v) if isinstance(v, int | float) else None for v in values]


def _last(values: list[float | None]) -> float | None:
    return next((value for value in reversed(values) if value is not None), None)


def _draw(title: str, epochs: list[int], series: list[Series]) -> str:
    # The salt makes names of clips and markers unique on the page.
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": title}):
        figure = Figure(figsize=(4, 2.3), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.ticklabel_format(axis="y", scilimits=(-3, 4))
        for curve in series:
            _plot(axes, epochs, curve.training, curve.role, "solid")
            _plot(axes, epochs, curve.validation, curve.role, "dashed")
        file = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(file, format="svg", transparent=True, metadata=nothing)
    return _for_page(file.getvalue())


def _plot(
    axes: Any, epochs: list[int], values: list[float | None], role: str, linestyle: str
) -> None:
    # Lines cross epochs without an evaluation.
    points = [
        (epoch, value) for epoch, value in zip(epochs, values) if value is not None
    ]
    if points:
        axes.plot(
            *zip(*points),
            color={"g": _G, "f": _F, "single": _SINGLE}[role],
            linestyle=linestyle,
            marker="o" if len(points) <= _DOTTED_EPOCHS else None,
        )


def _for_page(svg: str) -> str:
    """Return the `<svg>` element, without unused names, in the colors of the page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r' id="[\w.]+_\d+"', "", svg)
    for color, page_color in _PAGE_COLORS.items():
        svg = svg.replace(color, page_color)
    return svg
