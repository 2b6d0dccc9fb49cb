"""Write the options, scores, curves and images of a run as one HTML file.

The file embeds pictures, style and script, and its content security policy forbids
requests. The page itself is in `templates/`.
"""

import dataclasses
import datetime
import logging
import pathlib
from collections.abc import Mapping, Sequence

import jinja2

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf._shared.files import printable, replacing
from cyclegan_tf._shared.machine import hardware
from cyclegan_tf._version import __version__
from cyclegan_tf.config.directions import DIRECTIONS
from cyclegan_tf.data.domains import Domains, load_domains
from cyclegan_tf.evaluation.scores import Evaluation
from cyclegan_tf.pretrained.find import generators_in
from cyclegan_tf.report.curves import draw_panels, read_metrics
from cyclegan_tf.report.facts import describe_run, list_options
from cyclegan_tf.report.images import (
    CycledImage,
    ShownPair,
    best_and_worst,
    sample_sheets,
    shown_pairs,
    translate_images,
)
from cyclegan_tf.report.options import ReportConfig
from cyclegan_tf.runs.run import Run
from cyclegan_tf.training.building import MODELS
from cyclegan_tf.translation.translator import Translator

_LOG = logging.getLogger(__name__)

_EXAMPLES = 4
_EXTREMES = 4
_SHEETS = 12


@dataclasses.dataclass(frozen=True)
class Gallery:
    """The images of one direction, as the page shows them.

    Attributes:
        direction: `"g"` or `"f"`.
        title: title such as `"G: horse to zebra"`.
        labels: names of `input`, `translated` and, with a way back, `cycled` images.
        split: `"test"`, or `"training"` if there are no test images.
        total: number of images of that split.
        images: the images shown, in order.
        sureness: logits of the hit rate's classifier for the translations, positive
            for the target domain; none if these generators have not been evaluated.
    """

    direction: str
    title: str
    labels: dict[str, str]
    split: str
    total: int
    images: list[ShownPair]
    sureness: Sequence[float]

    @property
    def is_ranked(self) -> bool:
        """Whether the examples are the best ones by the classifier."""
        return len(self.sureness) > 0

    @property
    def examples(self) -> list[ShownPair]:
        """The images to show first: the surest ones or, without scores, the first."""
        if not self.is_ranked:
            return self.images[:_EXAMPLES]
        scored = zip(self.sureness, self.images)
        ranked = sorted(scored, key=lambda each: each[0], reverse=True)
        return [image for _, image in ranked[:_EXAMPLES]]

    @property
    def cycled(self) -> list[CycledImage]:
        """The images with their way back: all or none."""
        return [image for image in self.images if isinstance(image, CycledImage)]

    @property
    def mean_cycle_error(self) -> float:
        return sum(image.cycle_error for image in self.cycled) / len(self.cycled)

    @property
    def best(self) -> list[CycledImage]:
        return best_and_worst(self.cycled, _EXTREMES)[0]

    @property
    def worst(self) -> list[CycledImage]:
        return best_and_worst(self.cycled, _EXTREMES)[1]


@dataclasses.dataclass(frozen=True)
class Showcase:
    """What a trained model makes of photographs, to be shown before a run.

    Attributes:
        model: the name of the model.
        title: what it turns into what.
        files: each photograph, and its translation.
        credits: whose photographs they are.
    """

    model: str
    title: str
    files: Sequence[tuple[pathlib.Path, pathlib.Path]]
    credits: str

    @property
    def pairs(self) -> list[ShownPair]:
        return shown_pairs(self.files)


def write_report(
    config: ReportConfig, showcase: Showcase | None = None
) -> pathlib.Path:
    """Write the report of a run, replacing an earlier one, and return its path.

    The report leaves out what is missing, such as deleted images, and says so in a
    sentence, as does the log.

    Raises:
        InputError: if there is no such run, it has nothing to report yet, or an option
            is out of range.
    """
    config.check()
    run = Run(config.run_dir)
    records, notes = read_metrics(run.metrics)
    translators = {
        generator.direction or "g": Translator(generator.path, size="full")
        for generator in generators_in(run.folder)
    }
    if not records and not translators:
        raise InputError(
            f"{run.folder} has no epoch and no checkpoint yet; wait for its first one."
        )
    evaluation = _read_evaluation(run, notes)
    domains = None
    galleries: list[Gallery] = []
    if translators:
        _LOG.info("Translating on %s in float32.", hardware())
        try:
            domains = load_domains(
                run.config, max(each.size_multiple for each in translators.values())
            )
            galleries = _galleries(run, domains, translators, evaluation, config.images)
        except InputError as e:
            notes.append(f"There are no translations. {e}")
    else:
        notes.append("There are no translations: the run has no checkpoint yet.")
    sheets, problems = sample_sheets(run.folder / "samples", _SHEETS)
    notes += problems
    for note in notes:
        _LOG.warning("%s", note)
    page = _template().render(
        name=run.folder.resolve().name,
        showcase=showcase,
        written=datetime.datetime.now().astimezone(),
        version=__version__,
        versions=run.versions,
        facts=describe_run(run, records, translators, domains),
        notes=notes,
        titles=_titles(run),
        evaluation=evaluation,
        step=run.step,
        galleries=galleries,
        panels=draw_panels(records),
        sheets=sheets,
        options=list_options(run.config),
    )
    path = config.out or run.folder / "report.html"
    with replacing(path) as temporary:
        temporary.write_text(printable(page), encoding="utf-8")
    return path


def _galleries(
    run: Run,
    domains: Domains,
    translators: Mapping[str, Translator],
    evaluation: Evaluation | None,
    count: int | None,
) -> list[Gallery]:
    if count == 0:
        return []
    galleries = []
    for name, translator in translators.items():
        direction = DIRECTIONS[name]
        test = domains.test[direction.source]
        back = translators.get(direction.back)
        kinds = ("input", "translated", "cycled") if back else ("input", "translated")
        sureness = _sureness(run, evaluation, name)
        if sureness:  # they are those of the images that can be read
            test.verify()
        data = run.config.dataset.name
        images = translate_images(test, count, data, translator, back)
        galleries.append(
            Gallery(
                name,
                _titles(run)[name],
                dict(zip(kinds, direction.labels)),
                "training" if test is domains.train[direction.source] else "test",
                len(test),
                images,
                sureness,
            )
        )
    return galleries


def _titles(run: Run) -> dict[str, str]:
    """Return the title of each direction that the run trains."""
    dataset = run.config.dataset
    networks = MODELS[run.config.objective.method].network_names
    return {
        name: direction.title(dataset.translates(name))
        for name, direction in DIRECTIONS.items()
        if f"generator_{name}" in networks
    }


def _sureness(
    run: Run, evaluation: Evaluation | None, direction: str
) -> Sequence[float]:
    """Return what the classifier says of each test image that the page shows."""
    if (
        evaluation is None
        or evaluation.step != run.step
        or evaluation.data != run.config.dataset.name
    ):
        return ()
    metrics = evaluation.directions.get(direction, ())
    return next((metric.of_images for metric in metrics if metric.of_images), ())


def _read_evaluation(run: Run, notes: list[str]) -> Evaluation | None:
    if not run.evaluation.is_file():
        return None
    try:
        return Evaluation.read(run.evaluation)
    except InputError as e:
        notes.append(f"There are no scores. {e}")
        return None


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("cyclegan_tf.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html")
