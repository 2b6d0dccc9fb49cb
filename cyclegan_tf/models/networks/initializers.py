"""Other initial weights than CycleGAN's N(0, 0.02)."""

import keras

GAIN = 0.02


def xavier(gain: float = GAIN) -> keras.initializers.Initializer:
    """Return a new Xavier initializer: normal, without truncation, times a gain.

    Reference:
        Glorot and Bengio, 2010, section 4.2.1; the gain is CUT's.
    """
    return keras.initializers.VarianceScaling(
        gain**2, mode="fan_avg", distribution="untruncated_normal"
    )


def xavier_start(network: keras.Model, gain: float = GAIN) -> keras.Model:
    """Give a network the initial weights of CUT, in place.

    Every kernel is drawn from `xavier`, every bias becomes 0. Norms keep their weights.

    Args:
        network: a functional `keras.Model`.
        gain: float. Defaults to `0.02`.

    Returns:
        The network.

    Reference:
        Park et al., 2020, Contrastive Learning for Unpaired Image-to-Image
        Translation, and the authors' code.
    """
    for layer in network.layers:
        for weight in layer.weights:
            if weight.name.endswith("kernel"):
                weight.assign(xavier(gain)(weight.shape, weight.dtype))
            elif weight.name == "bias":
                weight.assign(keras.ops.zeros_like(weight))
    return network
