"""The authors' recorded trainings of pix2pix and CUT, and PyTorch's Adam."""

import json
import math
import pathlib

import keras
import numpy as np
import pytest

from cyclegan_tf.pretrained.pytorch.files import read_state_dict
from cyclegan_tf.pretrained.pytorch.keys import weights_by_key

GOLDEN = pathlib.Path(__file__).parent / "golden"


class PytorchAdam(keras.optimizers.Adam):
    """Adam with PyTorch's epsilon, for eager steps; it keeps the first gradients."""

    def __init__(self, settings):
        super().__init__(settings["lr"], settings["beta1"], settings["beta2"])
        self.pytorch_epsilon = settings["adam_epsilon"]
        self.first_gradients = None

    def apply(self, grads, trainable_variables=None):
        if self.first_gradients is None:
            self.first_gradients = {
                id(weight): np.asarray(gradient)
                for weight, gradient in zip(self._trainable_variables, grads)
            }
        # PyTorch adds epsilon after the bias correction, Keras before.
        updates = int(self.iterations) + 1
        self.epsilon = self.pytorch_epsilon * math.sqrt(1 - self.beta_2**updates)
        super().apply(grads, trainable_variables)


def recorded_training(name):
    """Make a fixture of a recorded training: our small copy of it, and the whole."""

    @pytest.fixture(params=["copy", "whole"])
    def recorded(request):
        if request.param == "copy":
            return Recorded(GOLDEN / name)
        return Recorded(request.getfixturevalue("shared") / "golden/pytorch" / name)

    return recorded


class Recorded:
    """One recorded training of the authors' code."""

    def __init__(self, folder):
        self.folder = folder
        record = json.loads((folder / "golden.json").read_text())
        # Copies have the first gradients of the small weights, and may have one step.
        self.is_whole = "copy" not in record
        self.settings = record["settings"]
        self.losses = record["losses_per_step"]
        self.arrays = np.load(folder / "golden.npz")

    def state_dict(self, name):
        return read_state_dict(self.folder / f"{name}.pth")

    def adam(self):
        return PytorchAdam(self.settings)

    def batch(self, step):
        return (
            self.arrays["real_x"][step].astype("float64"),
            self.arrays["real_y"][step].astype("float64"),
        )


def gradient_errors(gradients, network, recorded):
    """Compare first gradients of a network with the recorded ones.

    Yields:
        For each weight its key, and the largest difference as a share of the largest
        gradient. Biases before an instance norm, whose gradient is rounding, are left
        out.
    """
    for key, variable, axes in weights_by_key(network):
        if key not in recorded:
            continue  # running statistics
        expected = recorded[key].transpose(axes)
        largest = np.abs(expected).max()
        if largest > 1e-12:
            yield key, np.abs(gradients[id(variable)] - expected).max() / largest
