"""Translate image files with a generator."""

import dataclasses
import logging
import pathlib
from collections.abc import Mapping, Sequence

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf._shared.files import check_free, identity, locked, remove_leftovers
from cyclegan_tf._shared.machine import hardware
from cyclegan_tf.images.folders import find_images
from cyclegan_tf.images.reading import SUFFIXES
from cyclegan_tf.pretrained.find import StoredGenerator, choose_generator
from cyclegan_tf.translation.files import FileTranslator
from cyclegan_tf.translation.manifest import Manifest, Translation
from cyclegan_tf.translation.options import TranslateConfig
from cyclegan_tf.translation.scaling import SizeLimit

_LOG = logging.getLogger(__name__)

MANIFEST = "manifest.csv"


def translate(config: TranslateConfig) -> list[Translation]:
    """Translate image files and folders; names and subfolders are kept.

    Images above `config.size` are scaled down, which the log says; other translations
    have the size of their images. Images that are unreadable or too large, or whose
    name no file can have, are skipped. The manifest in the output folder has a row for
    each image. A repeated call goes on where the manifest ends.

    Returns:
        The result for each image, in natural order within a folder.

    Raises:
        InputError: if there is nothing to translate, no such generator, another process
            translates into the folder, or another file is in the place of a translation
            and `overwrite` is not set; if one would replace an image to translate; with
            `tile`, if the generator cannot be computed in tiles.
        KeyboardInterrupt: if it is interrupted; a repeated call goes on.
    """
    config.check()
    if not config.inputs:
        raise InputError("There is nothing to translate; name image files or folders.")
    generator = choose_generator(config.source, config.direction)
    limit = SizeLimit.of(config.size, generator.training_size)
    planned = _plan(config, generator, str(limit))
    manifest = Manifest(config.out / MANIFEST, start_anew=config.overwrite)
    _check_outputs(planned, manifest, config.overwrite)
    translate_file = FileTranslator(generator, config.size, config.tile, progress=True)
    config.out.mkdir(parents=True, exist_ok=True)
    with locked(config.out, "translating", "out"):
        _LOG.info("Translating on %s in float32.", hardware())
        try:
            translations = _translate_all(planned, translate_file, config)
        except KeyboardInterrupt:
            again = "the same command" + " without `overwrite`" * config.overwrite
            raise KeyboardInterrupt(f"interrupted; {again} goes on") from None
    if scaled := sum(bool(item.scaled_from) for item in translations):
        _LOG.info("%s", limit.describe(scaled))
    return translations


def _translate_all(
    planned: Sequence[Translation],
    translate_file: FileTranslator,
    config: TranslateConfig,
) -> list[Translation]:
    # Another process may have translated in the meantime.
    manifest = Manifest(config.out / MANIFEST, start_anew=config.overwrite)
    _remove_leftovers(config.out, planned)
    translations = [manifest.resumed(item) for item in planned]
    manifest.write(translations)
    written: dict[tuple[int, int] | None, pathlib.Path] = {}
    for i, item in enumerate(translations):
        if not item.is_finished:
            translations[i] = _translate(item, translate_file, written)
            manifest.add(translations[i])
        if not translations[i].error:
            written[identity(item.output)] = item.input
    manifest.write(translations)
    return translations


def _remove_leftovers(out: pathlib.Path, planned: Sequence[Translation]) -> None:
    """Remove the half-written files of this job, if it was killed before."""
    outputs = [out / MANIFEST, *(item.output for item in planned)]
    folders = {path.parent for path in outputs}
    remove_leftovers(*folders, of=[path.name for path in outputs])


def _translate(
    planned: Translation,
    translate_file: FileTranslator,
    written: Mapping[tuple[int, int] | None, pathlib.Path],
) -> Translation:
    try:
        _check_not_written(planned, written)
        file = translate_file(planned.input, planned.output)
    except InputError as e:
        return dataclasses.replace(planned, error=str(e))
    return dataclasses.replace(
        planned,
        width=file.width,
        height=file.height,
        scaled_from=file.scaled_from,
    )


def _check_not_written(
    planned: Translation, written: Mapping[tuple[int, int] | None, pathlib.Path]
) -> None:
    """Check that two names are not one, as in a folder that ignores their case."""
    if other := written.get(identity(planned.output)):
        raise InputError(
            f"The translations of {other} and {planned.input} have one name in "
            f"{planned.output.parent}; translate them into different folders."
        )


def _plan(
    config: TranslateConfig, generator: StoredGenerator, size: str
) -> list[Translation]:
    """List what is to be translated, each output once."""
    inputs: dict[pathlib.Path, pathlib.Path] = {}
    for given in config.inputs:
        for path, name in _expand(given, config.out):
            output = config.out / name
            other = inputs.setdefault(output, path)
            if other.resolve() != path.resolve():
                raise InputError(
                    f"{other} and {path} would both become {output}; translate them "
                    "into different folders."
                )
    translates = generator.translates or ""
    return [
        Translation(path, output, generator.path, size, translates=translates)
        for output, path in inputs.items()
    ]


def _check_outputs(
    planned: Sequence[Translation], manifest: Manifest, overwrite: bool
) -> None:
    """Check that no image to translate is replaced, and other files only on request."""
    inputs = {identity(item.input): item.input for item in planned}
    for item in planned:
        if (file := identity(item.output)) and file in inputs:
            raise InputError(
                f"The translation of {item.input} would replace {inputs[file]}, which "
                "is to be translated itself; choose another `out`."
            )
        if not manifest.has(item):
            check_free(item.output, overwrite)


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
