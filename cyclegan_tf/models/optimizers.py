"""Two optimizers where Keras expects one."""

from typing import Any

import keras


class Optimizers:
    """The optimizers of a model, as Keras's callbacks use `model.optimizer`.

    `LearningRateScheduler` and `ReduceLROnPlateau` change the rate of each.

    Args:
        optimizers: built `keras.optimizers.Optimizer`s.
    """

    built = True

    def __init__(self, *optimizers: keras.optimizers.Optimizer):
        self.optimizers = optimizers

    @property
    def learning_rate(self) -> Any:
        """The rate of the first; assigning changes all."""
        return self.optimizers[0].learning_rate

    @learning_rate.setter
    def learning_rate(self, rate: Any) -> None:
        for optimizer in self.optimizers:
            optimizer.learning_rate = rate

    @property
    def iterations(self) -> Any:
        return self.optimizers[0].iterations

    @property
    def variables(self) -> list[keras.Variable]:
        return [
            variable
            for optimizer in self.optimizers
            for variable in optimizer.variables
        ]
