"""The table of commands, one row per verb.

The public names of the package are imported when they are used, so neither the table
nor the help waits for TensorFlow.
"""

import contextlib
import dataclasses
import json
import pathlib
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any

import tyro

import cyclegan_tf as api
from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.cli import catalogue, defaults, demo
from cyclegan_tf.config.stored import to_dict
from cyclegan_tf.pretrained import cards
from cyclegan_tf.pretrained.options import InspectConfig


@dataclasses.dataclass(frozen=True)
class Text:
    """Plain text to print, and the next command if it depends on the result."""

    text: str
    exit_code: int = 0
    then: str = ""

    def to_text(self) -> str:
        return self.text


@dataclasses.dataclass(frozen=True)
class Command:
    """A row of the table.

    Attributes:
        verb: the first argument.
        group: heading in `cyclegan --help`.
        options: dataclass of the other arguments; its docstring is the help.
        function: takes the options; returns `None`, or a result with `to_text()` and
            `exit_code`. If the options have a `json` that is set, `main` also calls
            `result.write(json)`.
        default: takes the raw arguments; returns options pre-filled from a recipe, a
            preset or a run.
        after_dashes: name of the option that takes all arguments after a lone `--`.
        first: options listed first in the help, at most ten; empty lists all options
            together.
        then: takes the options; returns what to type after a success.
    """

    verb: str
    group: str
    options: type
    function: Callable[[Any], Any]
    default: Callable[[list[str]], Any] | None = None
    after_dashes: str | None = None
    first: tuple[str, ...] = ()
    then: Callable[[Any], str] | None = None


@dataclasses.dataclass(frozen=True)
class Recipes:
    """List the recipes and presets of cyclegan train, or describe one.

    Attributes:
        name: A recipe or a preset.
    """

    name: Annotated[str | None, tyro.conf.Positional] = None


@dataclasses.dataclass(frozen=True)
class Models:
    """List the trained generators that come with the package, or describe one.

    Attributes:
        name: A model.
        all: Also list models by others, which are downloaded on first use.
    """

    name: Annotated[str | None, tyro.conf.Positional] = None
    all: bool = False


@dataclasses.dataclass(frozen=True)
class Demo:
    """Translate photographs, then train on built-in images; a few minutes.

    Attributes:
        run_dir: Folder for the new run.
    """

    run_dir: pathlib.Path = pathlib.Path("runs/demo")


def _train(options: defaults.Train) -> Text:
    config = options.config()
    if options.resume and options.run_dir:
        raise InputError(
            f"`resume={options.resume}` already names the run folder; leave out "
            f"`run_dir={options.run_dir}`."
        )
    folder = options.resume or options.folder()
    if options.dry_run:
        config = api.check_training(config, folder, resumes=bool(options.resume))
        return Text(json.dumps(to_dict(config), indent=2))
    with _explain_resuming(folder):
        if options.resume:
            api.resume(folder, config)
        else:
            api.train(config, folder)
    return Text(f"Trained: {folder}")


@contextlib.contextmanager
def _explain_resuming(folder: pathlib.Path) -> Iterator[None]:
    """Let Ctrl-C say how to continue, if the run is there by then."""
    from cyclegan_tf.runs.run import Run  # slow to import; the help must be fast

    try:
        yield
    except KeyboardInterrupt:
        if not Run.is_run(folder):
            raise
        again = _command("train", "--resume", folder)
        raise KeyboardInterrupt(f"interrupted; continue with {again}") from None


def _after_training(options: defaults.Train) -> str:
    if options.dry_run:
        return "the same command without --dry-run"
    return _command("report", options.resume or options.folder())


def _after_doctor(options: api.DoctorConfig) -> str:
    # Slow to import; the help must be fast.
    from cyclegan_tf.data.sources import is_side_by_side

    plan = _command("plan", "--data", options.data)
    paired = is_side_by_side(options.data, "train")
    return f"{plan} --method pix2pix" if paired else plan


def _translate(options: api.TranslateConfig) -> Text:
    translations = api.translate(options)
    skipped = [f"Skipped: {item.error}" for item in translations if item.error]
    count = f"{len(translations) - len(skipped)} of {len(translations)}"
    summary = f"Translated {count} images; see {options.out / 'manifest.csv'}"
    return Text("\n".join([summary, *skipped]), exit_code=1 if skipped else 0)


def _distill(options: defaults.Distill) -> Text:
    folder = options.folder()
    with _explain_resuming(folder):
        api.distill(
            options.teacher, options.config(), folder, options.teacher_direction
        )
    return Text(f"Trained: {folder}")


def _inspect(options: InspectConfig) -> Text:
    networks = api.inspect_networks(options.path)
    lines = []
    for name, facts in networks.items():
        lines += [name, *(f"  {heading:<12} {text}" for heading, text in facts.items())]
    return Text("\n".join(lines), then=_after_inspect(options.path, networks))


def _after_inspect(
    path: pathlib.Path, networks: Mapping[str, Mapping[str, str]]
) -> str:
    for facts in networks.values():
        # An imported file names another one as its origin.
        file = facts["origin"].partition(", file ")[2].partition(",")[0]
        if file and (file == path.name or (path / file).is_file()):
            return _command("import", path, "--out", "OUT")
    rules = [facts.get("image sizes", "not kept") for facts in networks.values()]
    keeps_sizes = any(not rule.startswith("not kept") for rule in rules)
    return _command("translate", path, "PHOTO") if keeps_sizes else ""


def _recipes(options: Recipes) -> Text:
    name = options.name
    return Text(catalogue.describe(name) if name else catalogue.overview())


def _models(options: Models) -> Text:
    name = options.name
    return Text(cards.card(name) if name else cards.overview(options.all))


def _demo(options: Demo) -> Text:
    return Text(demo.summarize(demo.run_demo(options.run_dir), options.run_dir))


def _command(*words: object) -> str:
    """Return a command that can be pasted into a shell."""
    return shlex.join(["cyclegan", *map(str, words)])


def _written(what: str, paths: Iterable[pathlib.Path]) -> Text:
    lines = [f"{what}: {path}, {path.stat().st_size / 1e6:.1f} MB" for path in paths]
    return Text("\n".join(lines))


MAIN = "Train and use"
CHECKS = "Check and report"
MORE = "Convert and more"

_TRAINING_OPTIONS = (
    "data",
    "recipe",
    "run_dir",
    "generator",
    "load_size",
    "crop_size",
    "epochs",
    "batch_size",
    "precision",
)

# Lambdas delay the import of the functions, and thus of TensorFlow. The option classes
# do not import TensorFlow.
COMMANDS = (
    Command(
        "train",
        MAIN,
        defaults.Train,
        _train,
        default=defaults.of_train,
        first=(*_TRAINING_OPTIONS, "resume"),
        then=_after_training,
    ),
    Command(
        "translate",
        MAIN,
        api.TranslateConfig,
        _translate,
        then=lambda o: _command("serve", o.source),
    ),
    Command(
        "evaluate",
        MAIN,
        api.EvaluateConfig,
        lambda o: api.evaluate(o),
        then=lambda o: _command("translate", o.source, "PHOTO"),
    ),
    Command(
        "export",
        MAIN,
        api.ExportConfig,
        lambda o: api.export_generators(o),
        first=(
            "out",
            "purpose",
            "formats",
            "variants",
            "sizes",
            "image_size",
            "gpu_safe",
            "name",
            "calibration",
            "overwrite",
        ),
        then=lambda o: _command("translate", o.translation_source, "PHOTO"),
    ),
    Command("serve", MAIN, api.ServeConfig, lambda o: api.serve(o)),
    Command(
        "models",
        MAIN,
        Models,
        _models,
        then=lambda o: _command("translate", o.name or "NAME", "PHOTO"),
    ),
    Command(
        "doctor",
        CHECKS,
        api.DoctorConfig,
        lambda o: api.diagnose(o),
        then=_after_doctor,
    ),
    Command(
        "plan",
        CHECKS,
        defaults.Plan,
        lambda o: api.plan_training(o.config(), o.folder()),
        default=defaults.of_plan,
        first=(*_TRAINING_OPTIONS, "json"),
        then=lambda o: "cyclegan train, with the same options",
    ),
    Command(
        "report",
        CHECKS,
        api.ReportConfig,
        lambda o: _written("Report", [api.write_report(o)]),
        then=lambda o: _command("translate", o.run_dir, "PHOTO"),
    ),
    Command(
        "import",
        MORE,
        api.ImportConfig,
        lambda o: _written("Imported", api.import_network(o)),
        then=lambda o: _command("inspect", o.out),
    ),
    Command(
        "export-pytorch",
        MORE,
        api.ExportPytorchConfig,
        lambda o: _written("Exported", api.export_pytorch(o)),
        then=lambda o: _command("inspect", o.out),
    ),
    Command("inspect", MORE, InspectConfig, _inspect),
    Command(
        "distill",
        MORE,
        defaults.Distill,
        _distill,
        default=defaults.of_distill,
        first=(*_TRAINING_OPTIONS, "teacher_direction"),
        then=lambda o: _command("evaluate", o.folder()),
    ),
    Command(
        "recipes",
        MORE,
        Recipes,
        _recipes,
        then=lambda o: (
            catalogue.command_with(o.name) if o.name else "cyclegan recipes NAME"
        ),
    ),
    Command(
        "demo",
        MORE,
        Demo,
        _demo,
        then=lambda o: _command("translate", "photo2monet", "PHOTO"),
    ),
    Command(
        "translate-beam",
        MORE,
        api.TranslateBeamConfig,
        lambda o: api.translate_beam(o),
        after_dashes="pipeline_options",
        then=lambda o: _command("serve", o.source),
    ),
)
