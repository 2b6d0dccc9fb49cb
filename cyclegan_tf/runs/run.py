"""The run folder: everything about one training, in self-explanatory files.

config.json                   the options, and the versions that wrote them
checkpoints/step-00001334/    the newest state of training, and the best
generator_g.keras             G (X to Y) of the newest checkpoint; plain Keras
generator_f.keras             F (Y to X)
best/generator_g.keras        G and F of the best checkpoint
best/generator_f.keras
metrics.jsonl                 one line for each epoch
test_images.txt               images kept for tests, if data_x and data_y name folders
evaluation.json               the scores of the last cyclegan evaluate
samples/epoch-0001.png        one picture for each epoch
report.html                   the page of the last cyclegan report
tensorboard/                  the same numbers for TensorBoard
"""

import contextlib
import dataclasses
import os
import pathlib
import platform
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from cyclegan_tf._shared.archives import reading, write_note
from cyclegan_tf._shared.errors import InputError
from cyclegan_tf._shared.files import (
    locked,
    parse_json,
    printable,
    remove_leftovers,
    replacing,
    write_json,
)
from cyclegan_tf._shared.machine import versions
from cyclegan_tf._version import __version__
from cyclegan_tf.config.options import TrainConfig
from cyclegan_tf.config.stored import from_dict, to_dict
from cyclegan_tf.runs.checkpoints import Checkpoints, Position

if TYPE_CHECKING:
    from cyclegan_tf.models.adversarial import AdversarialModel

FORMAT = 1


def generator_file(folder: pathlib.Path, direction: str) -> pathlib.Path:
    """Return where a folder keeps the generator of a direction."""
    return folder / f"generator_{direction}.keras"


class Run:
    """An existing run folder.

    Args:
        folder: a folder that `Run.create` made.
        config: its options, if another process writes config.json. Defaults to reading
            them from config.json.

    Attributes:
        versions: versions of the packages that wrote config.json, by name.

    Raises:
        InputError: if it is not a run folder, or one of another format.
    """

    def __init__(self, folder: pathlib.Path, config: TrainConfig | None = None):
        self.folder = folder
        self.versions: dict[str, str] = {}
        self.config: TrainConfig = self._read_config() if config is None else config
        self.checkpoints = Checkpoints(
            folder / "checkpoints", self.config.record.keep_best
        )

    @classmethod
    def create(cls, folder: pathlib.Path, config: TrainConfig) -> "Run":
        """Make a run folder.

        Raises:
            InputError: if the path is taken.
        """
        cls.check_free(folder)
        _write_config(folder, config)
        return cls(folder)

    @staticmethod
    def is_run(folder: pathlib.Path) -> bool:
        """Whether a path is a run folder, of any version."""
        return (folder / "config.json").is_file()

    @staticmethod
    def check_free(folder: pathlib.Path) -> None:
        """Check that a run folder can be made at a path.

        Raises:
            InputError: if the path is taken, or no folder can be made there.
        """
        if Run.is_run(folder):
            raise InputError(
                f"{folder} already holds a run; resume it with `resume={folder}`, or "
                "choose another `run_dir`."
            )
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"{folder} is not empty; choose another `run_dir`.")
        path = folder.absolute()
        place = next(place for place in (path, *path.parents) if place.exists())
        if not place.is_dir() or not os.access(place, os.W_OK):
            raise InputError(
                f"{folder} cannot be made, because {place} is not a folder to write "
                "to; choose another `run_dir`."
            )

    def check_change(self, config: TrainConfig) -> None:
        """Check that the run can resume with changed options.

        Raises:
            InputError: if they change the networks, `method`, `accumulate` or `ema`.
        """
        for group, name in (
            ("objective", "method"),
            ("optimization", "accumulate"),
            ("optimization", "ema"),
        ):
            old = getattr(getattr(self.config, group), name)
            new = getattr(getattr(config, group), name)
            if old != new:
                raise InputError(
                    f"{self.folder} was trained with `{name}={old}` and cannot resume "
                    f"with `{name}={new}`; start a new run for that."
                )
        for field in dataclasses.fields(config.networks):
            old = getattr(self.config.networks, field.name)
            new = getattr(config.networks, field.name)
            if old != new:
                raise InputError(
                    f"{self.folder} holds networks with {field.name}={old} and cannot "
                    f"resume with `{field.name}={new}`; start a new run for that."
                )

    def change_config(self, config: TrainConfig) -> None:
        """Store changed options, which `check_change` has accepted."""
        if config != self.config:
            _write_config(self.folder, config)
            self.config = config
            self.checkpoints.metric = config.record.keep_best

    def locked(self) -> contextlib.AbstractContextManager[None, bool | None]:
        """Keep other processes from training in this folder.

        Raises:
            InputError: if one already does.
        """
        return locked(self.folder, "training", "run_dir")

    @property
    def samples(self) -> pathlib.Path:
        return self._subfolder("samples")

    @property
    def tensorboard(self) -> pathlib.Path:
        return self._subfolder("tensorboard")

    @property
    def metrics(self) -> pathlib.Path:
        return self.folder / "metrics.jsonl"

    @property
    def evaluation(self) -> pathlib.Path:
        return self.folder / "evaluation.json"

    @property
    def step(self) -> int | None:
        """Training steps of the newest checkpoint; `None` if there is none."""
        positions = list(self.checkpoints.positions().values())
        return positions[-1].step if positions else None

    def generator_path(self, direction: str) -> pathlib.Path:
        """Return the path of a direction's generator, which need not exist yet."""
        return generator_file(self.folder, direction)

    def write_test_images(self, names: Iterable[str]) -> None:
        """Write down which images are kept for tests, a line each."""
        with replacing(self.folder / "test_images.txt") as temporary:
            text = "".join(f"{printable(name)}\n" for name in names)
            temporary.write_text(text, encoding="utf-8")

    def save_checkpoint(self, model: "AdversarialModel", position: Position) -> None:
        """Save the whole state of training; keep the newest and the best checkpoint.

        Raises:
            InputError: if it cannot be written. Earlier checkpoints stay untouched.
        """
        with self._reporting_full_disk(position.step):
            checkpoint = self.checkpoints.save(model, position)
            self._publish_generators(model, checkpoint)
        self.checkpoints.prune()

    def restore(self, model: "AdversarialModel") -> Position | None:
        """Load the newest checkpoint into a model, and drop metrics of later steps.

        Returns:
            Its position; `None` if there is no checkpoint.

        Raises:
            InputError: if it does not fit the model, or the disk is full.
        """
        remove_leftovers(self.folder, self.folder / "best", self.checkpoints.folder)
        newest = self.checkpoints.newest
        if newest is None:
            self.metrics.unlink(missing_ok=True)
            return None
        position = self.checkpoints.positions()[newest]
        self.checkpoints.load_weights(model, newest)
        with self._reporting_full_disk(position.step):
            # The process that saved the checkpoint may have died before these writes.
            self._publish_generators(model, newest)
            self._drop_metrics_after(position.step)
        return position

    def restore_step(self, model: "AdversarialModel", step: int) -> None:
        """Load the checkpoint of a step, which another process names, into a model.

        Raises:
            InputError: if it does not exist, or does not fit the model.
        """
        for checkpoint, position in self.checkpoints.positions().items():
            if position.step == step:
                self.checkpoints.load_weights(model, checkpoint)
                return
        raise InputError(
            f"{self.folder} has no checkpoint of step {step} on this machine, but has "
            "one on the chief worker's; put the run folder on shared storage."
        )

    def _read_config(self) -> TrainConfig:
        path = self.folder / "config.json"
        if not path.is_file():
            raise InputError(
                f"{self.folder} is not a run folder: it has no config.json; name the "
                "folder of an earlier cyclegan train."
            )
        with reading(path, "the options of a run", "start one in another folder"):
            content = parse_json(path.read_text())
            if content["format"] != FORMAT:
                raise InputError(
                    f"{self.folder} has format {content['format']}, but this "
                    f"cyclegan_tf reads format {FORMAT}; use the version named in its "
                    "config.json."
                )
            self.versions = dict(content["versions"])
            config: TrainConfig = from_dict(TrainConfig, content["config"])
        return config

    def _publish_generators(
        self, model: "AdversarialModel", checkpoint: pathlib.Path
    ) -> None:
        """Write the generators of a checkpoint, also to best/ if it is the best."""
        folders = [self.folder]
        if self.checkpoints.best == checkpoint:
            folders.append(self.folder / "best")
        dataset = self.config.dataset
        for direction, generator in model.publish().items():
            note = {
                "training_size": dataset.training_size,
                "translates": dataset.translates(direction),
            }
            for folder in folders:
                with replacing(generator_file(folder, direction)) as temporary:
                    generator.save(temporary)
                    write_note(temporary, note)

    def _drop_metrics_after(self, step: int) -> None:
        if not self.metrics.exists():
            return
        lines = self.metrics.read_text().splitlines(keepends=True)
        kept = [line for line in lines if _is_until(step, line)]
        with replacing(self.metrics) as temporary:
            temporary.write_text("".join(kept))

    @contextlib.contextmanager
    def _reporting_full_disk(self, step: int) -> Iterator[None]:
        try:
            yield
        except OSError as e:
            checkpoints = self.checkpoints.positions()
            good = ", ".join(path.name for path in checkpoints) or "none"
            raise InputError(
                f"Step {step} cannot be written to {self.folder} ({e}); earlier "
                f"checkpoints ({good}) are untouched: make room, then resume with "
                f"`resume={self.folder}`."
            ) from e

    def _subfolder(self, name: str) -> pathlib.Path:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return folder


def _write_config(folder: pathlib.Path, config: TrainConfig) -> None:
    content = {
        "format": FORMAT,
        "versions": {
            "cyclegan_tf": __version__,
            "python": platform.python_version(),
            **versions("tensorflow", "keras", "numpy", "pillow"),
        },
        "config": to_dict(config),
    }
    write_json(folder / "config.json", content)


def _is_until(step: int, line: str) -> bool:
    """Whether a line of metrics.jsonl is whole and of this step or an earlier one."""
    try:
        return line.endswith("\n") and parse_json(line)["step"] <= step
    except (ValueError, KeyError, TypeError):
        return False
