"""The facts of a run and its options, in words."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from cyclegan_tf.config.options import Objective, TrainConfig
from cyclegan_tf.data.domains import Domain, Domains
from cyclegan_tf.runs.run import Run
from cyclegan_tf.translation.translator import Translator


@dataclasses.dataclass(frozen=True)
class Option:
    """An option of the training, in words.

    Attributes:
        flag: its name on the command line.
        value: its value.
        default: its default; empty if it has none.
        is_changed: whether the value differs from the default.
    """

    flag: str
    value: str
    default: str
    is_changed: bool


def describe_run(
    run: Run,
    records: Sequence[Mapping[str, Any]],
    translators: Mapping[str, Translator],
    domains: Domains | None,
) -> dict[str, str]:
    """Describe data, progress and networks of a run by heading.

    Args:
        run: a run.
        records: its metrics, one record per epoch.
        translators: its generators, or none before the first checkpoint.
        domains: its images, if they still exist.
    """
    config = run.config
    facts = {"Data": config.dataset.name}
    if domains:
        facts["Training images"] = _sizes(domains.train["x"], domains.train["y"])
        if domains.test["x"] is not domains.train["x"]:
            facts["Test images"] = _sizes(domains.test["x"], domains.test["y"])
        facts["Image size"] = _image_size(domains.train["x"])
    if records:
        facts["Trained"] = (
            f"{records[-1]['epoch']} of {config.optimization.epochs} epochs, "
            f"{records[-1].get('step', 0):,} steps"
        )
        seconds = sum(record.get("seconds", 0) for record in records)
        facts["Time"] = _duration(seconds)
    networks = config.networks
    facts["Networks"] = f"{networks.generator} and {networks.discriminator}"
    if translators:
        generator = next(iter(translators.values())).generator
        parameters = generator.count_params()
        facts["Networks"] += f", {parameters:,} parameters a generator"
    facts["Objective"] = _objective(config.objective)
    return facts


def _objective(objective: Objective) -> str:
    """Return the method, the game and the weights."""
    weights = {
        field.name: getattr(objective, field.name)
        for field in dataclasses.fields(objective)
        if field.name.endswith("weight")
    }
    return ", ".join(
        [objective.method, objective.adversarial_loss]
        + [f"{name.replace('_', ' ')} {value:g}" for name, value in weights.items()]
    )


def _sizes(domain_x: Domain, domain_y: Domain) -> str:
    return f"{len(domain_x):,} of X, {len(domain_y):,} of Y"


def _image_size(domain: Domain) -> str:
    height, width, _ = domain.image_shape
    return "various" if height is None else f"{width}x{height} pixels"


def _duration(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{seconds:.0f} s"


def list_options(config: TrainConfig) -> dict[str, list[Option]]:
    """List all options of a training by group, in the order of the command line.

    Options without a default count as unchanged.
    """
    return {
        group.name: [
            _option(field, getattr(getattr(config, group.name), field.name))
            for field in dataclasses.fields(getattr(config, group.name))
        ]
        for group in dataclasses.fields(config)
    }


def _option(field: "dataclasses.Field[Any]", value: Any) -> Option:
    has_default = field.default not in (dataclasses.MISSING, "")
    return Option(
        "--" + field.name.replace("_", "-"),
        _in_words(value),
        _in_words(field.default) if has_default else "",
        has_default and value != field.default,
    )


def _in_words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return "not given" if value is None else str(value)
