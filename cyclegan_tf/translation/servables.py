"""What there is to serve: the generators of a run, a file or an exported folder."""

import dataclasses
import json
import pathlib
from collections.abc import Callable

import tensorflow as tf

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.images import Image
from cyclegan_tf.runs.run import Run
from cyclegan_tf.translation.translator import Translator, check_image_channels

_TITLES = {"g": "G: X to Y", "f": "F: Y to X"}


@dataclasses.dataclass(frozen=True)
class ServedGenerator:
    """A generator as the page needs it.

    Attributes:
        title: what stands over its translations.
        channels: of the images that it takes.
        translate: from uint8 (height, width, channels) to the same height and width.
    """

    title: str
    channels: int
    translate: Callable[[Image], Image]


def load_generators(source: pathlib.Path) -> list[ServedGenerator]:
    """Load what there is to serve.

    Args:
        source: a run, a generator's `.keras` file, or a folder of `cyclegan export`.

    Returns:
        One generator or both of them, G before F.

    Raises:
        InputError: if there is none.
    """
    if source.suffix == ".keras":
        return [_from_keras(source, "Translation")]
    if (source / "config.json").is_file():
        return _from_run(Run(source))
    return _from_exported(source)


def _from_keras(path: pathlib.Path, title: str) -> ServedGenerator:
    translator = Translator(path)
    check_image_channels(translator.generator, path)
    return ServedGenerator(title, translator.channels, translator)


def _from_run(run: Run) -> list[ServedGenerator]:
    paths = {direction: run.generator_path(direction) for direction in "gf"}
    generators = [
        _from_keras(path, _TITLES[direction])
        for direction, path in paths.items()
        if path.is_file()
    ]
    if not generators:
        raise InputError(
            f"{run.folder} has no generators yet; wait for the first checkpoint of its "
            "training."
        )
    return generators


def _from_exported(folder: pathlib.Path) -> list[ServedGenerator]:
    if not (folder / "report.json").is_file():
        raise InputError(
            f"{folder} is no run, no .keras file and no folder of cyclegan export; "
            "name one of these."
        )
    exported = [
        _read_metadata(path)
        for path in sorted(folder.glob("*.json"))
        if path.name != "report.json"
    ]
    generators = [
        _from_saved_model(folder / name / "1", _TITLES.get(direction, name))
        for direction, name in sorted(exported, key=lambda item: item[0] == "f")
        if (folder / name / "1").is_dir()
    ]
    if not generators:
        raise InputError(
            f"{folder} holds no SavedModel; export with --formats savedmodel, or serve "
            "the run itself."
        )
    return generators


def _read_metadata(path: pathlib.Path) -> tuple[str, str]:
    """The direction of an exported generator, empty if it has none, and its name."""
    try:
        content = json.loads(path.read_text())
        return content["direction"] or "", content["name"]
    except (json.JSONDecodeError, KeyError, TypeError) as e:
        raise InputError(f"{path} is damaged ({e}); export again.") from e


def _from_saved_model(folder: pathlib.Path, title: str) -> ServedGenerator:
    model = tf.saved_model.load(str(folder))
    signature = model.signatures["uint8"]
    channels = signature.structured_input_signature[1]["image"].shape[-1]

    def translate(image: Image) -> Image:
        # Not `signature`, which does not keep the weights: `model` does.
        outputs = model.signatures["uint8"](image=tf.constant(image[None]))
        return outputs["translated"].numpy()[0]

    return ServedGenerator(title, channels, translate)
