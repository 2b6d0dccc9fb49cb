"""Learning-rate schedules: the paper's constant rate, then linear decay to zero."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="cyclegan_tf")
class LinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    """A constant rate for some epochs, then a linear decay towards zero.

    The rate changes between epochs, not within one. In epoch e, counted from 1,
    it is `initial_learning_rate * (1 - max(0, e - constant_epochs) /
    (decay_epochs + 1))`: the first decaying epoch already has a lower rate, and
    the last one still has a rate above zero. With the paper's 100 + 100 epochs at
    2e-4: epoch 100 has 2e-4, epoch 101 1.980e-4, epoch 200 1.980e-6.

    Args:
        initial_learning_rate: float. The rate of the constant epochs.
        steps_per_epoch: int. Training steps in one epoch.
        constant_epochs: int. Epochs at the initial rate. Defaults to `100`.
        decay_epochs: int. Epochs of linear decay; later epochs have rate 0.
            Defaults to `100`.

    Raises:
        ValueError: if `steps_per_epoch` is not positive or a number of epochs is
            negative.

    Reference:
        Zhu et al., 2017, section 4, "Training details". Some versions of the
        authors' code step the schedule at the start of an epoch, so the last epoch
        has rate 0; this follows the versions that step at the end.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        steps_per_epoch: int,
        constant_epochs: int = 100,
        decay_epochs: int = 100,
    ):
        super().__init__()
        if steps_per_epoch < 1:
            raise ValueError(
                f"steps_per_epoch must be at least 1. Received: {steps_per_epoch}"
            )
        if constant_epochs < 0 or decay_epochs < 0:
            raise ValueError(
                "constant_epochs and decay_epochs must not be negative. "
                f"Received: {constant_epochs} and {decay_epochs}"
            )
        self.initial_learning_rate = initial_learning_rate
        self.steps_per_epoch = steps_per_epoch
        self.constant_epochs = constant_epochs
        self.decay_epochs = decay_epochs

    def __call__(self, step: Any) -> Any:
        finished_epochs = ops.floor_divide(
            ops.cast(step, "int64"), self.steps_per_epoch
        )
        decayed_epochs = ops.clip(
            finished_epochs + 1 - self.constant_epochs, 0, self.decay_epochs + 1
        )
        remaining = 1.0 - ops.cast(decayed_epochs, keras.config.floatx()) / (
            self.decay_epochs + 1
        )
        return self.initial_learning_rate * remaining

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "steps_per_epoch": self.steps_per_epoch,
            "constant_epochs": self.constant_epochs,
            "decay_epochs": self.decay_epochs,
        }
