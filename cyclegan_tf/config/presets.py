"""The settings of other codebases, as far as our options can express them.

A preset sets the networks, the objective and the optimization. It leaves the images to
the recipe: all of these codebases resize to 286x286, crop to 256x256 and mirror, like
the defaults of `DatasetConfig`.
"""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from cyclegan_tf.config.options import (
    CUTObjective,
    CycleGANObjective,
    Method,
    NetworkConfig,
    Objective,
    OptimizationConfig,
    Pix2PixObjective,
    TrainConfig,
)
from cyclegan_tf.config.stored import to_dict

# What a method trains with if no preset is named; CycleGAN has the defaults.
PRESET_OF_METHOD: Mapping[Method, str] = {"pix2pix": "pix2pix", "cut": "cut"}


@dataclasses.dataclass(frozen=True)
class Preset:
    """How one codebase trains.

    Attributes:
        title: what it is.
        networks, objective, optimization: its options.
        differs: how the codebase differs from the preset, a sentence each.
        jitter_while_decaying: as in `DatasetConfig`.
        warning: what a user of the preset must know first; empty for nothing.
    """

    title: str
    networks: NetworkConfig
    objective: Objective
    optimization: OptimizationConfig
    differs: tuple[str, ...]
    jitter_while_decaying: bool = True
    warning: str = ""

    def lay_over(self, config: TrainConfig) -> TrainConfig:
        """Return the configuration with the options that the preset sets."""
        return dataclasses.replace(
            config,
            dataset=dataclasses.replace(
                config.dataset, jitter_while_decaying=self.jitter_while_decaying
            ),
            networks=self.networks,
            objective=self.objective,
            optimization=self.optimization,
        )


_CUT_NETWORKS = NetworkConfig(
    downsampling="antialiased", upsampling="antialiased", initializer="xavier"
)
_CUT_STEPS = (
    "Its epochs end with the images of X; ours with those of the larger domain."
)

PRESETS: Mapping[str, Preset] = {
    "paper": Preset(
        title="The paper's text (Zhu et al., 2017), and the authors' Torch code "
        "where the text is silent",
        networks=NetworkConfig(norm="instance_affine"),
        # Equation 3 has no identity loss. Section 5.2 adds it where paintings
        # become photographs, and so do the recipes of those.
        objective=CycleGANObjective(identity_weight=0.0),
        optimization=OptimizationConfig(),
        differs=(
            "The Torch code defaults to 128x128 with 6 blocks; for those, add "
            "--load-size 143 --crop-size 128 --num-residual-blocks 6.",
            "Its discriminators pad by two pixels and judge a 256x256 image in "
            "35x35 places; ours pad by one, which makes 30x30.",
            "It updates each discriminator right after its generator, and does not "
            "halve the discriminators' gradient as the paper does; we update both "
            "generators first, and halve it.",
            "It sets the biases of all convolutions to zero after each step; ours "
            "have none before a normalization, and learn the others.",
            "Its learning rate starts to fall one epoch later.",
        ),
    ),
    "pytorch-2024": Preset(
        title="junyanz/pytorch-CycleGAN-and-pix2pix as of March 2024; the defaults "
        "of cyclegan_tf",
        networks=NetworkConfig(),
        objective=CycleGANObjective(),
        optimization=OptimizationConfig(),
        differs=(
            "It lowers the learning rate before an epoch, so its last epoch trains "
            "at rate 0; we lower it after an epoch, like the authors' version of "
            "2025.",
            "PyTorch's Adam adds epsilon after the bias correction, Keras's before "
            "it; the difference fades as training goes on.",
        ),
    ),
    "tf-tutorial": Preset(
        title="The CycleGAN tutorial of tensorflow.org",
        networks=NetworkConfig(
            generator="unet", num_levels=8, dropout=0.5, norm="instance_affine"
        ),
        objective=CycleGANObjective(adversarial_loss="bce", pool_size=0),
        optimization=OptimizationConfig(
            constant_epochs=10, decay_epochs=0, epsilon=1e-7
        ),
        differs=(
            "It normalizes the 1x1 bottleneck of the U-Net, which leaves only a "
            "learned offset there; we do not normalize the bottleneck.",
            "Its leaky ReLUs have slope 0.3; ours have 0.2.",
            "It resizes to the nearest pixel; we use antialiased bicubic filters.",
            "Its epoch ends with the smaller domain; ours with the larger one.",
        ),
    ),
    "keras-example": Preset(
        title="The CycleGAN example of keras.io, in its version of 2020 with "
        "TensorFlow Addons",
        networks=NetworkConfig(
            norm="instance_affine", norm_epsilon=1e-3, padding="same"
        ),
        objective=CycleGANObjective(pool_size=0),
        optimization=OptimizationConfig(
            constant_epochs=90, decay_epochs=0, epsilon=1e-7
        ),
        differs=(
            "Its script stops after 1 epoch and loads weights of 90 epochs; this "
            "preset trains for 90.",
            "Its cycle loss |F(G(x)) - x| trains only F, and |G(F(y)) - y| only G; "
            "ours train both, as in the paper.",
            "It caches the images after random crops and mirroring, so every epoch "
            "sees the same crops; we draw new ones.",
            "Its learned scales start around 0; ours start around 1.",
            "Its version of 2024 for Keras 3 normalizes all channels together "
            "(GroupNormalization with one group), which is no instance norm and is "
            "not available here.",
            "It resizes with bilinear filters; we use antialiased bicubic ones.",
            "Its epoch ends with the smaller domain; ours with the larger one.",
        ),
    ),
    "pix2pix": Preset(
        title="pix2pix of junyanz/pytorch-CycleGAN-and-pix2pix as of March 2024",
        networks=NetworkConfig(
            generator="unet", num_levels=8, dropout=0.5, norm="batch"
        ),
        objective=Pix2PixObjective(),
        optimization=OptimizationConfig(),
        differs=(
            "It translates test images with dropout, and with the statistics of "
            "the batch; a saved generator of ours has no dropout, and normalizes "
            "each image by itself.",
            "It lowers the learning rate before an epoch, so its last epoch trains "
            "at rate 0; we lower it after an epoch.",
        ),
    ),
    "cut": Preset(
        title="CUT of taesungp/contrastive-unpaired-translation as of 2023",
        networks=_CUT_NETWORKS,
        objective=CUTObjective(),
        optimization=OptimizationConfig(constant_epochs=200, decay_epochs=200),
        differs=(_CUT_STEPS,),
        jitter_while_decaying=False,
    ),
    "fastcut": Preset(
        title="FastCUT of the same code",
        networks=_CUT_NETWORKS,
        objective=CUTObjective(
            nce_weight=10.0, nce_identity=False, flip_equivariance=True
        ),
        optimization=OptimizationConfig(constant_epochs=150, decay_epochs=50),
        differs=(_CUT_STEPS,),
        jitter_while_decaying=False,
        warning="With its published weight of 10, users of FastCUT get their "
        "images back unchanged on horse2zebra (FID 252, and 60.5 with weight 1: "
        "issue 94 of the authors' repository); try `nce_weight=1`.",
    ),
}

# For the command line.
if TYPE_CHECKING:
    PresetName = str
else:
    PresetName = Literal[tuple(PRESETS)]


def differences(config: TrainConfig, default: TrainConfig) -> dict[str, Any]:
    """Return the options that differ from those of another configuration, in order."""
    own, others = (
        {
            option: value
            for group in to_dict(each).values()
            for option, value in group.items()
        }
        for each in (config, default)
    )
    return {
        option: value for option, value in own.items() if value != others.get(option)
    }
