"""The recipes and presets as text for the terminal."""

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.cli.parsing import as_flags, did_you_mean
from cyclegan_tf.config.options import CycleGANObjective
from cyclegan_tf.config.presets import PRESETS, Preset, differences
from cyclegan_tf.config.recipes import RECIPES, Recipe, make_train_config


def overview() -> str:
    """Return a line for each recipe and preset."""
    lines = ["Recipes, for cyclegan train --recipe NAME:"]
    lines += [f"  {name:<17}{_domains(recipe)}" for name, recipe in RECIPES.items()]
    lines += ["", "Presets, for cyclegan train --preset NAME:"]
    lines += [f"  {name:<17}{preset.title}" for name, preset in PRESETS.items()]
    return "\n".join(lines)


def describe(name: str) -> str:
    """Return a description of a recipe or preset.

    Raises:
        InputError: if there is none of that name.
    """
    if name in RECIPES:
        return "\n".join(_describe_recipe(name, RECIPES[name]))
    if name in PRESETS:
        return "\n".join(_describe_preset(PRESETS[name]))
    names = [*RECIPES, *PRESETS]
    advice = did_you_mean(name, names, f"choose one of {', '.join(names)}.")
    raise InputError(f"There is no recipe or preset {name!r}; {advice}")


def command_with(name: str) -> str:
    """Return the command that trains by a recipe or preset."""
    kind = "recipe" if name in RECIPES else "preset"
    names_images = name in RECIPES and RECIPES[name].data
    return f"cyclegan train --{kind} {name}{'' if names_images else ' --data FOLDER'}"


def _describe_recipe(name: str, recipe: Recipe) -> list[str]:
    objective = make_train_config(name, data="").objective
    lines = [f"{_domains(recipe)}.", ""]
    if isinstance(objective, CycleGANObjective):
        lines.append(f"- Identity weight: {objective.identity_weight:g}")
    else:
        lines.append(f"- Method: {objective.method}")
    if recipe.train_images:
        counts = "{:,} of X, {:,} of Y".format(*recipe.train_images)
        lines.append(f"- Training images: {counts} ({recipe.data})")
    lines += [f"- Published: {sentence}" for sentence in recipe.published]
    return lines + [f"- {note}" for note in recipe.notes]


def _describe_preset(preset: Preset) -> list[str]:
    default = make_train_config(data="demo")
    changed = differences(preset.lay_over(default), default)
    settings = ", ".join(
        as_flags(f"`{option}={value}`") for option, value in changed.items()
    )
    return [
        f"{preset.title}.",
        "",
        f"- Options that differ from the defaults: {settings or 'none'}",
        *(f"- Original: {sentence}" for sentence in preset.differs),
    ]


def _domains(recipe: Recipe) -> str:
    return f"X: {recipe.domain_x}; Y: {recipe.domain_y}"
