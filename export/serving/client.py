"""Translate a photo by a generator that TensorFlow Serving serves.

    python client.py photo.jpg --model horse2zebra_g --protocol grpc --out zebra.png

Over REST it needs the standard library alone, over gRPC the packages in
requirements.txt. Both use the signature `image_bytes`: a JPEG or PNG file of any size
goes there, a PNG file of the same size comes back.
"""

import argparse
import base64
import http.client
import json
import os
import pathlib
import sys
import urllib.error
import urllib.parse
import urllib.request

SIGNATURE = "image_bytes"
INPUT = "image_bytes"
OUTPUT = "translated_bytes"
PORTS = {"grpc": 8500, "rest": 8501}


class ServingError(Exception):
    """What the server answered instead of a translation."""


def translate_over_grpc(
    photo: bytes, model: str, host: str, port: int, timeout: float
) -> bytes:
    """Send a photo over gRPC.

    Args:
        photo: a JPEG or PNG file.
        model: the name that the server knows the generator by.
        host: name or address of the server.
        port: its gRPC port.
        timeout: seconds to wait.

    Returns:
        The translation, a PNG file.

    Raises:
        ServingError: if the server cannot be reached, or refuses.
    """
    # TensorFlow, whose messages these contain, takes seconds to import.
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = SIGNATURE
    request.inputs[INPUT].CopyFrom(tf.make_tensor_proto([photo]))
    # The limit of 4 MB for an answer is less than what a large photo needs.
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
    """Send a photo over REST; the same as `translate_over_grpc`."""
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
    """What happened; TensorFlow says on further lines in which node."""
    return message.strip().partition("\n")[0]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: defaults to those of the process.

    Returns:
        The exit code: 0, or 2 if a file or the server is not as it must be.
    """
    options = _parser().parse_args(arguments)
    port = options.port or PORTS[options.protocol]
    translate = {"grpc": translate_over_grpc, "rest": translate_over_rest}
    try:
        photo = options.photo.read_bytes()
        translated = translate[options.protocol](
            photo, options.model, options.host, port, options.timeout
        )
        _write(options.out, translated)
    except ImportError as e:
        return _fail(
            f"{e.name} is not installed; pip install -r requirements.txt, or use "
            "--protocol rest."
        )
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
    parser.add_argument("photo", type=pathlib.Path, help="a JPEG or PNG file")
    parser.add_argument("--model", default="horse2zebra_g", help="name of the model")
    parser.add_argument("--protocol", choices=sorted(PORTS), default="grpc", help="how")
    parser.add_argument("--host", default="127.0.0.1", help="where the server is")
    parser.add_argument("--port", type=int, help="8500 for grpc, 8501 for rest")
    parser.add_argument(
        "--out", type=pathlib.Path, default="translated.png", help="a PNG file"
    )
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds to wait")
    return parser


def _write(path: pathlib.Path, content: bytes) -> None:
    """Write a file that is never seen half-written."""
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _fail(message: str) -> int:
    print(f"client.py: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
