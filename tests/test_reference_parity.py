"""Three training steps of the authors' PyTorch code, reproduced.

The goldens were computed in float64 from float32 weights and images. In float64
rounding cannot hide a wrong formula; in float32 it is the product that is tested.
"""

import json
import math
import pathlib

import keras
import numpy as np
import pytest
from reference import PytorchAdam

import cyclegan_tf
from cyclegan_tf.pretrained.pytorch.files import read_state_dict
from cyclegan_tf.pretrained.pytorch.keys import weights_by_key
from cyclegan_tf.pretrained.pytorch.weights import network_from_state_dict
from cyclegan_tf.pretrained.read import PYTORCH_NAMES

HERE = pathlib.Path(__file__).parent
# Of a CycleGAN: G and D are the networks of models with one direction.
NETWORKS = {theirs: ours for theirs, ours in PYTORCH_NAMES.items() if "_" in theirs}
LOSSES = {
    "generator_g_loss": "generator_g_adversarial",
    "generator_f_loss": "generator_f_adversarial",
    "cycle_x_loss": "cycle_x",
    "cycle_y_loss": "cycle_y",
    "identity_x_loss": "identity_x",
    "identity_y_loss": "identity_y",
    "discriminator_x_loss": "discriminator_x",
    "discriminator_y_loss": "discriminator_y",
    "generator_loss": "generator_total",
}


class Golden:
    """One recorded run of the reference, and our model with its start weights."""

    def __init__(self, folder):
        self.settings = json.loads((folder / "golden.json").read_text())
        self.arrays = dict(np.load(folder / "golden.npz"))
        if (folder / "weights.npz").exists():
            weights = np.load(folder / "weights.npz")
            self.state_dicts = {
                name: {
                    key.removeprefix(f"{name}/"): weights[key]
                    for key in weights
                    if key.startswith(f"{name}/")
                }
                for name in NETWORKS
            }
        else:
            self.state_dicts = {
                name: read_state_dict(folder / f"latest_net_{name}.pth")
                for name in NETWORKS
            }

    def build(self):
        cycle_weight = self.settings["lambda_A"]
        return cyclegan_tf.CycleGAN(
            **{
                ours: network_from_state_dict(self.state_dicts[theirs], ours)
                for theirs, ours in NETWORKS.items()
            },
            cycle_weight=cycle_weight,
            identity_weight=cycle_weight * self.settings["lambda_identity"],
            pool_size=self.settings["pool_size"],
        )

    def compile(self, model, make_optimizer, **options):
        loss = {"lsgan": "lsgan", "vanilla": "bce"}[self.settings["gan_mode"]]
        model.compile(make_optimizer(), make_optimizer(), loss, **options)

    def adam(self):
        # PyTorch adds epsilon after the bias correction, Keras before: this is
        # what its 1e-8 amounts to at the first step.
        beta_2 = self.settings["beta2"]
        return keras.optimizers.Adam(
            self.settings["lr"],
            self.settings["beta1"],
            beta_2,
            epsilon=self.settings["adam_epsilon"] * math.sqrt(1 - beta_2),
        )

    def step(self, model, i):
        """Train on the i-th recorded batch; return our losses by the golden's names."""
        model.reset_metrics()
        dtype = keras.config.floatx()
        logs = model.train_on_batch(
            self.arrays["real_x"][i].astype(dtype),
            self.arrays["real_y"][i].astype(dtype),
            return_dict=True,
        )
        return {theirs: float(logs[ours]) for ours, theirs in LOSSES.items()}

    def outputs(self, model):
        dtype = keras.config.floatx()
        real_x = self.arrays["real_x"][0].astype(dtype)
        real_y = self.arrays["real_y"][0].astype(dtype)
        fake_y, fake_x = model.generator_g(real_x), model.generator_f(real_y)
        return {
            "fake_y": fake_y,
            "fake_x": fake_x,
            "cycled_x": model.generator_f(fake_y),
            "discriminator_y": model.discriminator_y(real_y),
            "discriminator_x": model.discriminator_x(real_x),
        }


@pytest.fixture(params=["resnet9", "unet128_bce"])
def golden(request, shared):
    folder = HERE / "golden" / request.param
    if not folder.exists():
        folder = shared / "golden/pytorch" / request.param
    return Golden(folder)


def assert_outputs(golden, model, when, tolerance):
    compared = 0
    for name, ours in golden.outputs(model).items():
        if f"{name}_{when}" in golden.arrays:
            theirs = golden.arrays[f"{name}_{when}"]
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance)
            compared += 1
    assert compared >= 4


def test_float32_outputs_and_first_losses(golden):
    model = golden.build()
    assert_outputs(golden, model, "before", 1e-4)

    golden.compile(model, golden.adam)
    expected = golden.settings["losses_per_step"][0]
    assert golden.step(model, 0) == pytest.approx(expected, rel=1e-5)


def test_float64_three_steps(golden, float64):
    """Without graphs: what is tested are the formulas."""
    model = golden.build()
    # The golden outputs are stored as float32, whose rounding is 6e-8 at most.
    assert_outputs(golden, model, "before", 1e-6)

    golden.compile(model, lambda: PytorchAdam(golden.settings), run_eagerly=True)
    first, *later = golden.settings["losses_per_step"]
    assert golden.step(model, 0) == pytest.approx(first, rel=1e-6)
    assert_gradients(golden, model)
    for i, expected in enumerate(later, start=1):
        assert golden.step(model, i) == pytest.approx(expected, rel=1e-4)
    assert_outputs(golden, model, "after", 5e-3)


def assert_gradients(golden, model):
    """Compare the first gradients with the recorded ones, of the generators."""
    gradients = model.generator_optimizer.first_gradients
    recorded = {name for name in golden.arrays if name.startswith("grad_")}
    for theirs, ours in NETWORKS.items():
        for key, variable, axes in weights_by_key(getattr(model, ours)):
            name = f"grad_{theirs}/{key}"
            if name not in recorded:
                continue  # the discriminators' gradients are not part of the goldens
            recorded.remove(name)
            expected = golden.arrays[name].transpose(axes)
            gradient = gradients[id(variable)]
            largest = np.abs(expected).max()
            if largest < 1e-12:
                # A bias before an instance norm: zero but for rounding.
                assert key.endswith("bias") and np.abs(gradient).max() < 1e-12
                continue
            np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-6 * largest)
    assert not recorded
