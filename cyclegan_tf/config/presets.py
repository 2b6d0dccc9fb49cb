"""The settings of other CycleGAN codebases, as far as these options express them.

A preset decides the networks, what they are trained for and how. Where the images come
from and how they are prepared is left to the recipe: all of these codebases resize to
286x286, crop to 256x256 and mirror, as `DatasetConfig` does.
"""

import dataclasses
import types
from collections.abc import Mapping
from typing import Any, Literal

from cyclegan_tf.config.options import (
    CycleGANObjective,
    NetworkConfig,
    OptimizationConfig,
    TrainConfig,
)
from cyclegan_tf.config.stored import to_dict

# For the command line; the names in `PRESETS`.
PresetName = Literal["paper", "pytorch-2024", "tf-tutorial", "keras-example"]


@dataclasses.dataclass(frozen=True)
class Preset:
    """How one codebase trains.

    Attributes:
        title: what it is.
        networks: its generators and discriminators.
        objective: what it trains them for.
        optimization: how, and how long.
        differs: what the codebase does otherwise, mostly what these options cannot
            express, a sentence each.
    """

    title: str
    networks: NetworkConfig
    objective: CycleGANObjective
    optimization: OptimizationConfig
    differs: tuple[str, ...]

    def lay_over(self, config: TrainConfig) -> TrainConfig:
        """Return the configuration with the options that a preset decides."""
        return dataclasses.replace(
            config,
            networks=self.networks,
            objective=self.objective,
            optimization=self.optimization,
        )


PRESETS: Mapping[str, Preset] = types.MappingProxyType(
    {
        "paper": Preset(
            title="The paper's text (Zhu et al., 2017), and the authors' Torch code "
            "where the text is silent",
            networks=NetworkConfig(norm="instance_affine"),
            # Equation 3 has no identity loss. Section 5.2 adds it where paintings
            # become photographs, and so do the recipes of those.
            objective=CycleGANObjective(identity_weight=0.0),
            optimization=OptimizationConfig(),
            differs=(
                "The Torch code trains at 128x128 with 6 blocks unless told otherwise; "
                "for that add --load-size 143 --crop-size 128 --num-residual-blocks 6.",
                "Its discriminators pad by two pixels, so that they judge a 256x256 "
                "image in 35x35 places; here they pad by one, which makes 30x30.",
                "It updates each discriminator right after its generator, and does not "
                "halve the discriminators' gradient, though the paper says so; here "
                "both generators come first, and it is halved.",
                "It sets the biases of all convolutions to zero after each step; here "
                "those before a normalization do not exist, and the others learn.",
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
                "It lowers the learning rate before an epoch, so that its last epoch "
                "trains at rate 0; here the rate falls after an epoch, as in the "
                "authors' version of 2025.",
                "PyTorch's Adam adds epsilon after the bias correction, Keras's before "
                "it; they agree in the long run.",
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
                "It normalizes the 1x1 bottleneck of the U-Net, which leaves no image "
                "there, only a learned offset; here the bottleneck is not normalized.",
                "Its leaky ReLUs have slope 0.3; here it is 0.2.",
                "It resizes to the nearest pixel; here by an antialiased bicubic "
                "filter.",
                "Its epoch ends with the smaller domain; here with the larger one.",
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
                "Its script stops after 1 epoch and loads weights of 90; here it is "
                "90.",
                "There the cycle |F(G(x)) - x| trains only F, and |G(F(y)) - y| only "
                "G; here each trains both, as in the paper.",
                "It caches the images after they were cropped and mirrored at random, "
                "so that every epoch sees the same crops; here they are drawn anew.",
                "Its learned scales start around 0; here around 1.",
                "Its version of 2024 for Keras 3 normalizes all channels together "
                "(GroupNormalization with one group), which is no instance norm and is "
                "not available here.",
                "It resizes by a bilinear filter; here by an antialiased bicubic one.",
                "Its epoch ends with the smaller domain; here with the larger one.",
            ),
        ),
    }
)

# Why a difference in an option matters, where that can be said in a clause.
_MATTERS: Mapping[str, str] = {
    "generator": "a U-Net copies details through its skips and takes fewer sizes",
    "num_residual_blocks": "the paper takes 6 for 128x128, 9 for 256x256",
    "dropout": "noise in the generators while they train",
    "norm": "affine has a learned scale and offset; weights do not fit the other",
    "norm_epsilon": "weights trained with one do not behave the same with another",
    "padding": "same shifts strided 3x3 convolutions by a pixel; weights depend on it",
    "adversarial_loss": "least squares trains more stably (paper, section 4)",
    "cycle_weight": "how firmly the translation must be reversible",
    "identity_weight": "keeps colours (paper, section 5.2)",
    "pool_size": "a history of translations damps oscillation (paper, section 4)",
    "constant_epochs": "how long it trains at the full rate",
    "decay_epochs": "with a falling rate the networks settle",
    "epsilon": "a large one damps the first updates of small gradients",
    "load_size": "from this size the crop is cut",
    "crop_size": "what size the networks are trained for",
}


@dataclasses.dataclass(frozen=True)
class Difference:
    """An option in which two configurations differ.

    Attributes:
        option: its name in `config.py`.
        first: its value in the first configuration.
        second: its value in the second.
        matters: why it matters, in a clause; empty where there is none to be said.
    """

    option: str
    first: Any
    second: Any
    matters: str


def differences(first: TrainConfig, second: TrainConfig) -> list[Difference]:
    """Compare two configurations, but for where their images come from.

    Args:
        first: all options.
        second: all options.

    Returns:
        The options that differ, in the order of `config.py`.
    """
    one, other = (
        {
            option: value
            for group in to_dict(config).values()
            for option, value in group.items()
            if option not in ("data", "data_dir")
        }
        for config in (first, second)
    )
    return [
        Difference(option, one[option], other[option], _MATTERS.get(option, ""))
        for option in one
        if one[option] != other[option]
    ]
