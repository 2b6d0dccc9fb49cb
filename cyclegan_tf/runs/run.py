"""The run folder: everything about one training, in files that explain themselves.

config.json                   the options, and the versions that wrote them
checkpoints/step-00001334/    the newest state of training, and the best
    model.keras               the whole CycleGAN: networks, optimizers, image pools
    state.json                position and losses
generator_g.keras             G (X to Y) of the newest checkpoint; plain Keras
generator_f.keras             F (Y to X)
best/generator_g.keras        G and F of the best checkpoint
best/generator_f.keras
metrics.jsonl                 a line per epoch
evaluation.json               the scores of the last cyclegan evaluate
samples/epoch-0001.png        a picture per epoch
report.html                   the page of the last cyclegan report
tensorboard/                  the same numbers for TensorBoard
"""

import contextlib
import dataclasses
import itertools
import json
import pathlib
import platform
import warnings
import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeVar

import filelock

from cyclegan_tf._shared.errors import InputError, first_line
from cyclegan_tf._shared.files import remove, replacing, write_json
from cyclegan_tf._shared.machine import versions
from cyclegan_tf._version import __version__
from cyclegan_tf.config.options import TrainConfig
from cyclegan_tf.config.stored import from_dict, to_dict
from cyclegan_tf.runs.checkpoints import Position

if TYPE_CHECKING:  # a wrong folder is reported without waiting for TensorFlow
    import keras

FORMAT = 1

# Not bare .weights.h5: HDF5 writes those to the disk by itself, and crashes the
# process when the disk is full. Keras puts a .keras file together in memory.
_MODEL = "model.keras"

# The name of a generator's file, of whichever type.
Generator = TypeVar("Generator", pathlib.Path, str)


class Run:
    """A run folder that exists.

    Args:
        folder: a folder that `Run.create` made.
        config: its options, where another process writes the folder and this one
            knows them. Defaults to reading them from config.json.

    Attributes:
        folder: its path.
        config: the `TrainConfig` it was started with.
        versions: of the packages that wrote the options, by name.

    Raises:
        InputError: if it is no run folder, or one of another version.
    """

    def __init__(self, folder: pathlib.Path, config: TrainConfig | None = None):
        self.folder = folder
        if config is not None:
            self.config: TrainConfig = config
            self.versions: dict[str, str] = {}
            return
        path = folder / "config.json"
        if not path.is_file():
            raise InputError(
                f"{folder} is not a run folder, it has no config.json; name the "
                "--run-dir of an earlier cyclegan train."
            )
        try:
            content = json.loads(path.read_text())
            written_format = content["format"]
            values = content["config"]
            self.versions = content["versions"]
        except (json.JSONDecodeError, KeyError, TypeError) as e:
            raise InputError(
                f"{path} is damaged ({e}); start a new run in another folder."
            ) from e
        if written_format != FORMAT:
            raise InputError(
                f"{folder} has format {written_format}, but this cyclegan_tf reads "
                f"format {FORMAT}; use the version named in its config.json."
            )
        self.config = from_dict(TrainConfig, values)

    @classmethod
    def create(cls, folder: pathlib.Path, config: TrainConfig) -> "Run":
        """Make a run folder.

        Raises:
            InputError: if there is something at that path already.
        """
        cls.check_free(folder)
        _write_config(folder, config)
        return cls(folder)

    @staticmethod
    def check_free(folder: pathlib.Path) -> None:
        """Check that a run folder can be made there.

        Raises:
            InputError: if there is something at that path already.
        """
        if (folder / "config.json").exists():
            raise InputError(
                f"{folder} already holds a run; go on with it by --resume {folder}, or "
                "choose another --run-dir."
            )
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"{folder} is not empty; choose another --run-dir.")

    def check_change(self, config: TrainConfig) -> None:
        """Check that the run may go on with other options.

        Raises:
            InputError: if they ask for other networks than the run has, or for
                updates after another number of steps.
        """
        old_steps = self.config.optimization.accumulate
        new_steps = config.optimization.accumulate
        if old_steps != new_steps:
            raise InputError(
                f"{self.folder} counts updates of --accumulate {old_steps}, which "
                f"cannot go on with {new_steps}; start a new run for that."
            )
        for field in dataclasses.fields(config.networks):
            old = getattr(self.config.networks, field.name)
            new = getattr(config.networks, field.name)
            if old != new:
                raise InputError(
                    f"{self.folder} holds networks with {field.name}={old}, which "
                    f"cannot go on with {field.name}={new}; start a new run for that."
                )

    def change_config(self, config: TrainConfig) -> None:
        """Store other options to go on with, which `check_change` has let pass."""
        if config != self.config:
            _write_config(self.folder, config)
            self.config = config

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from training in this folder.

        Raises:
            InputError: if one does already.
        """
        lock = filelock.FileLock(self.folder / ".lock", blocking=False)
        try:
            lock.acquire()
        except filelock.Timeout:
            raise InputError(
                f"Another process is training in {self.folder}; wait for it, or choose "
                "another --run-dir."
            ) from None
        try:
            yield
        finally:
            lock.release()

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
        """Training steps of the newest checkpoint, `None` if there is none."""
        positions = list(self.checkpoints().values())
        return positions[-1].step if positions else None

    def generator_path(self, direction: str) -> pathlib.Path:
        """Return where a generator is: `"g"` (X to Y) or `"f"` (Y to X)."""
        return self.folder / f"generator_{direction}.keras"

    def trained_generator(self, direction: str) -> pathlib.Path:
        """Return where a generator is, which must be there.

        Raises:
            InputError: if there is none yet.
        """
        path = self.generator_path(direction)
        if not path.is_file():
            raise InputError(
                f"{self.folder} has no {path.name} yet; wait for the first checkpoint "
                "of its training."
            )
        return path

    def checkpoints(self) -> dict[pathlib.Path, Position]:
        """Return the checkpoints and their positions, the oldest first.

        Raises:
            InputError: if one is damaged.
        """
        found = {}
        for folder in sorted((self.folder / "checkpoints").glob("step-*")):
            try:
                state = json.loads((folder / "state.json").read_text())
                found[folder] = Position(**state)
            except (OSError, ValueError, TypeError) as e:
                raise _damaged(folder, e) from e
        return found

    def save_checkpoint(self, model: "keras.Model", position: Position) -> None:
        """Save the whole state of training, then drop all but the newest and best.

        Raises:
            InputError: if it cannot be written. The earlier ones are untouched.
        """
        folder = self.folder / "checkpoints" / f"step-{position.step:08d}"
        with self._reporting_full_disk(position.step):
            if not folder.exists():
                with replacing(folder) as temporary:
                    temporary.mkdir()
                    model.save(temporary / _MODEL)
                    (temporary / "state.json").write_text(
                        json.dumps(dataclasses.asdict(position))
                    )
            self._publish_generators(model, folder)
        self._prune()

    def restore(self, model: "keras.Model") -> Position | None:
        """Bring a model to the newest checkpoint and drop what came after it.

        Returns:
            Its position, or `None` if there is no checkpoint.

        Raises:
            InputError: if it does not fit the model, or the disk is full.
        """
        self._remove_leftovers()
        checkpoints = self.checkpoints()
        if not checkpoints:
            self.metrics.unlink(missing_ok=True)
            return None
        newest, position = list(checkpoints.items())[-1]
        self._load_weights(model, newest)
        with self._reporting_full_disk(position.step):
            # What saved the checkpoint may have been stopped before it came to these.
            self._publish_generators(model, newest)
            self._drop_metrics_after(position.step)
        return position

    def restore_as(self, model: "keras.Model", step: int) -> Position:
        """Bring a model to the checkpoint that another process brought its own to.

        Args:
            model: a model.
            step: int. The step of the checkpoint.

        Returns:
            Its position.

        Raises:
            InputError: if it is not there, or does not fit the model.
        """
        for folder, position in self.checkpoints().items():
            if position.step == step:
                self._load_weights(model, folder)
                return position
        raise InputError(
            f"{self.folder} has no checkpoint of step {step} here, but has one where "
            "the chief worker runs; put the run folder on storage that all share."
        )

    def load_newest(self) -> tuple[pathlib.Path, "keras.Model"]:
        """Load the newest checkpoint as a model of its own.

        Returns:
            Its folder, and the `CycleGAN` in it, not compiled.

        Raises:
            InputError: if there is no checkpoint, or it cannot be loaded.
        """
        import keras

        checkpoints = list(self.checkpoints())
        if not checkpoints:
            raise InputError(
                f"{self.folder} has no checkpoint yet; wait for the first one of its "
                "training."
            )
        newest = checkpoints[-1]
        try:
            return newest, keras.saving.load_model(newest / _MODEL, compile=False)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as e:
            raise InputError(
                f"{newest} cannot be loaded ({first_line(e)}); it is damaged."
            ) from e

    def _load_weights(self, model: "keras.Model", checkpoint: pathlib.Path) -> None:
        try:
            with warnings.catch_warnings():
                # Keras warns of weights that it cannot place, and goes on.
                warnings.simplefilter("error", UserWarning)
                model.load_weights(checkpoint / _MODEL)
        except zipfile.BadZipFile as e:
            raise _damaged(checkpoint, e) from e
        except (OSError, ValueError, KeyError, UserWarning) as e:
            raise InputError(
                f"{checkpoint} does not fit the options to go on with "
                f"({first_line(e)}); leave out those that differ from the "
                "run's own, or start a new run."
            ) from e

    def _publish_generators(
        self, model: "keras.Model", checkpoint: pathlib.Path
    ) -> None:
        """Write the generators of the newest checkpoint, and of the best if it is."""
        folders = [self.folder]
        if self._best_checkpoint() == checkpoint:
            folders.append(self.folder / "best")
        for direction, target in itertools.product("gf", folders):
            name = f"generator_{direction}"
            with replacing(target / f"{name}.keras") as temporary:
                getattr(model, name).save(temporary)

    def _drop_metrics_after(self, step: int) -> None:
        if not self.metrics.exists():
            return
        lines = self.metrics.read_text().splitlines(keepends=True)
        with replacing(self.metrics) as temporary:
            temporary.write_text(
                "".join(
                    line
                    for line in lines
                    if line.endswith("\n") and json.loads(line)["step"] <= step
                )
            )

    @contextlib.contextmanager
    def _reporting_full_disk(self, step: int) -> Iterator[None]:
        try:
            yield
        except OSError as e:
            good = ", ".join(path.name for path in self.checkpoints()) or "none"
            raise InputError(
                f"Step {step} cannot be written to {self.folder} ({e}); the last good "
                f"checkpoint ({good}) is untouched: make room and go on with --resume "
                f"{self.folder}."
            ) from e

    def _prune(self) -> None:
        checkpoints = list(self.checkpoints())
        kept = (checkpoints[-1], self._best_checkpoint())
        for folder in checkpoints:
            if folder not in kept:
                remove(folder)

    def _best_checkpoint(self) -> pathlib.Path | None:
        """The checkpoint with the least score, by what is measured now."""
        scores = {
            folder: position.score
            for folder, position in self.checkpoints().items()
            if position.score is not None
            and position.metric == self.config.record.keep_best
        }
        return min(scores, key=scores.__getitem__, default=None)

    def _remove_leftovers(self) -> None:
        """Remove what a killed process was writing."""
        for pattern in (".*.step-*", ".*.keras"):
            for folder in (
                self.folder,
                *map(self.folder.joinpath, ("best", "checkpoints")),
            ):
                for leftover in folder.glob(pattern):
                    remove(leftover)

    def _subfolder(self, name: str) -> pathlib.Path:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return folder


def choose_generator(
    run_dir: pathlib.Path | None, direction: str, generator: Generator | None
) -> pathlib.Path | Generator:
    """Return where a generator is: that of a run, or a file of its own.

    Args:
        run_dir: the run, if its generator is meant.
        direction: `"g"` (X to Y) or `"f"` (Y to X): which of the run.
        generator: the file, if that is meant.

    Returns:
        The path in the run, or `generator`.

    Raises:
        InputError: if both are given or neither, or the run has none yet.
    """
    if (run_dir is None) == (generator is None):
        raise InputError(
            "Name what translates: either a run by --run-dir or a generator's file by "
            "--generator, not both."
        )
    if generator is not None:
        return generator
    assert run_dir is not None
    return Run(run_dir).trained_generator(direction)


def _damaged(checkpoint: pathlib.Path, error: Exception) -> InputError:
    return InputError(
        f"{checkpoint} is damaged ({error}); remove it, and the run goes on from the "
        "checkpoint before it, if it has one."
    )


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
