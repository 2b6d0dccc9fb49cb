"""Ready-made options for each application that CycleGAN is known for.

A recipe names the images and decides what they need. It is laid over a preset or the
defaults, and options that are given by themselves are laid over both.
"""

import dataclasses
import types
from collections.abc import Mapping
from typing import Literal

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.config.options import DatasetConfig, OptimizationConfig, TrainConfig
from cyclegan_tf.config.presets import PRESETS

# For the command line; the names in `RECIPES`.
RecipeName = Literal[
    "horse2zebra",
    "apple2orange",
    "summer2winter",
    "monet2photo",
    "cezanne2photo",
    "ukiyoe2photo",
    "vangogh2photo",
    "maps",
    "facades",
    "iphone2dslr",
    "own-folders",
]

# The authors say that horse2zebra, 200 epochs of 1,334 steps, takes 1 to 2 days on a
# GTX 1080 (issue 1549 of junyanz/pytorch-CycleGAN-and-pix2pix, 2023): 0.32 to 0.65 s a
# step. The Keras example's 7 minutes for 1,067 steps on a P100, 0.39 s, lie between.
DAYS_OF_HORSE2ZEBRA = (1.0, 2.0)
STEPS_OF_HORSE2ZEBRA = 200 * 1334


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Images, and what training on them needs.

    Attributes:
        title: what is translated.
        domain_x: what domain X shows; `generator_g` translates it to Y.
        domain_y: what domain Y shows; `generator_f` translates it to X.
        data: the data set, as `--data` names it; `None` if the user must.
        train_images: training images of X and of Y, as the TensorFlow Datasets catalog
            counts them.
        load_size: pixels a side after the resize.
        crop_size: pixels a side of the crop.
        identity_weight: where the application needs another than the preset's.
        notes: what else to know, a sentence each.
    """

    title: str
    domain_x: str
    domain_y: str
    data: str | None
    train_images: tuple[int, int] | None
    load_size: int = 286
    crop_size: int = 256
    identity_weight: float | None = None
    notes: tuple[str, ...] = ()

    def lay_over(self, config: TrainConfig) -> TrainConfig:
        """Return the configuration with the options that the recipe decides."""
        dataset = dataclasses.replace(
            config.dataset,
            data=self.data or config.dataset.data,
            load_size=self.load_size,
            crop_size=self.crop_size,
        )
        objective = config.objective
        if self.identity_weight is not None:
            objective = dataclasses.replace(
                objective, identity_weight=self.identity_weight
            )
        return dataclasses.replace(config, dataset=dataset, objective=objective)

    @property
    def estimated_days(self) -> tuple[float, float] | None:
        """Estimate, from and to, how long the default 200 epochs take on a GTX 1080.

        Steps in proportion to `DAYS_OF_HORSE2ZEBRA`: not measured.
        """
        if self.train_images is None:
            return None
        steps = OptimizationConfig().epochs * max(self.train_images)
        shortest, longest = DAYS_OF_HORSE2ZEBRA
        ratio = steps / STEPS_OF_HORSE2ZEBRA
        return shortest * ratio, longest * ratio


def _paintings(title: str, painter: str, data: str, count: int) -> Recipe:
    """The recipes of the painters share the photographs."""
    return Recipe(
        title=title,
        domain_x=painter,
        domain_y="landscape photographs",
        data=f"tfds:cycle_gan/{data}",
        train_images=(count, 6287),
        identity_weight=5.0,
        notes=(
            "To paint a photograph, translate by --direction f.",
            "The paper adds the identity loss, weight 5, to keep the colours of "
            "paintings (section 5.2).",
            "An epoch goes through all 6,287 photographs; --max-images shortens it.",
        ),
    )


RECIPES: Mapping[str, Recipe] = types.MappingProxyType(
    {
        "horse2zebra": Recipe(
            title="Horses and zebras",
            domain_x="horses",
            domain_y="zebras",
            data="tfds:cycle_gan/horse2zebra",
            train_images=(1067, 1334),
        ),
        "apple2orange": Recipe(
            title="Apples and oranges",
            domain_x="apples",
            domain_y="oranges",
            data="tfds:cycle_gan/apple2orange",
            train_images=(995, 1019),
        ),
        "summer2winter": Recipe(
            title="Summer and winter in Yosemite",
            domain_x="summer photographs",
            domain_y="winter photographs",
            data="tfds:cycle_gan/summer2winter_yosemite",
            train_images=(1231, 962),
        ),
        "monet2photo": _paintings(
            "Monet and photographs", "Monet's paintings", "monet2photo", 1072
        ),
        "cezanne2photo": _paintings(
            "Cezanne and photographs", "Cezanne's paintings", "cezanne2photo", 525
        ),
        "ukiyoe2photo": _paintings(
            "Ukiyo-e and photographs", "Ukiyo-e prints", "ukiyoe2photo", 562
        ),
        "vangogh2photo": _paintings(
            "Van Gogh and photographs", "Van Gogh's paintings", "vangogh2photo", 400
        ),
        "maps": Recipe(
            title="Aerial photographs and maps",
            domain_x="aerial photographs",
            domain_y="maps",
            data="tfds:cycle_gan/maps",
            train_images=(1096, 1096),
        ),
        "facades": Recipe(
            title="Facades and their labels",
            domain_x="photographs of facades",
            domain_y="label images",
            data="tfds:cycle_gan/facades",
            train_images=(400, 400),
        ),
        "iphone2dslr": Recipe(
            title="Flowers by iPhone and by DSLR",
            domain_x="photographs by iPhone",
            domain_y="photographs by DSLR, of shallow depth of field",
            data="tfds:cycle_gan/iphone2dslr_flower",
            train_images=(1812, 3325),
            identity_weight=5.0,
            notes=(
                "Direction g blurs the background as a wide aperture does.",
                "The identity loss keeps the colours of photographs, as for painters.",
            ),
        ),
        "own-folders": Recipe(
            title="Your own two folders, such as faces or seasons",
            domain_x="the images in trainA",
            domain_y="the images in trainB",
            data=None,
            train_images=None,
            notes=(
                "Takes --data FOLDER with trainA and trainB, and testA and testB if "
                "you have them; cyclegan doctor FOLDER looks for faults first.",
                "Expect changes of colour and texture. Changes of shape, as from cats "
                "to dogs, mostly failed for the authors: the images hardly changed.",
                "Domains of the same kind of scene work best. If colours must change, "
                "try --identity-weight 0.",
                "Set --load-size and --crop-size to what your images have, "
                "--load-size about 12 % larger.",
            ),
        ),
    }
)


def make_train_config(
    recipe: str | None = None,
    preset: str | None = None,
    data: str | None = None,
) -> TrainConfig:
    """Make a configuration: the defaults, a preset over them, a recipe over that.

    Args:
        recipe: a name in `RECIPES`, or `None`.
        preset: a name in `PRESETS`, or `None` for the defaults.
        data: the images, as `DatasetConfig` takes them; those of the recipe if not
            given.

    Returns:
        All options; change them by `dataclasses.replace`.

    Raises:
        InputError: if there is no such recipe or preset, or nothing names the images.
    """
    for name, known in ((recipe, RECIPES), (preset, PRESETS)):
        if name is not None and name not in known:
            raise InputError(
                f"There is no recipe or preset {name!r}; choose one of "
                f"{', '.join(known)}."
            )
    if data is None and (recipe is None or RECIPES[recipe].data is None):
        raise InputError(
            f"Nothing names the images of {recipe or 'this training'}; name them by "
            "data, or use a recipe that does."
        )
    config = TrainConfig(DatasetConfig(data or ""))
    if preset:
        config = PRESETS[preset].lay_over(config)
    if recipe:
        config = RECIPES[recipe].lay_over(config)
    if data is not None:
        dataset = dataclasses.replace(config.dataset, data=data)
        config = dataclasses.replace(config, dataset=dataset)
    return config
