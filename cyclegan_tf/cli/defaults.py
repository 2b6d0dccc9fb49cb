"""The options of `cyclegan train` and `cyclegan plan`, and what their flags default to.

The defaults come from the run to continue, or from a recipe and a preset. Tyro needs
them before it parses, so the flags that name these are looked up first.
"""

import argparse
import dataclasses
import pathlib
import re
from typing import Annotated, Any, get_args

import tyro

from cyclegan_tf._shared.errors import InputError, check_positive
from cyclegan_tf.cli.parsing import no_such_choice
from cyclegan_tf.config.options import Method, NetworkConfig, TrainConfig
from cyclegan_tf.config.presets import PRESETS, PresetName
from cyclegan_tf.config.recipes import RECIPES, RecipeName, make_train_config


@dataclasses.dataclass(frozen=True)
class NewRun(TrainConfig):
    """The options of a new run, to be trained or planned.

    Attributes:
        run_dir: Folder for the new run. Defaults to runs/NAME, named after the data.
        recipe: Images and options for a well-known application; see cyclegan recipes.
            Options given here override it.
        preset: Options of another codebase. The recipe and options given here override
            it.
        epochs: Number of epochs: half of them at the full learning rate, then half with
            linear decay towards 0. Sets constant_epochs and decay_epochs.
    """

    run_dir: pathlib.Path | None = None
    recipe: RecipeName | None = None
    preset: PresetName | None = None
    epochs: int | None = None

    def config(self) -> TrainConfig:
        """Return the options that `config.json` stores.

        Raises:
            InputError: if one is out of its range.
        """
        config = TrainConfig(**_groups(self))
        if self.epochs is not None:
            check_positive(epochs=self.epochs)
            decay = self.epochs // 2
            optimization = dataclasses.replace(
                config.optimization,
                constant_epochs=self.epochs - decay,
                decay_epochs=decay,
            )
            config = dataclasses.replace(config, optimization=optimization)
        config.check()
        return config

    def folder(self) -> pathlib.Path:
        """Return the folder of the run."""
        if self.run_dir:
            return self.run_dir
        data = self.dataset.data
        if not data:
            name = "2".join(self.dataset.domain_names)
        elif data.startswith("tfds:"):
            name = pathlib.PurePath(data).name
        else:
            name = pathlib.Path(data).resolve().name  # that of "." and ".."
        return pathlib.Path("runs", name)


@dataclasses.dataclass(frozen=True)
class Train(NewRun):
    """Train in a new run folder, or continue with --resume.

    Attributes:
        resume: Continue the run in this folder with its own options. Options given
            here, such as more epochs, override them.
        dry_run: Print the options, and stop.
    """

    resume: pathlib.Path | None = None
    dry_run: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Distill(NewRun):
    """Train a small generator to imitate a large one, for phones.

    Takes the options of cyclegan train. Trains by pix2pix on photographs and the
    teacher's translations of them; data is a folder of photographs.

    Attributes:
        teacher: The generator to learn from: a run, a .keras file, an exported folder,
            or the name of a model.
        teacher_direction: Generator of the teacher, if it has two.
    """

    teacher: Annotated[pathlib.Path, tyro.conf.Positional]
    teacher_direction: str | None = None


@dataclasses.dataclass(frozen=True)
class Plan(NewRun):
    """Forecast memory, time and disk of a training from its first steps.

    Takes the options of cyclegan train. Nothing is written to the run folder.

    Attributes:
        json: Also write the forecast to this JSON file.
    """

    json: pathlib.Path | None = None


def of_train(arguments: list[str]) -> Train:
    """Return the defaults of `cyclegan train`, given the arguments after the verb.

    Raises:
        InputError: if `--resume` names no run, or is combined with a recipe or preset.
    """
    given = _given(arguments)
    if given.resume is None:
        return Train(**_groups(_new_run(given)))
    if given.recipe or given.preset:
        raise InputError(
            f"--resume {given.resume} continues with the options of that run; leave "
            "out --recipe and --preset, or start a new run."
        )
    from cyclegan_tf.runs.run import Run

    return Train(**_groups(Run(given.resume).config), resume=given.resume)


def of_plan(arguments: list[str]) -> Plan:
    """Return the defaults of `cyclegan plan`, given the arguments after the verb.

    Raises:
        InputError: if `--resume` is given.
    """
    given = _given(arguments)
    if given.resume:
        raise InputError(
            f"cyclegan plan forecasts new runs only; remove --resume {given.resume} "
            "and give that run's options instead."
        )
    return Plan(**_groups(_new_run(given)))


def of_distill(arguments: list[str]) -> Distill:
    """Return the defaults of `cyclegan distill`, given the arguments after the verb."""
    config = _new_run(_given(["--method", "pix2pix", *arguments]))
    return Distill(
        **_groups(
            dataclasses.replace(
                config,
                # The generator of GAN Compression, whose students learn like this.
                networks=NetworkConfig("mobile_resnet"),
                optimization=dataclasses.replace(
                    config.optimization, constant_epochs=10, decay_epochs=10
                ),
            )
        ),
        teacher=tyro.MISSING,
    )


def _given(arguments: list[str]) -> argparse.Namespace:
    # Tyro also takes --data_x for --data-x.
    arguments = [
        re.sub("^--[^=]+", lambda flag: flag[0].replace("_", "-"), argument)
        for argument in arguments
    ]
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--resume", nargs="?", type=pathlib.Path)
    names = ("--recipe", "--preset", "--method", "--data-x", "--data-y")
    epochs = ("--epochs", "--constant-epochs", "--decay-epochs")
    for name in names + epochs:
        parser.add_argument(name, nargs="?")
    given = parser.parse_known_args(arguments)[0]
    if given.epochs and (given.constant_epochs or given.decay_epochs):
        raise InputError(
            f"`epochs={given.epochs}` sets both `constant_epochs` and `decay_epochs`; "
            "leave it out, or leave them out."
        )
    for flag, name, known in (
        ("--recipe", given.recipe, RECIPES),
        ("--preset", given.preset, PRESETS),
        ("--method", given.method, get_args(Method)),
    ):
        if name and name not in known:
            raise no_such_choice(flag, name, known)
    return given


def _new_run(given: argparse.Namespace) -> TrainConfig:
    data = ""
    if not (given.data_x or given.data_y):
        # Tyro asks for the images if no recipe names any.
        data = (given.recipe and RECIPES[given.recipe].data) or tyro.MISSING
    return make_train_config(given.recipe, given.preset, data, given.method)


def _groups(config: TrainConfig) -> dict[str, Any]:
    return {f.name: getattr(config, f.name) for f in dataclasses.fields(TrainConfig)}
