"""What a training step must compute at least, and how fast the machine can compute."""

import math
import time
from collections.abc import Callable

import keras
import tensorflow as tf

from cyclegan_tf.config.options import DatasetConfig, TrainConfig
from cyclegan_tf.models.cyclegan import CycleGAN
from cyclegan_tf.training.building import build_model

# Forward, then the gradients of the weights and of the input, cost the same each.
_FORWARD, _WEIGHTS, _INPUT = 1, 1, 1


def counter() -> Callable[[int], int]:
    """Prepare `step_flop` of the default networks, as a function of the size."""
    model = build_model(TrainConfig(DatasetConfig("demo")))
    return lambda size: step_flop(model, size)


def step_flop(model: CycleGAN, size: int) -> int:
    """Count the multiplications and additions of the convolutions in a training step.

    Each generator translates three images: a real one, a translated one and, for the
    identity loss, one of its target domain. All three train it, and the second passes
    its gradient on to the other generator. Each discriminator first judges a
    translation, to train the generator only, then a real image and a translation, to
    be trained itself. Where an image needs no gradient, the first layer saves it.

    Args:
        model: a `CycleGAN` with cycle and identity losses.
        size: int. Pixels a side; the batch is one image.

    Returns:
        int. What nothing can save, as long as nothing is computed twice.
    """
    training = _FORWARD + _WEIGHTS + _INPUT
    total = 0
    for generator in (model.generator_g, model.generator_f):
        flop, first_layer = network_flop(generator, size)
        total += 3 * training * flop - 2 * _INPUT * first_layer
    for discriminator in (model.discriminator_x, model.discriminator_y):
        flop, first_layer = network_flop(discriminator, size)
        total += (_FORWARD + _INPUT) * flop
        total += 2 * training * flop - 2 * _INPUT * first_layer
    return total


def network_flop(network: keras.Model, size: int) -> tuple[int, int]:
    """Count the multiplications and additions of the convolutions of a network.

    Args:
        network: a Keras functional model of convolutions.
        size: int. Pixels a side of its input.

    Returns:
        Those of the whole network, and of its first convolution.
    """
    image = keras.Input((size, size, network.input_shape[-1]))
    sized = keras.models.clone_model(network, input_tensors=image)
    counts = [
        _layer_flop(layer) for layer in sized.layers if hasattr(layer, "kernel_size")
    ]
    return sum(counts), counts[0]


def _layer_flop(layer: keras.Layer) -> int:
    """Each element of a kernel is multiplied once for each position of the window."""
    transposed = isinstance(layer, keras.layers.Conv2DTranspose)
    _, rows, columns, _ = (layer.input if transposed else layer.output).shape
    return 2 * rows * columns * math.prod(layer.kernel.shape)


def matrix_product(precision: str) -> Callable[[], float]:
    """Prepare a large product of square matrices.

    Args:
        precision: `"float32"` or `"mixed_bfloat16"`.

    Returns:
        The product; it returns the FLOP per second.
    """
    side = 16384 if tf.config.list_physical_devices("GPU") else 4096
    dtype = keras.dtype_policies.get(precision).compute_dtype
    factors = [tf.cast(tf.random.normal((side, side)), dtype) for _ in range(2)]

    def multiply() -> float:
        start = time.perf_counter()
        float(tf.matmul(*factors)[0, 0])  # waits until it is done
        return 2 * side**3 / (time.perf_counter() - start)

    return multiply


def convolution(size: int, precision: str) -> Callable[[], float]:
    """Prepare what most of a training step is: a convolution of a residual block.

    Args:
        size: int. Pixels a side of the network's input.
        precision: as for `matrix_product`.

    Returns:
        The convolution and its gradients of the weights and of the input; it returns
        the FLOP per second of the three.
    """
    side, filters, kernel = size // 4, 256, 3
    padded = side + kernel - 1
    dtype = keras.dtype_policies.get(precision).compute_dtype

    def random(*shape: int) -> tf.Tensor:
        return tf.cast(tf.random.normal(shape), dtype)

    images = random(1, padded, padded, filters)
    weights = random(kernel, kernel, filters, filters)
    gradient = random(1, side, side, filters)
    window = {"strides": [1] * 4, "padding": "VALID"}

    def convolve() -> float:
        start = time.perf_counter()
        results = [
            tf.raw_ops.Conv2D(input=images, filter=weights, **window),
            tf.raw_ops.Conv2DBackpropFilter(
                input=images,
                filter_sizes=weights.shape,
                out_backprop=gradient,
                **window,
            ),
            tf.raw_ops.Conv2DBackpropInput(
                input_sizes=images.shape,
                filter=weights,
                out_backprop=gradient,
                **window,
            ),
        ]
        for result in results:
            float(result[0, 0, 0, 0])  # waits until it is done
        flop = 2 * side**2 * kernel**2 * filters**2
        return len(results) * flop / (time.perf_counter() - start)

    return convolve
