"""Where a training stands."""

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a wrong folder is reported without waiting for TensorFlow
    pass


@dataclasses.dataclass(frozen=True)
class Position:
    """Where a checkpoint stands.

    Attributes:
        step: finished training steps.
        steps_per_epoch: steps in an epoch.
        score: what the best checkpoint has least of, where it was measured.
        metric: what `score` is: the run's `keep_best`.
    """

    step: int
    steps_per_epoch: int
    score: float | None = None
    metric: str = "cycle_error"
