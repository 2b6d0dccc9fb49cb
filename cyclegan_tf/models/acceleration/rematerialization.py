"""Training in less memory: recompute activations instead of keeping them.

The gradient of a network needs the output of every layer. A CycleGAN training step
passes six batches through the generators before the gradient, and keeps gigabytes at
512x512. A rematerialized network keeps only the tensors between its segments, and
recomputes the inside of a segment for its gradient.
"""

import functools
from typing import Any

import keras
import tensorflow as tf

from cyclegan_tf.models.acceleration.fusion import fused
from cyclegan_tf.models.networks.graph import inputs_of, operations


class Rematerialized:
    """A network that keeps only the tensors between its segments.

    A segment ends where a single tensor connects it to the rest of the network and it
    has trainable weights: at the end of each residual block and after each other
    convolution. A U-Net is a single segment, because skip connections span it.

    Outputs and gradients are those of the network; each forward pass is computed up to
    twice. The segments are `fused`.

    Args:
        network: functional `keras.Model` with one input and one output.

    Raises:
        ValueError: if a layer changes with every call, as dropout and batch
            normalization do: recomputing it would give another result.

    Reference:
        Chen et al., 2016, Training Deep Nets with Sublinear Memory Cost, section 3.
    """

    def __init__(self, network: keras.Model):
        for layer in network.layers:
            if layer.trainable and layer.non_trainable_variables:
                raise ValueError(
                    f"A network with dropout or batch normalization cannot be "
                    f"rematerialized, as {layer.name} of {network.name} changes with "
                    "every call; use another norm and no dropout."
                )
        self._segments = [fused(segment) for segment in _segments(network)]

    def __call__(self, images: Any, training: bool = False) -> Any:
        x = images
        for segment in self._segments:
            call = functools.partial(segment, training=training)
            x = tf.recompute_grad(call)(x)
        return x


def _segments(network: keras.Model) -> list[keras.Model]:
    """Split a network into one model per segment."""
    segments = []
    start = network.inputs[0]
    learns = False
    for operation, is_cut in _operations(network):
        learns = learns or bool(getattr(operation, "trainable_weights", ()))
        if is_cut and learns:
            segments.append(keras.Model(start, operation.output))
            start, learns = operation.output, False
    if start is not network.outputs[0]:
        segments.append(keras.Model(start, network.outputs[0]))
    return segments


def _operations(network: keras.Model) -> list[tuple[Any, bool]]:
    """List the operations, each with whether later ones use only its output."""
    all_operations = operations(network)
    last_use = {
        id(tensor): i
        for i, operation in enumerate(all_operations)
        for tensor in inputs_of(operation)
    }
    pending: dict[int, int] = {}
    result = []
    for i, operation in enumerate(all_operations):
        pending[id(operation.output)] = last_use.get(id(operation.output), i)
        pending = {key: last for key, last in pending.items() if last > i}
        result.append((operation, set(pending) <= {id(operation.output)}))
    return result
