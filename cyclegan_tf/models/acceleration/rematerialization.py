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
        network: functional `keras.Model` with one input. If it has several outputs,
            the last operation must give one of them.

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
        self._outputs = [id(tensor) for tensor in network.outputs]
        self._segments = [
            (fused(keras.Model(start, outputs)), [id(tensor) for tensor in outputs])
            for start, outputs in _segments(network)
        ]

    def __call__(self, images: Any, training: bool = False) -> Any:
        x = images
        found: dict[int, Any] = {}
        for segment, tensors in self._segments:
            call = functools.partial(segment, training=training)
            outputs = tf.nest.flatten(tf.recompute_grad(call)(x))
            found |= dict(zip(tensors, outputs))
            x = outputs[0]
        results = [found[tensor] for tensor in self._outputs]
        return results if len(results) > 1 else results[0]


def _segments(network: keras.Model) -> list[tuple[Any, list[Any]]]:
    """Split a network into segments: the input tensor and the outputs of each.

    The first output of a segment is the input of the next; the others are outputs of
    the network from inside the segment.
    """
    outputs = {id(tensor) for tensor in network.outputs}
    segments = []
    start = network.inputs[0]
    inside: list[Any] = []
    learns = False
    all_operations = _operations(network)
    for operation, is_cut in all_operations:
        learns = learns or bool(getattr(operation, "trainable_weights", ()))
        is_last = operation is all_operations[-1][0]
        if (is_cut and learns) or is_last:
            segments.append((start, [operation.output, *inside]))
            start, inside, learns = operation.output, [], False
        elif id(operation.output) in outputs:
            inside.append(operation.output)
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
