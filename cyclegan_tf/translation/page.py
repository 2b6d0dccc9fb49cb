"""A page on this computer that translates photos, by Gradio (the extra `demo`).

For many users and other programs, TensorFlow Serving is the server: see
`export/serving`.
"""

import dataclasses
import json
import logging
import os
import pathlib
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

import tensorflow as tf

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf._shared.extras import require_package
from cyclegan_tf.images import Image, UnreadableImageError, read_image
from cyclegan_tf.pretrained.keras3 import check_image_channels
from cyclegan_tf.runs.run import Run
from cyclegan_tf.translation.options import ServeConfig
from cyclegan_tf.translation.translator import Translator

if TYPE_CHECKING:
    import gradio

_LOG = logging.getLogger(__name__)


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


def serve(config: ServeConfig) -> None:
    """Serve a page that translates photos, until it is interrupted.

    Nothing is loaded from, or reported to, other computers. What users upload, files
    of at most 100 MB, is deleted after an hour, and when the server stops.

    Args:
        config: what to serve, and where.

    Raises:
        InputError: if there is no generator, Gradio is not installed, or the port is
            taken.
    """
    config.check()
    require_gradio()
    _check_port(config.host, config.port)
    page = build_page(config.source.resolve().name, load_generators(config.source))
    _, address, _ = page.launch(
        server_name=config.host,
        server_port=config.port,
        prevent_thread_lock=True,
        show_error=True,
        quiet=True,
        footer_links=[],
        max_file_size="100mb",
        # All of these may reach for other computers.
        share=False,
        run_history=False,
        mcp_server=False,
        ssr_mode=False,
        pwa=False,
    )
    _LOG.info("Serving %s at %s; stop with Ctrl-C", config.source, address)
    page.block_thread()


def require_gradio() -> None:
    """Check that Gradio is there, before any work is done.

    Raises:
        InputError: if it is not installed.
    """
    require_package("gradio", "Gradio", "makes the page", "demo")


def _check_port(host: str, port: int) -> None:
    """Say so at once if the port is taken, not when all is loaded."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host.strip("[]"), port), family=family).close()
    except OSError as e:
        raise InputError(
            f"Port {port} of {host} cannot be used ({e}); choose another --port."
        ) from e


def build_page(name: str, generators: list[ServedGenerator]) -> "gradio.blocks.Blocks":
    """Make the page: a photo goes in, each generator shows its translation.

    Args:
        name: the page's heading.
        generators: at least one.

    Returns:
        A `gradio.Blocks`, not yet launched.
    """
    # Read when Gradio is imported, and by the library that it fetches models with.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    import gradio

    with gradio.Blocks(
        analytics_enabled=False, title=f"CycleGAN: {name}", delete_cache=(600, 3600)
    ) as page:
        gradio.Markdown(f"# {name}")
        with gradio.Row():
            # As a file, untouched: it is read as `cyclegan translate` reads it.
            photo = gradio.Image(
                label="Photo",
                type="filepath",
                image_mode=None,
                sources=["upload", "webcam", "clipboard"],
                buttons=["fullscreen"],
                elem_id="photo",
            )
            translations = [
                gradio.Image(
                    label=generator.title,
                    format="png",
                    interactive=False,
                    buttons=["download", "fullscreen"],
                    elem_id=f"translation_{i}",
                )
                for i, generator in enumerate(generators)
            ]
        # Gradio would decode an upload itself, and fail with a paragraph. It would
        # also take the path of any file of this computer from a program.
        uploads = pathlib.Path(photo.GRADIO_CACHE).resolve()
        photo.preprocess = lambda payload: _uploaded_file(payload, uploads)  # type: ignore[method-assign]

        def translate_upload(path: str | None) -> dict[object, Image | None]:
            try:
                return {
                    shown: _translate_file(path, generator) if path else None
                    for shown, generator in zip(translations, generators)
                }
            except UnreadableImageError as e:
                raise gradio.Error(
                    "The file cannot be read as an image; choose another one, such as "
                    "a JPEG or PNG file.",
                    print_exception=False,
                ) from e

        photo.change(translate_upload, photo, translations, api_name="translate")
    return page


def _uploaded_file(
    payload: "gradio.data_classes.ImageData | None", uploads: pathlib.Path
) -> str | None:
    if payload is None:
        return None
    path = pathlib.Path(payload.path or "").resolve()
    if uploads not in path.parents:
        raise InputError("Only a file that was uploaded here can be translated.")
    return str(path)


def _translate_file(path: str, generator: ServedGenerator) -> Image:
    # By its bytes, so that a message does not name a temporary file.
    image = read_image(pathlib.Path(path).read_bytes(), generator.channels)
    translated = generator.translate(image)
    return translated[..., 0] if translated.shape[-1] == 1 else translated


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
