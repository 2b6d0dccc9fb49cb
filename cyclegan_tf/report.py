"""Write what a run is and what it came to as one HTML file, which needs nothing else.

The file asks no computer for anything: pictures, curves, style and script are in it,
and a policy in it forbids the rest. The page itself is in `templates/`.
"""

import dataclasses
import datetime
import logging
import pathlib
from collections.abc import Sequence
from typing import Any

import jinja2

from cyclegan_tf._version import __version__
from cyclegan_tf.assembly import Domains, load_domains
from cyclegan_tf.config import TrainConfig
from cyclegan_tf.data import Domain
from cyclegan_tf.errors import InputError
from cyclegan_tf.files import replacing
from cyclegan_tf.options import ReportConfig
from cyclegan_tf.report_curves import draw_panels, read_metrics
from cyclegan_tf.report_images import (
    CycledImage,
    Progress,
    best_and_worst,
    cycle_images,
    sample_sheets,
)
from cyclegan_tf.runs import Run
from cyclegan_tf.scores import Evaluation
from cyclegan_tf.translator import Translator

_LOG = logging.getLogger(__name__)

_EXTREMES = 4
_SHEETS = 12


@dataclasses.dataclass(frozen=True)
class Gallery:
    """The images of one direction, as the page shows them.

    Attributes:
        direction: `"g"` or `"f"`.
        title: such as `"G: X to Y"`.
        labels: what the input, its translation and the way back are called.
        split: `"test"`, or `"training"` where there are no test images.
        total: how many images that split has.
        images: those shown, in order.
    """

    direction: str
    title: str
    labels: dict[str, str]
    split: str
    total: int
    images: list[CycledImage]

    @property
    def mean_cycle_error(self) -> float:
        return sum(image.cycle_error for image in self.images) / len(self.images)

    @property
    def best(self) -> list[CycledImage]:
        return best_and_worst(self.images, _EXTREMES)[0]

    @property
    def worst(self) -> list[CycledImage]:
        return best_and_worst(self.images, _EXTREMES)[1]


@dataclasses.dataclass(frozen=True)
class Option:
    """An option of the training.

    Attributes:
        flag: as on the command line.
        value: as one would type it.
        default: likewise; empty if the option has none.
        is_changed: whether the value is another than the default.
    """

    flag: str
    value: str
    default: str
    is_changed: bool


def write_report(config: ReportConfig) -> pathlib.Path:
    """Write the report of a run; an earlier one is replaced.

    What cannot be shown, such as images that are no longer there, is left out; a
    sentence in the report and in the log says so.

    Args:
        config: which run, and where to.

    Returns:
        The HTML file.

    Raises:
        InputError: if there is no such run, it has nothing to report yet, or an
            option is not fit for it.
    """
    config.check()
    run = Run(config.run_dir)
    records, notes = read_metrics(run.metrics)
    translators = _load_translators(run)
    if not records and not translators:
        raise InputError(
            f"{run.folder} has no epoch and no checkpoint yet; wait for the first one "
            "of its training."
        )
    domains = None
    galleries: list[Gallery] = []
    if translators:
        try:
            domains = load_domains(run.config, translators["g"].size_multiple)
            galleries = _galleries(run, domains, translators, config.images)
        except InputError as e:
            notes.append(f"There are no translations here. {e}")
    else:
        notes.append("There are no translations here: the run has no checkpoint yet.")
    sheets, problems = sample_sheets(run.folder / "samples", _SHEETS)
    notes += problems
    evaluation = _read_evaluation(run, notes)
    for note in notes:
        _LOG.warning("%s", note)
    page = _template().render(
        name=run.folder.resolve().name,
        written=datetime.datetime.now().astimezone(),
        version=__version__,
        versions=run.versions,
        facts=_facts(run, records, translators, domains),
        notes=notes,
        evaluation=evaluation,
        step=_step(run),
        galleries=galleries,
        panels=draw_panels(records),
        sheets=sheets,
        options=_options(run.config),
    )
    path = config.out or run.folder / "report.html"
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def _load_translators(run: Run) -> dict[str, Translator]:
    """Load both generators; none before the first checkpoint."""
    paths = {direction: run.generator_path(direction) for direction in "gf"}
    if not all(path.is_file() for path in paths.values()):
        return {}
    return {direction: Translator(path) for direction, path in paths.items()}


def _galleries(
    run: Run,
    domains: Domains,
    translators: dict[str, Translator],
    count: int | None,
) -> list[Gallery]:
    shown = {
        "g": ("G: X to Y", domains.test_x, domains.train_x, ("x", "G(x)", "F(G(x))")),
        "f": ("F: Y to X", domains.test_y, domains.train_y, ("y", "F(y)", "G(F(y))")),
    }
    counts = {
        direction: len(test) if count is None else min(count, len(test))
        for direction, (_, test, _, _) in shown.items()
    }
    progress = Progress(sum(counts.values()))
    return [
        Gallery(
            direction,
            title,
            dict(zip(("input", "translated", "cycled"), labels)),
            "training" if test is train else "test",
            len(test),
            cycle_images(
                test,
                counts[direction],
                run.config.dataset.data,
                translators[direction],
                translators["f" if direction == "g" else "g"],
                progress,
            ),
        )
        for direction, (title, test, train, labels) in shown.items()
        if counts[direction]
    ]


def _read_evaluation(run: Run, notes: list[str]) -> Evaluation | None:
    if not run.evaluation.is_file():
        return None
    try:
        return Evaluation.read(run.evaluation)
    except InputError as e:
        notes.append(f"There are no scores here. {e}")
        return None


def _step(run: Run) -> int | None:
    """The step of the newest checkpoint, whose generators are shown."""
    positions = list(run.checkpoints().values())
    return positions[-1].step if positions else None


def _facts(
    run: Run,
    records: Sequence[dict[str, Any]],
    translators: dict[str, Translator],
    domains: Domains | None,
) -> dict[str, str]:
    """What the page says first: each fact under its heading."""
    config = run.config
    facts = {"Data": config.dataset.data}
    if domains:
        facts["Training images"] = _sizes(domains.train_x, domains.train_y)
        if domains.test_x is not domains.train_x:
            facts["Test images"] = _sizes(domains.test_x, domains.test_y)
        facts["Image size"] = _image_size(domains.train_x)
    if records:
        facts["Trained"] = (
            f"{records[-1]['epoch']} of {config.optimization.epochs} epochs, "
            f"{records[-1].get('step', 0):,} steps"
        )
        seconds = sum(record.get("seconds", 0) for record in records)
        facts["Time"] = _duration(seconds)
    networks = config.networks
    facts["Networks"] = f"{networks.generator} and {networks.discriminator}"
    if translators:
        parameters = translators["g"].generator.count_params()
        facts["Networks"] += f", {parameters:,} parameters a generator"
    objective = config.objective
    facts["Objective"] = (
        f"{objective.adversarial_loss}, cycle weight {objective.cycle_weight:g}, "
        f"identity weight {objective.identity_weight:g}"
    )
    return facts


def _sizes(domain_x: Domain, domain_y: Domain) -> str:
    return f"{len(domain_x):,} of X, {len(domain_y):,} of Y"


def _image_size(domain: Domain) -> str:
    height, width, _ = domain.image_shape
    return "various" if height is None else f"{width}x{height} pixels"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return (
        f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
    )


def _options(config: TrainConfig) -> dict[str, list[Option]]:
    """List all options by their group, those without a default as unchanged."""
    return {
        group.name: [
            _option(field, getattr(getattr(config, group.name), field.name))
            for field in dataclasses.fields(getattr(config, group.name))
        ]
        for group in dataclasses.fields(config)
    }


def _option(field: "dataclasses.Field[Any]", value: Any) -> Option:
    has_default = field.default is not dataclasses.MISSING
    return Option(
        "--" + field.name.replace("_", "-"),
        _as_typed(value),
        _as_typed(field.default) if has_default else "",
        has_default and value != field.default,
    )


def _as_typed(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return "not given" if value is None else str(value)


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("cyclegan_tf"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html")
