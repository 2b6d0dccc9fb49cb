"""Ready-made options for each application that these methods are known for.

A recipe names the images and sets the options that they need. It overrides a preset and
the defaults; single options override all three.
"""

import dataclasses
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.config.options import (
    CycleGANObjective,
    DatasetConfig,
    Method,
    TrainConfig,
)
from cyclegan_tf.config.presets import PRESET_OF_METHOD, PRESETS

_LOG = logging.getLogger(__name__)

_MMEDITING = "MMEditing's model zoo, with the authors' weights"
_PAPER = "Zhu et al., 2017, at 256x256"
_PIX2PIX = "https://efrosgans.eecs.berkeley.edu/pix2pix/datasets"


@dataclasses.dataclass(frozen=True)
class Recipe:
    """The images of an application, and what training on them needs.

    Attributes:
        domain_x: what images of X show; `generator_g` translates them to Y.
        domain_y: what images of Y show; `generator_f` translates them to X.
        data: the data set, as `DatasetConfig.data`; `None` if the user names it.
        train_images: numbers of training images of X and Y in TensorFlow Datasets.
        identity_weight: replaces that of the preset.
        preset: the preset to use if the user names none.
        direction: as in `DatasetConfig`.
        published: scores that others measured, a sentence each with its source.
        notes: other advice, a sentence each.
    """

    domain_x: str
    domain_y: str
    data: str | None = None
    train_images: tuple[int, int] | None = None
    identity_weight: float | None = None
    preset: str | None = None
    direction: Literal["AtoB", "BtoA"] = "AtoB"
    published: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def lay_over(self, config: TrainConfig) -> TrainConfig:
        """Return the configuration with the options that the recipe sets."""
        dataset = dataclasses.replace(config.dataset, direction=self.direction)
        objective = config.objective
        if self.data is not None:
            dataset = dataclasses.replace(dataset, data=self.data)
        if self.identity_weight is not None and isinstance(
            objective, CycleGANObjective
        ):
            weight = self.identity_weight
            objective = dataclasses.replace(objective, identity_weight=weight)
        return dataclasses.replace(config, dataset=dataset, objective=objective)


def _paintings(works: str, data: str, count: int) -> Recipe:
    return Recipe(
        works,
        "landscape photographs",
        f"tfds:cycle_gan/{data}",
        (count, 6287),
        identity_weight=5.0,
        notes=(
            "To paint a photograph, translate with --direction f.",
            "The paper adds the identity loss with weight 5 to keep the colors of "
            "paintings (section 5.2).",
            "An epoch uses all 6,287 photographs; --max-images shortens it.",
        ),
    )


RECIPES: Mapping[str, Recipe] = {
    "horse2zebra": Recipe(
        "horses",
        "zebras",
        "tfds:cycle_gan/horse2zebra",
        (1067, 1334),
        published=(
            "FID 62.111 X to Y and 138.646 Y to X, with identity weight 5 "
            f"({_MMEDITING}).",
            "FID 77.202 X to Y and 137.050 Y to X, with identity weight 0 "
            f"({_MMEDITING}).",
            "FID 65.75 X to Y, against training and test images together (GAN "
            "Compression, README).",
        ),
    ),
    "apple2orange": Recipe(
        "apples", "oranges", "tfds:cycle_gan/apple2orange", (995, 1019)
    ),
    "summer2winter": Recipe(
        "summer photographs of Yosemite",
        "winter photographs of Yosemite",
        "tfds:cycle_gan/summer2winter_yosemite",
        (1231, 962),
        published=(
            "FID 77.342 X to Y and 72.631 Y to X, with identity weight 5 "
            f"({_MMEDITING}).",
            "FID 76.773 X to Y and 74.239 Y to X, with identity weight 0 "
            f"({_MMEDITING}).",
        ),
    ),
    "monet2photo": _paintings("Monet's paintings", "monet2photo", 1072),
    "cezanne2photo": _paintings("Cezanne's paintings", "cezanne2photo", 525),
    "ukiyoe2photo": _paintings("Ukiyo-e prints", "ukiyoe2photo", 562),
    "vangogh2photo": _paintings("Van Gogh's paintings", "vangogh2photo", 400),
    "maps": Recipe(
        "aerial photographs",
        "maps",
        "tfds:cycle_gan/maps",
        (1096, 1096),
        published=(
            "People took 23.2 % ± 3.4 % of the translations X to Y for real, and "
            f"26.8 % ± 2.8 % of those Y to X ({_PAPER}).",
        ),
    ),
    "facades": Recipe(
        "photographs of facades",
        "their label images",
        "tfds:cycle_gan/facades",
        (400, 400),
        published=(
            "FID 123.626 with identity weight 5 and 119.726 with 0, direction not "
            f"stated ({_MMEDITING}).",
        ),
    ),
    "iphone2dslr": Recipe(
        "photographs of flowers by iPhone",
        "by DSLR, with a shallow depth of field",
        "tfds:cycle_gan/iphone2dslr_flower",
        (1812, 3325),
        identity_weight=5.0,
        notes=(
            "Direction g blurs the background like a wide aperture.",
            "The identity loss keeps the colors, as for paintings.",
        ),
    ),
    "facades-pix2pix": Recipe(
        "label images of facades",
        "their photographs",
        preset="pix2pix",
        direction="BtoA",
        published=(
            "FID 119.135 with the authors' weights, 124.98 trained anew for 80,000 "
            "steps (mmgeneration, configs/pix2pix).",
        ),
        notes=(
            f"Needs --data FOLDER: unpack {_PIX2PIX}/facades.tar.gz, 29 MB. The "
            "400 files of its folder train have the photograph on the left.",
        ),
    ),
    "maps-pix2pix": Recipe(
        "aerial photographs",
        "maps",
        preset="pix2pix",
        published=(
            "FID 149.731 from photographs to maps and 102.072 back with the "
            "authors' weights (mmgeneration, configs/pix2pix).",
        ),
        notes=(
            f"Needs --data FOLDER: unpack {_PIX2PIX}/maps.tar.gz, 239 MB. The "
            "1,096 files of its folder train have the photograph on the left.",
            "--direction BtoA trains from maps to photographs.",
        ),
    ),
    "horse2zebra-cut": Recipe(
        "horses",
        "zebras",
        "tfds:cycle_gan/horse2zebra",
        (1067, 1334),
        preset="cut",
        published=(
            "FID 45.5 (Park et al., 2020, table 1); users report 61.7 to 68 for "
            "the last epoch (issues 65 and 137 of the authors' repository).",
        ),
        notes=("A step trains one direction; --direction BtoA trains the other.",),
    ),
    "own-folders": Recipe(
        "your images in trainA",
        "your images in trainB",
        notes=(
            "Needs --data FOLDER with trainA and trainB, and testA and testB if "
            "you have them; cyclegan doctor FOLDER checks it first.",
            "Expect changes of color and texture. Changes of shape, such as cats "
            "to dogs, mostly failed for the authors: the images hardly changed.",
            "Domains with the same kind of scene work best. If colors must change, "
            "try --identity-weight 0.",
            "Set --crop-size to suit your images, and --load-size about 12 % larger.",
        ),
    ),
}

# For the command line.
if TYPE_CHECKING:
    RecipeName = str
else:
    RecipeName = Literal[tuple(RECIPES)]


def make_train_config(
    recipe: str | None = None,
    preset: str | None = None,
    data: str | None = None,
    method: Method | None = None,
) -> TrainConfig:
    """Make a configuration: the defaults, then a preset, then a recipe.

    Args:
        recipe: a name in `RECIPES`.
        preset: a name in `PRESETS`. Defaults to that of the recipe or the method.
        data: the images, as `DatasetConfig.data`. Defaults to those of the recipe.
        method: `"cyclegan"`, `"pix2pix"` or `"cut"`. Defaults to that of the preset.

    Returns:
        All options; change them with `dataclasses.replace`.

    Raises:
        InputError: if there is no such recipe or preset, the preset is of another
            method, or nothing names the images.
    """
    for name, known in ((recipe, RECIPES), (preset, PRESETS)):
        if name is not None and name not in known:
            raise InputError(
                f"There is no recipe or preset {name!r}; choose one of "
                f"{', '.join(known)}."
            )
    if data is None and (recipe is None or RECIPES[recipe].data is None):
        raise InputError(
            f"Nothing names the images of {recipe or 'this training'}; give `data`, or "
            "use a recipe that names them."
        )
    config = TrainConfig(DatasetConfig(data or ""))
    preset = preset or (recipe and RECIPES[recipe].preset)
    preset = preset or (PRESET_OF_METHOD.get(method) if method else None)
    if preset:
        config = PRESETS[preset].lay_over(config)
        if PRESETS[preset].warning:
            _LOG.warning(PRESETS[preset].warning)
    if method and method != config.objective.method:
        raise InputError(
            f"The preset {preset} trains by {config.objective.method}; leave out "
            f"`method={method}`, or name another preset or recipe."
        )
    if recipe:
        config = RECIPES[recipe].lay_over(config)
    if data is not None:
        dataset = dataclasses.replace(config.dataset, data=data)
        config = dataclasses.replace(config, dataset=dataset)
    return config
