"""The recipes and presets as text, for the terminal and for docs/recipes.md."""

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf._shared.tables import markdown_table
from cyclegan_tf.config.options import TrainConfig
from cyclegan_tf.config.presets import PRESETS, differences
from cyclegan_tf.config.published import PUBLISHED, PublishedScore
from cyclegan_tf.config.recipes import RECIPES, Recipe, make_train_config

_INTRODUCTION = """\
# Recipes and presets

Written by `cyclegan recipes --markdown`; a test compares them.

```
cyclegan train --recipe monet2photo
cyclegan train --recipe own-folders --data path/to/folder
cyclegan train --recipe horse2zebra --preset tf-tutorial --batch-size 4
cyclegan train --preset paper --explain pytorch-2024    # what differs, without training
```

A recipe names the images and decides what they need. A preset sets the networks, the
losses and the optimization of another codebase. The order is: the defaults, the preset
over them, the recipe over that, the options you give over all. `--dry-run` prints the
outcome, which `config.json` in the run folder keeps. From Python:

```python
from pathlib import Path

from cyclegan_tf import make_train_config, train

train(make_train_config("monet2photo", preset="paper"), Path("runs/monet"))
```

**The times are estimates, not measurements.** The authors say that horse2zebra takes 1
to 2 days on a GTX 1080 (issue 1549 of junyanz/pytorch-CycleGAN-and-pix2pix, 2023). The
other times are in proportion to the steps: 200 epochs of as many steps as the larger
domain has images. Newer GPUs are faster; `metrics.jsonl` says after an epoch what yours
takes.

**Scores compare only if they were measured alike.** FID depends on the number of
images, on which images are the reference, and on how images are resized. The published
ones below are for orientation.
"""


def overview() -> str:
    """Return the names of all recipes and presets, each with its title."""
    lines = ["Recipes, for cyclegan train --recipe NAME:"]
    lines += [f"  {name:<15}{recipe.title}" for name, recipe in RECIPES.items()]
    lines += ["", "Presets, for cyclegan train --preset NAME:"]
    lines += [f"  {name:<15}{preset.title}" for name, preset in PRESETS.items()]
    lines += ["", "More on one of them: cyclegan recipes NAME"]
    return "\n".join(lines)


def describe(name: str) -> str:
    """Return all about a recipe or preset, in Markdown.

    Raises:
        InputError: if there is none of that name.
    """
    if name in RECIPES:
        return "\n".join(_recipe_lines(name, RECIPES[name]))
    if name in PRESETS:
        return "\n".join(_preset_lines(name))
    raise InputError(
        f"There is no recipe or preset {name!r}; choose one of "
        f"{', '.join([*RECIPES, *PRESETS])}."
    )


def to_markdown() -> str:
    """Return docs/recipes.md."""
    rows = [("recipe", "X", "Y", "training images", "identity weight", "estimate")]
    rows += [
        (
            f"[{name}](#{name})",
            recipe.domain_x,
            recipe.domain_y,
            _counts(recipe),
            f"{_identity_weight(name, recipe):g}",
            _days(recipe),
        )
        for name, recipe in RECIPES.items()
    ]
    parts = [_INTRODUCTION, "## Recipes\n", markdown_table(rows), ""]
    parts += [f"#{describe(name)}\n" for name in RECIPES]
    parts += ["## Presets\n"]
    parts += [f"#{describe(name)}\n" for name in PRESETS]
    return "\n".join(parts)


def explain(
    config: TrainConfig, recipe: str | None, preset: str | None, compared: str
) -> str:
    """Say in which options a configuration differs from those of a preset.

    Args:
        config: all options.
        recipe: the recipe they are laid over, if any; it is laid over the preset that
            they are compared with, too.
        preset: the preset they are laid over, if any.
        compared: the name of the preset they are compared with.

    Returns:
        A table, and what the options cannot express of both presets.
    """
    data = config.dataset.data
    flagless = make_train_config(recipe, preset, data)
    name = preset if preset and config == flagless else "yours"
    found = differences(config, make_train_config(recipe, compared, data))
    rows = [
        ("option", name, compared, "why it matters"),
        *(
            (_flag(item.option), str(item.first), str(item.second), item.matters)
            for item in found
        ),
    ]
    parts = [markdown_table(rows) if found else f"All options are those of {compared}."]
    for original in PRESETS:
        if original in (preset, compared):
            parts += ["", f"Where the original of {original} differs:"]
            parts += [f"- {sentence}" for sentence in PRESETS[original].differs]
    return "\n".join(parts)


def _recipe_lines(name: str, recipe: Recipe) -> list[str]:
    config = make_train_config(name, data=recipe.data or "FOLDER")
    given = "" if recipe.data else " --data FOLDER"
    source = "default" if recipe.identity_weight is None else "set by the recipe"
    lines = [
        f"## {name}",
        "",
        f"{recipe.title}. X: {recipe.domain_x}; Y: {recipe.domain_y}.",
        "",
        f"- Command: `cyclegan train --recipe {name}{given}`",
        f"- Images: {f'`{recipe.data}`, ' if recipe.data else ''}{_counts(recipe)}",
        f"- Sizes: resized to {config.dataset.load_size}x{config.dataset.load_size}, "
        f"cropped to {config.dataset.crop_size}x{config.dataset.crop_size}",
        f"- Identity weight: {config.objective.identity_weight:g}, {source}",
        f"- Time on one GTX 1080, an estimate: {_days(recipe)}",
    ]
    published = PUBLISHED.get(name, ())
    lines += [f"- Published: {_published(score)}" for score in published]
    if recipe.data and not published:
        lines.append(
            "- Published: no score that says how it was measured is known to us; "
            "compare with the pictures in the paper."
        )
    return lines + [f"- {note}" for note in recipe.notes]


def _preset_lines(name: str) -> list[str]:
    preset = PRESETS[name]
    default = make_train_config(data="demo")
    found = differences(default, preset.lay_over(default))
    settings = ", ".join(f"`{_flag(item.option)} {item.second}`" for item in found)
    return [
        f"## {name}",
        "",
        f"{preset.title}.",
        "",
        f"- Other than the defaults: {settings or 'nothing'}",
        *(f"- Original: {sentence}" for sentence in preset.differs),
    ]


def _published(score: PublishedScore) -> str:
    directions = {"g": "X to Y", "f": "Y to X", "": "direction not stated"}
    how = f", {score.how}" if score.how else ""
    return (
        f"{score.metric} {score.value}, {directions[score.direction]}{how} "
        f"({score.source})"
    )


def _counts(recipe: Recipe) -> str:
    if recipe.train_images is None:
        return "yours"
    return "{:,} of X, {:,} of Y".format(*recipe.train_images)


def _days(recipe: Recipe) -> str:
    if recipe.estimated_days is None:
        return "1 to 2 days for 1,334 images of the larger domain, in proportion"
    return "{:.2g} to {:.2g} days".format(*recipe.estimated_days)


def _identity_weight(name: str, recipe: Recipe) -> float:
    return make_train_config(name, data="demo").objective.identity_weight


def _flag(option: str) -> str:
    return "--" + option.replace("_", "-")
