"""Trace a network once for a training step that calls it many times."""

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

# The remapper, TensorFlow's graph optimizer that fuses operations, is off from here on,
# as each thread keeps what it finds at its first function. A traced network also
# outputs what its gradient needs, and skip connections of a U-Net take outputs a second
# time. The remapper overlooks that when it fuses a convolution with its successors,
# fails, and prints an error. Training is as fast without it; a translation takes 0.95
# to 1.00 of the time with it (three generators of the package at 192x192, on two cores
# with AVX-512, in turns, by a script that was not kept).
tf.config.optimizer.set_experimental_options({"remapping": False})


def traced(
    network: Callable[..., Any], jit_compile: bool = False, run_eagerly: bool = False
) -> Callable[..., Any]:
    """Let TensorFlow trace a network once instead of at each call.

    A CycleGAN step calls each generator more than once. Inlined, every call adds all of
    the network's operations and their gradients to the graph of the step; traced, a
    call is one operation.

    Args:
        network: callable of an image batch and `training`, such as a `keras.Model`.
        jit_compile: compile each call, and its gradient, with XLA.
        run_eagerly: call the network as it is.

    Returns:
        A callable of an image batch, `training`, and `any_length`: whether one trace
        is for batches of any length. Otherwise it is for this length, and the gradient
        needs less memory: an addition of activations whose length is unknown keeps both
        for their shapes.
    """

    def call_eagerly(images: Any, training: bool, any_length: bool = False) -> Any:
        return network(images, training=training)

    if run_eagerly:
        return call_eagerly

    @functools.partial(
        tf.function,
        # Keras networks have no Python control flow to convert.
        autograph=False,
        jit_compile=jit_compile or None,
        # Otherwise the runtime inlines the calls before the first step.
        experimental_attributes={"_noinline": True},
    )
    def traced_network(images: Any, training: bool) -> Any:
        return network(images, training=training)

    def call(images: Any, training: bool, any_length: bool = False) -> Any:
        length, *others = images.shape
        spec = tf.TensorSpec((None if any_length else length, *others), images.dtype)
        return traced_network.get_concrete_function(spec, training)(images)

    return call
