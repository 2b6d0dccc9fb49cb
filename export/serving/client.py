"""Translate a photo by a generator that TensorFlow Serving serves.

    python client.py photo.jpg --model horse2zebra_g --protocol grpc --out zebra.png

Over REST it needs Pillow, over gRPC all packages in requirements.txt. Both use the
signature `image_bytes`, from a JPEG or PNG file of any size to a PNG file of the same
size. The server takes photos as they are, so they are turned upright by their EXIF
orientation and scaled down to what the generator knows before they are sent. Files of
other formats are sent as PNG.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import io
import json
import math
import os
import pathlib
import sys
import typing
import urllib.error
import urllib.parse
import urllib.request
import warnings

if typing.TYPE_CHECKING:
    import PIL.Image

SIGNATURE = "image_bytes"
INPUT = "image_bytes"
OUTPUT = "translated_bytes"
PORTS = {"grpc": 8500, "rest": 8501}

# What is given to Pillow. It knows more, such as EPS, which it hands to other programs.
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM", "JPEG2000")
_FORMATS_OF_THE_SERVER = ("JPEG", "PNG")

# The limits of `cyclegan translate`: the server refuses more pixels than the first;
# the second bounds what is decoded here. A PNG of ten kilobytes can claim far more.
_MAX_PIXELS = 4096 * 4096
_MAX_PIXELS_TO_SHRINK = 2**27

_ORIENTATION_TAG = 0x0112


class PhotoError(Exception):
    """Why the photo cannot be sent: what follows its name in a sentence."""


class ServingError(Exception):
    """The server's answer if it is not a translation."""


def read_photo(path: pathlib.Path, size: int | None) -> tuple[bytes, str]:
    """Read a photo, turn it upright by its EXIF orientation, and scale it down.

    Args:
        path: an image file.
        size: the most pixels of the shorter side; `None` keeps the size.

    Returns:
        The file as it is if nothing is to be done, else a PNG file; and how it was
        scaled, empty if it was not.

    Raises:
        PhotoError: if it is not an image, is damaged, has more pixels than can be
            translated, or other numbers than 8 or 16 bits.
    """
    import PIL.Image

    # Pillow warns below the limits that count here.
    warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)
    content = path.read_bytes()
    try:
        with PIL.Image.open(io.BytesIO(content), formats=_FORMATS) as photo:
            _check_pixels(photo.size, size)
            photo.load()
            _check_numbers(photo)
            turn = _turn(photo)
            is_ready = turn is None and _shrunk(photo.size, size) == photo.size
            if is_ready and photo.format in _FORMATS_OF_THE_SERVER:
                return content, ""
            ready = photo if turn is None else photo.transpose(turn)
            if ready.mode.startswith("I"):  # 16 bits: convert() would clip them
                ready = ready.convert("I").point(lambda level: level * (1 / 257) + 0.5)
                ready = ready.convert("L")
            ready = ready.convert("RGB")
            (width, height), sides = ready.size, _shrunk(ready.size, size)
            scaled = ""
            if sides != ready.size:
                ready = ready.resize(sides, PIL.Image.Resampling.BICUBIC)
                scaled = f"Scaled {width}x{height} down to {sides[0]}x{sides[1]} pixels"
            file = io.BytesIO()
            ready.save(file, "PNG")
            return file.getvalue(), scaled
    except PhotoError:
        raise
    except Exception as e:  # strangers' files make Pillow raise nearly anything
        reason = _first_line(str(e)) or type(e).__name__
        raise PhotoError(f"cannot be read as an image ({reason})") from e


def _shrunk(sides: tuple[int, int], size: int | None) -> tuple[int, int]:
    """Return the sides of a photo whose shorter side has at most `size` pixels."""
    shorter = min(sides)
    if size is None or shorter <= size:
        return sides
    return round(sides[0] * size / shorter), round(sides[1] * size / shorter)


def _check_pixels(sides: tuple[int, int], size: int | None) -> None:
    """Refuse by the header, before anything is decoded."""
    pixels = math.prod(sides)
    limit = _MAX_PIXELS if size is None else _MAX_PIXELS_TO_SHRINK
    if pixels > limit or math.prod(_shrunk(sides, size)) > _MAX_PIXELS:
        raise PhotoError(
            f"has {pixels / 1e6:.1f} megapixels, more than can be translated; make it "
            "smaller, or give a smaller --size"
        )


def _check_numbers(photo: PIL.Image.Image) -> None:
    # Pillow scales the whole numbers of a PPM to 16 bits.
    if photo.mode == "F" or (photo.mode == "I" and photo.format != "PPM"):
        low, high = photo.getextrema()
        kind = "floating-point" if photo.mode == "F" else "32-bit"
        raise PhotoError(
            f"has {kind} numbers from {low:g} to {high:g}, and nothing says which are "
            "black and white; convert it to 8 or 16 bits"
        )


def _turn(photo: PIL.Image.Image) -> PIL.Image.Transpose | None:
    """Return what turns a photo upright; damaged EXIF data count as upright."""
    from PIL.Image import Transpose

    try:
        orientation = int(photo.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:
        return None
    return {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }.get(orientation)


def translate_over_grpc(
    photo: bytes, model: str, host: str, port: int, timeout: float
) -> bytes:
    """Send a photo over gRPC.

    Args:
        photo: an upright JPEG or PNG file.
        model: the generator's name on the server.
        host: name or address of the server.
        port: its gRPC port.
        timeout: seconds to wait.

    Returns:
        The translation, a PNG file.

    Raises:
        ServingError: if the server cannot be reached, or refuses.
    """
    # Here, because they bring TensorFlow, which takes seconds to import, and which
    # would tell of GPUs that a client does not need.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = SIGNATURE
    request.inputs[INPUT].CopyFrom(tf.make_tensor_proto([photo]))
    # The default limit of an answer, 4 MB, is too small for a large photo.
    unlimited = [("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(f"{host}:{port}", unlimited) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        try:
            response = stub.Predict(request, timeout)
        except grpc.RpcError as e:
            raise ServingError(f"{e.code().name}: {_first_line(e.details())}") from e
    return response.outputs[OUTPUT].string_val[0]


def translate_over_rest(
    photo: bytes, model: str, host: str, port: int, timeout: float
) -> bytes:
    """Send a photo over REST; otherwise like `translate_over_grpc`."""
    file = {"b64": base64.b64encode(photo).decode()}
    body = {"signature_name": SIGNATURE, "instances": [file]}
    request = urllib.request.Request(
        f"http://{host}:{port}/v1/models/{urllib.parse.quote(model, safe='')}:predict",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            (prediction,) = json.load(response)["predictions"]
        return base64.b64decode(prediction["b64"])
    except urllib.error.HTTPError as e:
        message = _first_line(_error_in(e.read()))
        raise ServingError(f"{e.code} {e.reason}: {message}") from e
    except OSError as e:
        raise ServingError(str(getattr(e, "reason", e))) from e
    except (http.client.HTTPException, ValueError, KeyError, TypeError) as e:
        raise ServingError(f"the answer is not TensorFlow Serving's ({e})") from e


def _error_in(answer: bytes) -> str:
    try:
        return json.loads(answer)["error"]
    except (ValueError, KeyError, TypeError):
        return answer.decode(errors="replace")


def _first_line(message: str) -> str:
    """Return what happened; on further lines TensorFlow names the node."""
    return message.strip().partition("\n")[0]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: defaults to those of the process.

    Returns:
        The exit code: 0, or 2 if a file is wrong or the server does not translate it.
    """
    options = _parser().parse_args(arguments)
    port = options.port or PORTS[options.protocol]
    translate = {"grpc": translate_over_grpc, "rest": translate_over_rest}
    try:
        photo, scaled = read_photo(options.photo, options.size)
        if scaled:
            print(f"{scaled}; --size full keeps every size.")
        translated = translate[options.protocol](
            photo, options.model, options.host, port, options.timeout
        )
        _write(options.out, translated)
    except ImportError as e:
        return _fail(f"{e.name} is not installed; pip install -r requirements.txt.")
    except PhotoError as e:
        return _fail(f"{options.photo} {e}.")
    except OSError as e:
        return _fail(f"A file cannot be read or written ({e}); check its name.")
    except ServingError as e:
        return _fail(
            f"{options.host}:{port} did not translate {options.photo} ({e}); check the "
            f"photo, the server, and that it serves {options.model}."
        )
    print(f"Translated: {options.out}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Translate a photo by TensorFlow Serving.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("photo", type=pathlib.Path, help="an image file")
    parser.add_argument("--model", default="horse2zebra_g", help="name of the model")
    parser.add_argument("--protocol", choices=sorted(PORTS), default="grpc", help="how")
    parser.add_argument("--host", default="127.0.0.1", help="where the server is")
    parser.add_argument("--port", type=int, help="8500 for grpc, 8501 for rest")
    parser.add_argument(
        "--out", type=pathlib.Path, default="translated.png", help="a PNG file"
    )
    parser.add_argument(
        "--size",
        type=_size,
        default=512,
        help="the most pixels of the shorter side, or full; twice the training_size in "
        "MODEL.json is a good size",
    )
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds to wait")
    return parser


def _size(text: str) -> int | None:
    if text == "full":
        return None
    size = int(text)
    if size < 1:
        raise ValueError
    return size


def _write(path: pathlib.Path, content: bytes) -> None:
    """Write a file that is never seen half-written."""
    # Of a fixed length: the name itself may be as long as the file system permits.
    temporary = path.parent / f".{os.getpid()}.part"
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _fail(message: str) -> int:
    print(f"client.py: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    # Names of files need not be UTF-8.
    sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(main())
