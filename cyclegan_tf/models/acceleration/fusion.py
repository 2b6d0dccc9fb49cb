"""A copy of a network for training: faster operations, shared weights, equal outputs.

Only the running variance of a batch norm differs from Keras's: it is PyTorch's. Stock
layers are slow to train in four places:

- The gradient of an instance norm passes over its images more than a dozen times.
  `InstanceNorm` is one batch norm. Against a gradient that is written out in a dozen
  operations, a step on a processor takes 0.91 to 0.97 of the time in bfloat16 and 0.97
  to 1.01 in float32 (ResNet-9 at 64x64 and 128x128, batch 1 and 4, AVX-512, in turns
  by a script that was not kept). On a GPU, where each sum over height and width is
  computed by one thread, those sums were 38 ms of the 94 that it computed in a step
  (H200, ResNet-9 at 256x256, batch 1, bfloat16, TensorFlow's profiler).
- The gradient of a bias before an instance norm is zero. Its computation was 30 ms of
  those 94. `CancelledBias` leaves it out.
- The gradient of `Cropping2D` works element by element; that of `Crop` is a padding.
- A convolution to three channels takes a CPU as long as one to 16 channels. With
  `NarrowConv` a ResNet-6 with its gradient takes 0.75 of the time on CPUs with AVX2, at
  64x64 (184 ms instead of 245 ms) and at 128x128 (683 ms instead of 908 ms); with
  AVX-512, a whole step takes 0.97.
"""

import functools
from typing import Any

import keras
import tensorflow as tf

from cyclegan_tf.models.acceleration.convolutions import (
    CancelledBias,
    Crop,
    NarrowConv,
    UnusedBiases,
    with_cancelled_bias,
)
from cyclegan_tf.models.acceleration.norms import BatchNorm, InstanceNorm
from cyclegan_tf.models.networks.graph import is_instance_norm, outputs_of


def fused(network: keras.Model) -> keras.Model:
    """Replace the slow layers of a network for training, with shared weights.

    Batch norms update their running variance as PyTorch does.

    Args:
        network: functional or sequential `keras.Model` with one input.

    Returns:
        A functional `keras.Model` on the weights of `network`, whose outputs are equal
        up to rounding in its compute dtype. Do not save it.
    """
    cancelled = with_cancelled_bias(network)
    on_gpu = bool(tf.config.list_logical_devices("GPU"))
    copy = keras.models.clone_model(
        keras.Model(network.inputs[0], outputs_of(network), name=network.name),
        clone_function=lambda operation: operation,
        call_function=functools.partial(
            _call_fused, cancelled=cancelled, on_gpu=on_gpu
        ),
    )
    if not cancelled:
        return copy
    outputs = UnusedBiases([each.bias for each in cancelled])(copy.outputs)
    return keras.Model(
        copy.inputs[0], outputs if len(outputs) > 1 else outputs[0], name=network.name
    )


def _call_fused(
    operation: Any, *args: Any, cancelled: list[Any], on_gpu: bool, **kwargs: Any
) -> Any:
    if operation in cancelled:
        return CancelledBias(operation)(*args)
    if isinstance(operation, keras.layers.Cropping2D):
        if operation.data_format == "channels_last":
            return Crop(operation.cropping)(*args)
    elif is_instance_norm(operation) and _are_images(*args):
        return InstanceNorm(operation, on_gpu)(*args)
    elif type(operation) is keras.layers.BatchNormalization:
        of_channels = _are_images(*args) and operation.axis in (-1, 3)
        if of_channels and not operation.synchronized:
            return BatchNorm(operation)(*args)
    elif (
        type(operation) is keras.layers.Conv2D
        and not on_gpu
        and NarrowConv.is_faster(operation)
    ):
        return NarrowConv(operation)(*args)
    return operation(*args, **kwargs)


def _are_images(x: Any) -> bool:
    return len(x.shape) == 4
