"""The checkpoints of a training: the newest and the best, for an exact resume.

step-00001334/
    model.keras      the whole model: networks, optimizers, image pools
    state.json       its `Position`
"""

import dataclasses
import json
import pathlib
import warnings
from typing import TYPE_CHECKING

from cyclegan_tf._shared.archives import check_keras, reading
from cyclegan_tf._shared.errors import InputError, first_line
from cyclegan_tf._shared.files import parse_json, remove, replacing

if TYPE_CHECKING:  # so that a wrong folder is reported before TensorFlow loads
    import keras

# Not a bare .weights.h5: HDF5 writes it to the disk itself, and crashes the process if
# the disk is full. Keras assembles a .keras file in memory.
_MODEL = "model.keras"
_ADVICE = "remove it, and the run resumes from the checkpoint before it, if it has one"


@dataclasses.dataclass(frozen=True)
class Position:
    """The finished steps and the score of a checkpoint.

    A lower score is better; `None` means not measured. `metric` names the score, as
    `keep_best` did then.
    """

    step: int
    steps_per_epoch: int
    score: float | None = None
    metric: str = "loss"


class Checkpoints:
    """The checkpoints in a folder, which need not exist yet.

    `metric` names the score that selects the best checkpoint.
    """

    def __init__(self, folder: pathlib.Path, metric: str = "loss"):
        self.folder = folder
        self.metric = metric

    def positions(self) -> dict[pathlib.Path, Position]:
        """Return the checkpoints and their positions, the oldest first.

        Raises:
            InputError: if one is damaged.
        """
        found = {}
        for path in sorted(self.folder.glob("step-*")):
            with reading(path, "a checkpoint", _ADVICE):
                state = parse_json((path / "state.json").read_text())
                found[path] = Position(**state)
        return found

    @property
    def newest(self) -> pathlib.Path | None:
        return next(reversed(self.positions()), None)

    @property
    def best(self) -> pathlib.Path | None:
        """The checkpoint with the least score of the current metric."""
        scores = {
            path: position.score
            for path, position in self.positions().items()
            if position.score is not None and position.metric == self.metric
        }
        return min(scores, key=scores.__getitem__, default=None)

    def save(self, model: "keras.Model", position: Position) -> pathlib.Path:
        """Save the whole state of training; return the checkpoint.

        Raises:
            OSError: if it cannot be written. Earlier checkpoints stay untouched.
        """
        path = self.folder / f"step-{position.step:08d}"
        if not path.exists():
            with replacing(path) as temporary:
                temporary.mkdir()
                model.save(temporary / _MODEL)
                state = json.dumps(dataclasses.asdict(position))
                (temporary / "state.json").write_text(state)
        return path

    def prune(self) -> None:
        """Remove all checkpoints but the newest and the best."""
        kept = (self.newest, self.best)
        for path in self.positions():
            if path not in kept:
                remove(path)

    def load_weights(self, model: "keras.Model", path: pathlib.Path) -> None:
        """Load a checkpoint into a model.

        Raises:
            InputError: if the checkpoint is damaged or does not fit the model.
        """
        with reading(path, "a checkpoint", _ADVICE):
            check_keras(path / _MODEL)
        try:
            with warnings.catch_warnings():
                # Keras only warns of weights that it cannot place.
                warnings.simplefilter("error", UserWarning)
                model.load_weights(path / _MODEL)
        except (OSError, ValueError, KeyError, UserWarning) as e:
            raise InputError(
                f"{path} does not fit the given options ({first_line(e)}); leave out "
                "those that change the run's own, or start a new run."
            ) from e

    def load_newest(self) -> tuple[pathlib.Path, "keras.Model"]:
        """Load the newest checkpoint as a new model.

        Returns:
            The checkpoint and its model, not compiled.

        Raises:
            InputError: if there is no checkpoint, or it cannot be loaded.
        """
        # These register the classes.
        import cyclegan_tf.models.cut
        import cyclegan_tf.models.cyclegan
        import cyclegan_tf.models.pix2pix  # noqa: F401
        from cyclegan_tf.runs.keras_files import load_keras

        newest = self.newest
        if newest is None:
            raise InputError(
                f"{self.folder.parent} has no checkpoint yet; wait for the first one "
                "of its training."
            )
        with reading(newest, "a checkpoint", _ADVICE):
            return newest, load_keras(newest / _MODEL)
