"""A local Gradio page that translates photos (the extra `demo`).

For many users or other programs, use TensorFlow Serving: see `export/serving`.
"""

import dataclasses
import logging
import os
import pathlib
import socket
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf._shared.extras import require_package
from cyclegan_tf._shared.machine import hardware
from cyclegan_tf._shared.signals import interrupted_by_sigterm
from cyclegan_tf.images.pixels import Image, in_channels
from cyclegan_tf.images.reading import (
    TooLargeImageError,
    UnknownRangeError,
    UnreadableImageError,
    read_shrunk,
)
from cyclegan_tf.photographs import CREDITS, PHOTOGRAPHS
from cyclegan_tf.pretrained.find import StoredGenerator, find_generators
from cyclegan_tf.pretrained.zoo import PREFIX
from cyclegan_tf.translation.exported import ExportedTranslator, load_translator
from cyclegan_tf.translation.options import ServeConfig
from cyclegan_tf.translation.scaling import SizeLimit
from cyclegan_tf.translation.translator import Translator
from cyclegan_tf.translation.uploads import private_uploads

if TYPE_CHECKING:
    import gradio

_LOG = logging.getLogger(__name__)

# Multiples of the default size limit of `cyclegan translate`; `None` means no limit.
_SIZES: dict[str, int | None] = {"As trained": 1, "Larger": 2, "Full": None}

_TOO_LARGE = (TooLargeImageError, MemoryError, tf.errors.ResourceExhaustedError)


def serve(config: ServeConfig) -> None:
    """Serve a page that translates photos, until it is interrupted.

    The page contacts no other computers. Uploads, of at most 100 MB, go to a private
    folder, and are deleted after an hour and when the server stops. Requests from pages
    of other websites are refused.

    Raises:
        InputError: if there is no generator, Gradio is not installed, or the port is
            taken.
    """
    config.check()
    require_gradio()
    # Starlette comes with Gradio.
    from starlette.middleware import Middleware

    from cyclegan_tf.translation.own_pages import OwnPagesOnly

    generators = find_generators(config.source)
    _check_port(config.host, config.port)
    name = config.source.resolve().name.removeprefix(PREFIX).removesuffix(".keras")
    with interrupted_by_sigterm(), private_uploads():
        page = build_page(name, generators)
        _, address, _ = page.launch(
            server_name=config.host,
            server_port=config.port,
            prevent_thread_lock=True,
            # Only of `gradio.Error`; others may name files of this computer.
            show_error=False,
            quiet=True,
            footer_links=[],
            max_file_size="100mb",
            app_kwargs={"middleware": [Middleware(OwnPagesOnly, host=config.host)]},
            # Each of these may contact other computers.
            share=False,
            run_history=False,
            mcp_server=False,
            ssr_mode=False,
            pwa=False,
        )
        _LOG.info("Translating on %s in float32.", hardware())
        if any(generator.training_size is None for generator in generators):
            limit = SizeLimit.of("trained", None)
            _LOG.info(
                "A photo's shorter side has at most %s pixels, %s.", limit, limit.reason
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
            f"Port {port} of {host} cannot be used ({e}); choose another `port` or "
            "`host`."
        ) from e


def build_page(
    name: str, generators: Sequence[StoredGenerator]
) -> "gradio.blocks.Blocks":
    """Build a page that shows a photo before and after its translation.

    Args:
        name: the heading of the page.
        generators: at least one.

    Returns:
        A `gradio.Blocks`, not yet launched.

    Raises:
        InputError: if a generator cannot be loaded.
    """
    # Gradio and its library for model downloads read these when imported.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    import gradio

    served = {generator.title: _Served.load(generator) for generator in generators}

    def translate_upload(
        path: str | None, title: str, size: str
    ) -> tuple[tuple[Image, Image] | None, str]:
        return _translate_upload(served[title], path, size)

    with gradio.Blocks(
        analytics_enabled=False, title=f"CycleGAN: {name}", delete_cache=(600, 3600)
    ) as page:
        gradio.Markdown(f"# {name}\nChoose a photo of yours, or a sample.")
        with gradio.Row():
            with gradio.Column():
                inputs = _inputs(list(served))
            with gradio.Column():
                outputs = _outputs()
        gradio.Markdown(f"Samples: {CREDITS}.")
        gradio.on(
            [component.change for component in inputs],
            translate_upload,
            inputs,
            outputs,
            api_name="translate",
        )
    return page


def _inputs(titles: list[str]) -> list[Any]:
    """Add what a visitor chooses: the photo, the direction and the size."""
    import gradio

    # As a file, so that it is read as `cyclegan translate` reads it.
    photo = gradio.Image(
        label="Photo",
        type="filepath",
        image_mode=None,
        sources=["upload", "webcam", "clipboard"],
        buttons=["fullscreen"],
        height=320,
        elem_id="photo",
    )
    # Gradio itself would decode an upload, with a long message on failure, and would
    # accept the path of any file on this machine from a program.
    uploads = pathlib.Path(photo.GRADIO_CACHE).resolve()
    photo.preprocess = lambda payload: _uploaded_file(payload, uploads)  # type: ignore[method-assign]
    gradio.Examples(
        list(map(str, PHOTOGRAPHS)), photo, label="Samples", elem_id="samples"
    )
    direction = gradio.Radio(
        titles,
        value=titles[0],
        label="Direction",
        visible=len(titles) > 1,
        elem_id="direction",
    )
    sizes = list(_SIZES)
    size = gradio.Radio(sizes, value=sizes[0], label="Size", elem_id="size")
    return [photo, direction, size]


def _outputs() -> list[Any]:
    """Add what a visitor gets: the photo before and after, and a note."""
    import gradio

    slider = gradio.ImageSlider(
        label="Before and after",
        format="png",
        interactive=False,
        buttons=["download", "fullscreen"],
        elem_id="translation",
    )
    return [slider, gradio.Markdown(elem_id="note")]


def _translate_upload(
    served: "_Served", path: str | None, size: str
) -> tuple[tuple[Image, Image] | None, str]:
    """Translate an upload, if there is one; say in a sentence why not."""
    import gradio

    if path is None:
        return None, ""
    try:
        # Bytes, so that a message does not name the temporary file.
        return served.translate(pathlib.Path(path).read_bytes(), size)
    except (*_TOO_LARGE, FileNotFoundError, InputError) as e:
        raise gradio.Error(_in_words(e), print_exception=False) from e


def _in_words(error: Exception) -> str:
    """Tell a visitor why a photo is not translated, without the names of files."""
    if isinstance(error, FileNotFoundError):  # deleted an hour after the upload
        return "The photo is no longer on the server; choose it again."
    if isinstance(error, _TOO_LARGE):
        return (
            "The photo has too many pixels for this size; choose another size, or a "
            "smaller photo."
        )
    if isinstance(error, UnknownRangeError):
        return f"The photo cannot be read: {error}"
    if isinstance(error, UnreadableImageError):
        return (
            "The file cannot be read as an image; choose another one, such as a JPEG "
            "or PNG file."
        )
    return f"The photo cannot be translated: {error}"


def _uploaded_file(
    payload: "gradio.data_classes.ImageData | None", uploads: pathlib.Path
) -> str | None:
    if payload is None:
        return None
    path = pathlib.Path(payload.path or "").resolve()
    if uploads not in path.parents:
        raise InputError("Only a file that was uploaded here can be translated.")
    return str(path)


@dataclasses.dataclass(frozen=True)
class _Served:
    """A generator on the page, and its training size in pixels."""

    translator: Translator | ExportedTranslator
    training_size: int | None

    @classmethod
    def load(cls, generator: StoredGenerator) -> "_Served":
        translator = load_translator(generator)
        # The first image takes seconds longer, which no visitor should wait for.
        translator(np.zeros((64, 64, translator.channels), np.uint8))
        return cls(translator, generator.training_size)

    def translate(self, file: bytes, size: str) -> tuple[tuple[Image, Image], str]:
        """Return the photo before and after, in color, and a note for the visitor."""
        side = SizeLimit.of("trained", self.training_size).side
        factor = _SIZES[size]
        limit = factor * side if factor and side else None
        before, in_file = read_shrunk(
            file, self.translator.channels, limit, self.translator.bytes_per_pixel
        )
        start = time.perf_counter()
        after = self.translator(before)
        seconds = time.perf_counter() - start
        height, width, _ = before.shape
        note = f"{width} x {height} pixels in {seconds:.1f} s"
        if before.shape[:2] != in_file:
            note += f", scaled down from {in_file[1]} x {in_file[0]}"
        return (in_channels(before, 3), in_channels(after, 3)), f"{note}."
