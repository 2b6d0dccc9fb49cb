"""A local Gradio page that translates photos (the extra `demo`).

For many users or other programs, use TensorFlow Serving: see `export/serving`.
"""

import logging
import os
import pathlib
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf._shared.extras import require_package
from cyclegan_tf.config.directions import DIRECTIONS
from cyclegan_tf.images import (
    MAX_PIXELS,
    Image,
    TooLargeImageError,
    UnreadableImageError,
    read_image,
)
from cyclegan_tf.pretrained.find import StoredGenerator, find_generators
from cyclegan_tf.translation.exported import ExportedTranslator, load_translator
from cyclegan_tf.translation.options import ServeConfig
from cyclegan_tf.translation.translator import Translator

if TYPE_CHECKING:
    import gradio

_LOG = logging.getLogger(__name__)


def serve(config: ServeConfig) -> None:
    """Serve a page that translates photos, until it is interrupted.

    The page contacts no other computers. Uploads, of at most 100 MB, are deleted after
    an hour and when the server stops.

    Raises:
        InputError: if there is no generator, Gradio is not installed, or the port is
            taken.
    """
    config.check()
    require_gradio()
    generators = find_generators(config.source)
    _check_port(config.host, config.port)
    page = build_page(
        config.source.resolve().name,
        {_title(generator): load_translator(generator) for generator in generators},
    )
    _, address, _ = page.launch(
        server_name=config.host,
        server_port=config.port,
        prevent_thread_lock=True,
        show_error=True,
        quiet=True,
        footer_links=[],
        max_file_size="100mb",
        # Each of these may contact other computers.
        share=False,
        run_history=False,
        mcp_server=False,
        ssr_mode=False,
        pwa=False,
    )
    _LOG.info("Serving %s at %s; stop with Ctrl-C", config.source, address)
    page.block_thread()


def require_gradio() -> None:
    """Check that Gradio is installed, before any work is done.

    Raises:
        InputError: if it is not.
    """
    require_package("gradio", "Gradio", "makes the page", "demo")


def _check_port(host: str, port: int) -> None:
    """Report a taken port before the generators are loaded."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host.strip("[]"), port), family=family).close()
    except OSError as e:
        raise InputError(
            f"Port {port} of {host} cannot be used ({e}); choose another `port`."
        ) from e


def _title(generator: StoredGenerator) -> str:
    direction = generator.direction
    return DIRECTIONS[direction].title if direction else "Translation"


def build_page(
    name: str, translators: Mapping[str, Translator | ExportedTranslator]
) -> "gradio.blocks.Blocks":
    """Build a page that shows the translation of a photo by each generator.

    Args:
        name: the heading of the page.
        translators: at least one, by title.

    Returns:
        A `gradio.Blocks`, not yet launched.
    """
    # Gradio and its library for model downloads read these when imported.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    import gradio

    with gradio.Blocks(
        analytics_enabled=False, title=f"CycleGAN: {name}", delete_cache=(600, 3600)
    ) as page:
        gradio.Markdown(f"# {name}")
        with gradio.Row():
            # As a file, so that it is read as `cyclegan translate` reads it.
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
                    label=title,
                    format="png",
                    interactive=False,
                    buttons=["download", "fullscreen"],
                    elem_id=f"translation_{i}",
                )
                for i, title in enumerate(translators)
            ]
        # Gradio itself would decode an upload, with a long message on failure, and
        # would accept the path of any file on this machine from a program.
        uploads = pathlib.Path(photo.GRADIO_CACHE).resolve()
        photo.preprocess = lambda payload: _uploaded_file(payload, uploads)  # type: ignore[method-assign]

        def translate_upload(path: str | None) -> dict[object, Image | None]:
            try:
                return {
                    shown: _translate_file(path, translator) if path else None
                    for shown, translator in zip(translations, translators.values())
                }
            except TooLargeImageError as e:
                raise gradio.Error(
                    f"The photo has more than {MAX_PIXELS / 1e6:.1f} megapixels; "
                    "choose a smaller one.",
                    print_exception=False,
                ) from e
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


def _translate_file(path: str, translator: Translator | ExportedTranslator) -> Image:
    # Read bytes, so that a message does not name the temporary file.
    image = read_image(pathlib.Path(path).read_bytes(), translator.channels)
    translated = translator(image)
    return translated[..., 0] if translated.shape[-1] == 1 else translated
