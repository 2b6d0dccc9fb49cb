"""The named models as text: a list, and a model card each."""

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

from cyclegan_tf._shared.tables import markdown_table
from cyclegan_tf.pretrained.zoo import NamedModel, model_named, models

_USE = """\
    cyclegan translate --pretrained {name} PHOTO
    cyclegan serve --pretrained {name}
    cyclegan export --pretrained {name} --out exported

In Python:

    import cyclegan_tf

    translate = cyclegan_tf.Translator("{name}")
    image = translate("photo.jpg")  # uint8 (height, width, channels)
"""


def overview(everyones: bool) -> str:
    """Return a line for each model.

    Args:
        everyones: whether to list the models of others, too.
    """
    shown = [model for model in models().values() if model.is_ours or everyones]
    lines = [f"{model.name:<32}{model.translates}" for model in shown]
    if not everyones:
        others = len(models()) - len(shown)
        lines.append(f"cyclegan models --all lists {others} models of others, too.")
    return "\n".join(lines)


def card(name: str) -> str:
    """Return the card of a model: Markdown, with the metadata that Hugging Face reads.

    Raises:
        InputError: if there is no model of that name.
    """
    return "\n".join(_card(model_named(name)))


def _card(model: NamedModel) -> Iterator[str]:
    yield "---"
    yield f"license: {model.license_weights.partition(',')[0].lower()}"
    yield "library_name: keras"
    yield "pipeline_tag: image-to-image"
    yield "tags: [cyclegan, image-to-image, unpaired]"
    if model.dataset:
        yield f"datasets: [{model.dataset}]"
    if model.scores:
        yield f"model-index: {json.dumps([_model_index(model)])}"  # JSON is YAML, too
    yield "---"
    yield ""
    yield f"# {model.name}"
    yield ""
    yield f"- Direction g: {model.translates}."
    yield f"- Architecture: {model.architecture}."
    yield f"- Trained on images of {model.training_size} pixels."
    yield f"- Made by: {model.made_by}."
    yield f"- License of the weights: {model.license_weights}."
    yield f"- License of the training images: {model.license_images}."
    file = model.file
    size = f", {file.bytes:,} bytes" if file.bytes else ""
    address = f" from {file.url}" if file.url else ""
    known = f", SHA-256 {file.sha256}" if file.sha256 else ""
    yield f"- File: {file.name}{address}{size}{known}."
    if model.scores:
        yield f"\n## Scores\n\nBy {model.protocol}.\n"
        rows = [map(str, dataclasses.astuple(score)) for score in model.scores]
        headings = ["metric", "translated", "without translation", "real images"]
        yield markdown_table([headings, *map(list, rows)])
        yield ""
        yield from (f"- {note}." for note in model.notes)
    yield "\n## Use\n"
    yield _USE.format(name=model.name).rstrip()


def _model_index(model: NamedModel) -> dict[str, Any]:
    """Return the scores in the form that Hugging Face shows beside a model."""
    metrics = [
        {"type": score.metric, "value": score.translated} for score in model.scores
    ]
    result = {
        "task": {"type": "image-to-image"},
        "dataset": {"type": model.dataset, "name": model.dataset, "split": "test"},
        "metrics": metrics,
    }
    return {"name": model.name, "results": [result]}
