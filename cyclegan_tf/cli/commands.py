"""The commands: each a dataclass of its options that, called, runs one function.

TensorFlow is imported inside the call only, so that help is instant.
"""

import dataclasses
import json
import pathlib
import sys
from typing import Annotated

import tyro

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.beam.options import TranslateBeamConfig
from cyclegan_tf.cli import catalogue
from cyclegan_tf.config.options import TrainConfig
from cyclegan_tf.config.presets import PresetName
from cyclegan_tf.config.recipes import RecipeName
from cyclegan_tf.config.stored import to_dict
from cyclegan_tf.doctor.options import DoctorConfig
from cyclegan_tf.evaluation.options import EvaluateConfig
from cyclegan_tf.export.options import ExportConfig
from cyclegan_tf.pretrained.options import ExportPytorchConfig, ImportConfig
from cyclegan_tf.report.options import ReportConfig
from cyclegan_tf.translation.options import ServeConfig, TranslateConfig

EXIT_SOME_SKIPPED = 1


@dataclasses.dataclass(frozen=True)
class NewRun(TrainConfig):
    """The options of a new run, for the commands that begin it or look ahead at it.

    Attributes:
        run_dir: Folder for the new run; runs/NAME after the data if not given.
        recipe: Images and options for a well-known application; see cyclegan recipes.
            Options given here replace those of the recipe.
        preset: Options of another codebase. Those of the recipe and those given here
            replace them.
    """

    run_dir: pathlib.Path | None = None
    recipe: RecipeName | None = None
    preset: PresetName | None = None

    def _config(self) -> TrainConfig:
        """Return the options that config.json keeps."""
        names = [field.name for field in dataclasses.fields(TrainConfig)]
        config = TrainConfig(**{name: getattr(self, name) for name in names})
        config.check()
        return config

    def _folder(self) -> pathlib.Path:
        data = self.dataset.data
        if not data.startswith("tfds:"):
            data = str(pathlib.Path(data).resolve())  # what "." and ".." are called
        return self.run_dir or pathlib.Path("runs", pathlib.PurePath(data).name)


@dataclasses.dataclass(frozen=True)
class Train(NewRun):
    """Train a CycleGAN in a new run folder, or go on with one by --resume.

    Attributes:
        resume: Go on with the run in this folder. Its options hold; those given here,
            such as more epochs, replace them.
        explain: Print how the options that would be used differ from this preset, and
            stop.
        dry_run: Print the options that would be used, and stop.
    """

    resume: pathlib.Path | None = None
    explain: PresetName | None = None
    dry_run: bool = False

    def __call__(self) -> int:
        config = self._config()
        if self.explain:
            print(catalogue.explain(config, self.recipe, self.preset, self.explain))
            return 0
        if self.dry_run:
            print(json.dumps(to_dict(config), indent=2))
            return 0
        from cyclegan_tf.training import train as training

        if self.resume:
            if self.run_dir:
                raise InputError(
                    f"--resume {self.resume} names the run folder already; leave out "
                    f"--run-dir {self.run_dir}."
                )
            training.resume(self.resume, config)
            run_dir = self.resume
        else:
            run_dir = self._folder()
            training.train(config, run_dir)
        print(f"Trained: {run_dir}")
        return 0


@dataclasses.dataclass(frozen=True)
class Plan(NewRun):
    """Forecast memory, time and disk of a new run from its first steps.

    It takes the options of cyclegan train, and writes nothing in the run folder.

    Attributes:
        json: Write the forecast to this file, too.
    """

    json: pathlib.Path | None = None

    def __call__(self) -> int:
        from cyclegan_tf.cli.main import as_flags
        from cyclegan_tf.planning.plan import plan_training

        plan = plan_training(self._config(), self._folder())
        print(as_flags(plan.to_text()))
        if self.json:
            plan.write(self.json)
        return plan.exit_code


@dataclasses.dataclass(frozen=True)
class Recipes:
    """List the recipes and presets of cyclegan train, or say all about one.

    Attributes:
        name: A recipe or a preset.
        markdown: Print all about all of them, as in docs/recipes.md.
    """

    name: Annotated[str | None, tyro.conf.Positional] = None
    markdown: bool = False

    def __call__(self) -> int:
        if self.markdown:
            print(catalogue.to_markdown(), end="")
        else:
            print(catalogue.describe(self.name) if self.name else catalogue.overview())
        return 0


@dataclasses.dataclass(frozen=True)
class Doctor(DoctorConfig):
    """Look through a data set for what would spoil a training.

    Attributes:
        data: A folder with trainA and trainB, tfds:NAME or demo, as cyclegan train
            takes it.
    """

    data: Annotated[str, tyro.conf.Positional]

    def __call__(self) -> int:
        from cyclegan_tf.cli.main import as_flags
        from cyclegan_tf.doctor.diagnose import diagnose

        diagnosis = diagnose(self)
        print(as_flags(diagnosis.to_text()))
        if self.json:
            diagnosis.write(self.json)
        return diagnosis.exit_code


@dataclasses.dataclass(frozen=True)
class Translate(TranslateConfig):
    """Translate images with a trained generator.

    Attributes:
        inputs: Image files and folders; folders are searched through, and their
            subfolders kept.
    """

    inputs: Annotated[tuple[pathlib.Path, ...], tyro.conf.Positional]

    def __call__(self) -> int:
        from cyclegan_tf.translation.translate import MANIFEST, translate

        translations = translate(self)
        skipped = [item for item in translations if item.error]
        print(
            f"Translated {len(translations) - len(skipped)} of {len(translations)} "
            f"images; see {self.out / MANIFEST}"
        )
        for item in skipped:
            print(f"Skipped: {item.error}", file=sys.stderr)
        return EXIT_SOME_SKIPPED if skipped else 0


@dataclasses.dataclass(frozen=True)
class TranslateBeam(TranslateBeamConfig):
    """Translate images in bulk, on a runner of Apache Beam: Flink, Spark, Dataflow.

    The same command again goes on where it stopped. What stands after a lone -- is
    Beam's, such as -- --runner=FlinkRunner --flink_master=host:8081.

    Attributes:
        inputs: Files, folders, and patterns such as 'photos/**.jpg' or
            'gs://bucket/photos/*', on any file system that Beam knows.
    """

    inputs: Annotated[tuple[str, ...], tyro.conf.Positional]
    pipeline_options: Annotated[tuple[str, ...], tyro.conf.Suppress] = ()

    def __call__(self) -> int:
        from cyclegan_tf.beam.translate import translate_beam

        result = translate_beam(self)
        print(result.to_text())
        for reason in result.skipped:
            print(f"Skipped: {reason}", file=sys.stderr)
        return result.exit_code


@dataclasses.dataclass(frozen=True)
class Evaluate(EvaluateConfig):
    """Score the translations of a run, or of one generator.

    Attributes:
        source: A run folder, or one generator's .keras file.
    """

    source: Annotated[pathlib.Path, tyro.conf.Positional]

    def __call__(self) -> int:
        from cyclegan_tf.evaluation.evaluate import evaluate

        evaluation = evaluate(self)
        print(evaluation.to_text())
        for warning in evaluation.warnings:
            print(f"Note: {warning}", file=sys.stderr)
        return evaluation.exit_code


@dataclasses.dataclass(frozen=True)
class Export(ExportConfig):
    """Export generators for servers, phones and browsers, and check the result."""

    def __call__(self) -> int:
        from cyclegan_tf.export.export import export_generators

        report = export_generators(self)
        print(report.to_text())
        print(f"See {self.out / 'report.md'}")
        return report.exit_code


@dataclasses.dataclass(frozen=True)
class Report(ReportConfig):
    """Write a page that shows what a run is and what it came to, in one HTML file.

    Attributes:
        run_dir: The folder of the run.
    """

    run_dir: Annotated[pathlib.Path, tyro.conf.Positional]

    def __call__(self) -> int:
        from cyclegan_tf.report.report import write_report

        path = write_report(self)
        print(f"Report: {path}, {path.stat().st_size / 1e6:.1f} MB")
        return 0


@dataclasses.dataclass(frozen=True)
class Serve(ServeConfig):
    """Serve a page on this computer that translates photos.

    Attributes:
        source: A run folder, a generator's .keras file, or a folder that cyclegan
            export wrote.
    """

    source: Annotated[pathlib.Path, tyro.conf.Positional]

    def __call__(self) -> int:
        from cyclegan_tf.translation.page import serve

        serve(self)
        return 0


@dataclasses.dataclass(frozen=True)
class Import(ImportConfig):
    """Turn a network of PyTorch or Keras 2 into a plain Keras 3 file.

    Attributes:
        source: A PyTorch .pth file, a folder of them, or a model that Keras 2 saved,
            with TensorFlow Addons or without: an .h5 or .keras file or a SavedModel.
    """

    source: Annotated[pathlib.Path, tyro.conf.Positional]

    def __call__(self) -> int:
        from cyclegan_tf.pretrained.convert import import_network

        for path in import_network(self):
            print(f"Imported: {path}")
        return 0


@dataclasses.dataclass(frozen=True)
class ExportPytorch(ExportPytorchConfig):
    """Write networks as PyTorch files that the CycleGAN authors' code loads.

    Attributes:
        source: A run, a folder of .keras files, or one generator's .keras file.
    """

    source: Annotated[pathlib.Path, tyro.conf.Positional]

    def __call__(self) -> int:
        from cyclegan_tf.pretrained.convert import export_pytorch

        for path in export_pytorch(self):
            print(f"Exported: {path}")
        return 0


@dataclasses.dataclass(frozen=True)
class Inspect:
    """Say what the networks in a file or folder are.

    Attributes:
        path: A file of a network, a SavedModel, a run, or a folder of networks.
    """

    path: Annotated[pathlib.Path, tyro.conf.Positional]

    def __call__(self) -> int:
        from cyclegan_tf.pretrained.inspection import inspect_networks

        for name, facts in inspect_networks(self.path).items():
            print(name)
            for heading, text in facts.items():
                print(f"  {heading:<12} {text}")
        return 0


@dataclasses.dataclass(frozen=True)
class Demo:
    """Train on built-in images for a few minutes, translate and score.

    Attributes:
        run_dir: A new folder for the run.
    """

    run_dir: pathlib.Path = pathlib.Path("runs/demo")

    def __call__(self) -> int:
        from cyclegan_tf.cli.demo import run_demo

        scores = run_demo(self.run_dir)
        print("Mean absolute difference to the truth, in gray levels of 255:")
        for score in scores:
            print(
                f"  {score.direction}: doing nothing {score.doing_nothing:.1f}, "
                f"translated {score.translated:.1f} "
                f"(ratio {score.translated / score.doing_nothing:.2f})"
            )
        print(f"See {self.run_dir / 'contact_sheet.png'}")
        return 0
