"""Other initial weights than CycleGAN's N(0, 0.02)."""

import keras

_GAIN = 0.02


def xavier() -> keras.initializers.Initializer:
    """Return a new Xavier initializer: normal, without truncation, times 0.02.

    Reference:
        Glorot and Bengio, 2010, section 4.2.1; the gain is CUT's.
    """
    return keras.initializers.VarianceScaling(
        _GAIN**2, mode="fan_avg", distribution="untruncated_normal"
    )


def xavier_start(network: keras.Model) -> keras.Model:
    """Give a network the initial weights of CUT, in place.

    Every kernel is drawn from `xavier`, every bias becomes 0. Norms keep their weights.

    Args:
        network: a functional `keras.Model`.

    Returns:
        The network.

    Reference:
        Park et al., 2020, Contrastive Learning for Unpaired Image-to-Image
        Translation, and the authors' code.
    """
    for layer in network.layers:
        for weight in layer.weights:
            if weight.name.endswith("kernel"):
                weight.assign(xavier()(weight.shape, weight.dtype))
            elif weight.name == "bias":
                weight.assign(keras.ops.zeros_like(weight))
    return network
