"""The mean of each loss over an epoch."""

from collections.abc import Iterable, Mapping
from typing import Any

import keras
from keras.src.trainers.compile_utils import MetricsList


class LossMeans(MetricsList):
    """The means of several losses, as one metric.

    Keras's callbacks ask a `MetricsList`, and no other metric, whether less is better:
    `EarlyStopping(monitor="val_cycle_x_loss")` needs no `mode`.

    Args:
        names: names of the losses.
    """

    def __init__(self, names: Iterable[str]):
        super().__init__([_LossMean(name) for name in names], name="losses")

    def update_state(self, example_losses: Mapping[str, Any]) -> None:
        """Add the values of a batch, float (batch,) for each loss."""
        for mean in self.metrics:
            if mean.name in example_losses:
                mean.update_state(example_losses[mean.name])

    def result(self) -> dict[str, Any]:
        return self.get_result()


class _LossMean(keras.metrics.Mean):
    _direction = "down"
