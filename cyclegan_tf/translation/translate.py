"""Translate image files with a generator."""

import csv
import dataclasses
import pathlib

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf._shared.files import check_free, identity, printable, replacing
from cyclegan_tf.images import SUFFIXES, find_images
from cyclegan_tf.pretrained.find import choose_generator
from cyclegan_tf.translation.files import FileTranslator
from cyclegan_tf.translation.options import TranslateConfig

MANIFEST = "manifest.csv"


@dataclasses.dataclass(frozen=True)
class Translation:
    """The result for one image; a row of the manifest.

    `error` is why an image was skipped, else empty; its width and height are then 0.
    """

    input: pathlib.Path
    output: pathlib.Path
    width: int
    height: int
    generator: pathlib.Path
    error: str


def translate(config: TranslateConfig) -> list[Translation]:
    """Translate image files and folders; names and subfolders are kept.

    Each translation has the size of its image. Images that are unreadable or too large,
    or whose name no file can have, are skipped. The manifest in the output folder has a
    row for each image.

    Returns:
        The result for each image, in natural order within a folder.

    Raises:
        InputError: if there is nothing to translate, no such generator, or a
            translation exists and `overwrite` is not set; if a translation would
            replace an image to translate; with `tile`, if the generator cannot be
            computed in tiles.
    """
    config.check()
    if not config.inputs:
        raise InputError("There is nothing to translate; name image files or folders.")
    generator = choose_generator(config.source, config.direction)
    outputs = _plan(config)
    translate_file = FileTranslator(generator, config.tile, progress=True)
    translations = []
    written: dict[tuple[int, int] | None, pathlib.Path] = {}
    for output, path in outputs.items():
        width = height = 0
        error = ""
        try:
            _check_not_written(path, output, written)
            height, width = translate_file(path, output)
            written[identity(output)] = path
        except InputError as e:
            error = str(e)
        translations.append(
            Translation(path, output, width, height, generator.path, error)
        )
    _write_manifest(config.out / MANIFEST, translations)
    return translations


def _check_not_written(
    path: pathlib.Path,
    output: pathlib.Path,
    written: dict[tuple[int, int] | None, pathlib.Path],
) -> None:
    """Check that two names are not one, as in a folder that ignores their case."""
    if other := written.get(identity(output)):
        raise InputError(
            f"The translations of {other} and {path} have one name in {output.parent}; "
            "translate them into different folders."
        )


def _plan(config: TranslateConfig) -> dict[pathlib.Path, pathlib.Path]:
    """Map each output file to its input."""
    outputs: dict[pathlib.Path, pathlib.Path] = {}
    for given in config.inputs:
        for path, name in _expand(given, config.out):
            output = config.out / name
            if output in outputs and outputs[output].resolve() != path.resolve():
                raise InputError(
                    f"{outputs[output]} and {path} would both become {output}; "
                    "translate them into different folders."
                )
            outputs[output] = path
    _check_outputs(outputs, config)
    return outputs


def _check_outputs(
    outputs: dict[pathlib.Path, pathlib.Path], config: TranslateConfig
) -> None:
    inputs = {identity(path): path for path in outputs.values()}
    for output, path in outputs.items():
        file = identity(output)
        if file and file in inputs:
            raise InputError(
                f"The translation of {path} would replace {inputs[file]}, which is to "
                "be translated itself; choose another `out`."
            )
        check_free(output, config.overwrite)


def _expand(
    given: pathlib.Path, out: pathlib.Path
) -> list[tuple[pathlib.Path, pathlib.Path]]:
    """List the images of a file or folder, with the name of each output."""
    if given.is_dir():
        found = find_images(given)
        if given.resolve() in out.resolve().parents:  # translations are no inputs
            found = [path for path in found if not _is_inside(path, out)]
        if not found:
            raise InputError(f"There are no images in {given}; name another folder.")
        return [(path, path.relative_to(given)) for path in found]
    if not given.is_file():
        raise InputError(f"There is no file or folder {given}; check the name.")
    if given.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"{given} has no image suffix; known are {', '.join(sorted(SUFFIXES))}."
        )
    return [(given, pathlib.Path(given.name))]


def _is_inside(path: pathlib.Path, folder: pathlib.Path) -> bool:
    return folder.resolve() in path.resolve().parents


def _write_manifest(path: pathlib.Path, translations: list[Translation]) -> None:
    names = [field.name for field in dataclasses.fields(Translation)]
    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for item in translations:
            writer.writerow(map(printable, dataclasses.astuple(item)))
