"""The generator as it is used after training, or between two epochs.

It differs from the trained network where a training averages the weights, drops
activations, or normalizes over the batch.
"""

from collections.abc import Mapping
from typing import Any

import keras


class PublishedGenerator:
    """A generator for use outside of training, with weights of its own.

    It is the trained network itself if that already is what users need.

    Args:
        generator: the trained `keras.Model`.
        image_norm: bool. Replace every batch norm by an instance norm with the same
            scale and offset, and leave dropout out: each image is then normalized by
            its own statistics, as in a training with one image a batch. Otherwise batch
            norms use their running statistics.
        averaged: bool. Whether `update` gets averages of the weights.
    """

    def __init__(self, generator: keras.Model, image_norm: bool, averaged: bool):
        self._trained = generator
        self.network: keras.Model = generator
        if averaged or (image_norm and any(map(_depends_on_batch, generator.layers))):
            image = generator.inputs[0]
            self.network = keras.models.clone_model(
                generator,
                input_tensors=keras.Input(image.shape[1:], name=image.name),
                clone_function=_with_image_norm if image_norm else _copied,
                call_function=_call_without_dropout if image_norm else None,
            )
            self.update({})

    def update(self, averages: Mapping[int, keras.Variable]) -> None:
        """Copy the trained weights, or their averages by the `id` of the weight."""
        if self.network is self._trained:
            return
        for layer in self.network.layers:
            if not layer.weights:
                continue
            # A batch norm also has running statistics, which come last.
            trained = self._trained.get_layer(layer.name).weights
            for weight, source in zip(layer.weights, trained):
                weight.assign(averages.get(id(source), source))


def _depends_on_batch(layer: Any) -> bool:
    return isinstance(layer, keras.layers.BatchNormalization | keras.layers.Dropout)


def _copied(operation: Any) -> Any:
    return type(operation).from_config(operation.get_config())


def _with_image_norm(operation: Any) -> Any:
    if not isinstance(operation, keras.layers.BatchNormalization):
        return _copied(operation)
    return keras.layers.GroupNormalization(
        groups=-1,
        epsilon=operation.epsilon,
        scale=operation.scale,
        center=operation.center,
        dtype=operation.dtype_policy,
        name=operation.name,
    )


def _call_without_dropout(operation: Any, *args: Any, **kwargs: Any) -> Any:
    if isinstance(operation, keras.layers.Dropout):
        return args[0]
    if isinstance(operation, keras.layers.GroupNormalization):
        return operation(*args)  # without the mask of a batch norm
    return operation(*args, **kwargs)
