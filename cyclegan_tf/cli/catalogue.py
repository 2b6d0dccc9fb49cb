"""The recipes and presets as text for the terminal."""

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf._shared.tables import markdown_table
from cyclegan_tf.cli.parsing import did_you_mean
from cyclegan_tf.config.options import CycleGANObjective, TrainConfig
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


def explain(
    config: TrainConfig, recipe: str | None, preset: str | None, compared: str
) -> str:
    """Return how a configuration differs from a preset.

    Args:
        config: all options.
        recipe: name of the recipe they include. It is laid over both sides.
        preset: name of the preset they include.
        compared: name of the preset to compare with.

    Returns:
        A table, and sentences on how the originals of both presets differ from them.
    """
    data = config.dataset.data
    flagless = make_train_config(recipe, preset, data)
    name = preset if preset and config == flagless else "yours"
    found = differences(config, make_train_config(recipe, compared, data))
    rows = [("option", name, compared, "why it matters")]
    rows += [(_flag(d.option), str(d.first), str(d.second), d.matters) for d in found]
    lines = [markdown_table(rows) if found else f"All options are those of {compared}."]
    for original in PRESETS:
        if original in (preset, compared):
            lines += ["", f"How the original of {original} differs:"]
            lines += [f"- {sentence}" for sentence in PRESETS[original].differs]
    return "\n".join(lines)


def _describe_recipe(name: str, recipe: Recipe) -> list[str]:
    objective = make_train_config(name, data="").objective
    lines = [f"{_domains(recipe)}.", ""]
    if isinstance(objective, CycleGANObjective):
        lines.append(f"- Identity weight: {objective.identity_weight:g}")
    else:
        lines.append(f"- Method: {objective.method}")
    if recipe.train_images and recipe.estimated_days:
        counts = "{:,} of X, {:,} of Y".format(*recipe.train_images)
        days = "{:.2g} to {:.2g} days".format(*recipe.estimated_days)
        lines.append(f"- Training images: {counts} ({recipe.data})")
        lines.append(f"- Time on one GTX 1080, an estimate: {days}")
    lines += [f"- Published: {sentence}" for sentence in recipe.published]
    return lines + [f"- {note}" for note in recipe.notes]


def _describe_preset(preset: Preset) -> list[str]:
    default = make_train_config(data="demo")
    found = differences(default, preset.lay_over(default))
    settings = ", ".join(f"{_flag(d.option)} {d.second}" for d in found)
    return [
        f"{preset.title}.",
        "",
        f"- Options that differ from the defaults: {settings or 'none'}",
        *(f"- Original: {sentence}" for sentence in preset.differs),
    ]


def _domains(recipe: Recipe) -> str:
    return f"X: {recipe.domain_x}; Y: {recipe.domain_y}"


def _flag(option: str) -> str:
    return "--" + option.replace("_", "-")
