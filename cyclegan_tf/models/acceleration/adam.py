"""The authors' optimizer with one operation per weight, and averages of the weights."""

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="cyclegan_tf")
class Adam(keras.optimizers.Adam):
    """`keras.optimizers.Adam` on TensorFlow's own Adam operation.

    The update, the arguments and the variables are Keras's, so each loads what the
    other saved. One operation per weight replaces a dozen, which halves the graph of a
    CycleGAN training step: it traces and starts sooner.

    It takes the arguments of `keras.optimizers.Adam`, with the paper's defaults, and
    one more. Unlike those of Keras's `use_ema`, its averages move only when weights do,
    which matters with gradient accumulation, and never overwrite the weights.

    Args:
        average_decay: float. Keep an exponential moving average of each weight with
            this decay, which is smaller at first: n / (n + 9) at update n, counted
            from 0. 0 for no averages. Defaults to `0.0`.

    Raises:
        ValueError: if `amsgrad` is set, which the operation does not support, or
            `average_decay` is not in [0, 1).

    Reference:
        Kingma and Ba, 2015, Adam: A Method for Stochastic Optimization, the end of
        section 2. Defaults: Zhu et al., 2017, section 4, and the authors' code.
    """

    def __init__(
        self,
        learning_rate: Any = 2e-4,
        beta_1: float = 0.5,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        *,
        average_decay: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **kwargs)
        if not 0 <= average_decay < 1:
            raise ValueError(
                "average_decay must be at least 0 and less than 1. Received: "
                f"{average_decay}"
            )
        self.average_decay = average_decay
        if self.amsgrad:
            raise ValueError(
                "cyclegan_tf's Adam has no amsgrad. Received: amsgrad=True; use "
                "keras.optimizers.Adam."
            )

    def build(self, variables: Any) -> None:
        super().build(variables)
        self._averages = [
            self.add_variable_from_reference(variable, name="average")
            for variable in (variables if self.average_decay else ())
        ]

    @property
    def averages(self) -> dict[int, keras.Variable]:
        """The averages by the `id` of the weight; none before the first update."""
        if int(keras.ops.convert_to_numpy(self.iterations)) == 0:
            return {}
        return {
            id(weight): average
            for weight, average in zip(self._trainable_variables, self._averages)
        }

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"average_decay": self.average_decay}

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        # The bias correction is the same for all weights, so the learning rate
        # includes it; beta powers of 0 disable it in the operation. In float64, which
        # weights may have. Computed here, it is computed once.
        step = tf.cast(self.iterations + 1, tf.float64)
        correction = tf.sqrt(1 - self.beta_2**step) / (1 - self.beta_1**step)
        self._corrected_rate = tf.cast(self.learning_rate, tf.float64) * correction
        super().apply(grads, trainable_variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        index = self._get_variable_index(variable)
        dtype = variable.dtype
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.zeros((), dtype),
            beta2_power=tf.zeros((), dtype),
            lr=tf.cast(self._corrected_rate, dtype),
            beta1=tf.constant(self.beta_1, dtype),
            beta2=tf.constant(self.beta_2, dtype),
            epsilon=tf.constant(self.epsilon, dtype),
            grad=gradient,
        )
        if self.average_decay:
            updates = tf.cast(self.iterations, dtype)
            decay = tf.minimum(
                tf.constant(self.average_decay, dtype), updates / (updates + 9)
            )
            average = self._averages[index].value
            average.assign_add((1 - decay) * (variable - average))
