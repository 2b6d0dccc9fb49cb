"""A network as a traced function, for a training step that calls it many times."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf


def traced(network: Callable[..., Any]) -> Callable[..., Any]:
    """Let TensorFlow trace a network once instead of at each call.

    A step of CycleGAN calls each generator three times. Inlined, every call adds all
    of the network's operations, and as many for its gradient, to the graph of the
    step; traced by itself, a call is one operation.

    Args:
        network: callable of an image batch and `training`, a `keras.Model` say.

    Returns:
        A callable with the same arguments.
    """

    def call(images: Any, training: bool) -> Any:
        return network(images, training=training)

    return tf.function(
        call,
        # Keras networks are traced as they are.
        autograph=False,
        # Or the runtime would inline the calls again before the first step.
        experimental_attributes={"_noinline": True},
    )


@contextlib.contextmanager
def without_remapper() -> Iterator[None]:
    """Switch off the pass of TensorFlow's graph optimizer that joins operations.

    A traced network hands on what its gradient needs. The remapper does not see that
    where it joins a convolution with what follows, fails, and prints an error. It is
    made for inference: training is as fast without it.
    """
    options = tf.config.optimizer
    before = options.get_experimental_options().get("remapping", True)
    options.set_experimental_options({"remapping": False})
    try:
        yield
    finally:
        options.set_experimental_options({"remapping": before})
