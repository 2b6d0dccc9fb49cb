"""Translate image files with a generator."""

import csv
import dataclasses
import pathlib

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf._shared.files import check_free, replacing
from cyclegan_tf.images import SUFFIXES, UnreadableImageError, find_images
from cyclegan_tf.pretrained.find import choose_generator
from cyclegan_tf.translation.files import FileTranslator
from cyclegan_tf.translation.options import TranslateConfig

MANIFEST = "manifest.csv"


@dataclasses.dataclass(frozen=True)
class Translation:
    """The result for one image; a row of the manifest.

    `error` is why an unreadable image was skipped, else empty; its width and height are
    then 0.
    """

    input: pathlib.Path
    output: pathlib.Path
    width: int
    height: int
    generator: pathlib.Path
    error: str


def translate(config: TranslateConfig) -> list[Translation]:
    """Translate image files and folders; names and subfolders are kept.

    Each translation has the size of its image. Unreadable images are skipped. The
    manifest in the output folder has a row for each image.

    Returns:
        The result for each image, in natural order within a folder.

    Raises:
        InputError: if there is nothing to translate, no such generator, or a
            translation exists and `overwrite` is not set; with `tile`, if the generator
            cannot be computed in tiles, or the disk has no room for its maps.
    """
    config.check()
    if not config.inputs:
        raise InputError("There is nothing to translate; name image files or folders.")
    generator = choose_generator(config.source, config.direction)
    outputs = _plan(config)
    translate_file = FileTranslator(generator, config.tile, progress=True)
    translations = []
    for output, path in outputs.items():
        width = height = 0
        error = ""
        try:
            height, width = translate_file(path, output)
        except UnreadableImageError as e:
            error = str(e)
        translations.append(
            Translation(path, output, width, height, generator.path, error)
        )
    _write_manifest(config.out / MANIFEST, translations)
    return translations


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
            check_free(output, config.overwrite)
            outputs[output] = path
    return outputs


def _expand(
    given: pathlib.Path, out: pathlib.Path
) -> list[tuple[pathlib.Path, pathlib.Path]]:
    """List the images of a file or folder, with the name of each output."""
    if given.is_dir():
        # The output folder may lie inside the input folder.
        found = [
            path
            for path in find_images(given)
            if out.resolve() not in path.resolve().parents
        ]
        if not found:
            raise InputError(f"There are no images in {given}; name another folder.")
        return [(path, path.relative_to(given)) for path in found]
    if not given.exists():
        raise InputError(f"There is no file or folder {given}; check the name.")
    if given.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"{given} has no image suffix; known are {', '.join(sorted(SUFFIXES))}."
        )
    return [(given, pathlib.Path(given.name))]


def _write_manifest(path: pathlib.Path, translations: list[Translation]) -> None:
    names = [field.name for field in dataclasses.fields(Translation)]
    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(dataclasses.astuple(item) for item in translations)
