"""Stand-ins for TensorFlow Serving, which needs Docker: its two APIs over real sockets.

They run the exported SavedModels by `tf.saved_model.load`. The APIs are those of
prediction_service.proto and model_service.proto (by the official stubs) and of the
page "RESTful API" of TensorFlow Serving's documentation.
"""

import base64
import concurrent.futures
import contextlib
import http.server
import json
import pathlib
import re
import threading

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

_GRPC_CODES = {code.value[0]: code for code in grpc.StatusCode}
_HTTP_CODES = {grpc.StatusCode.NOT_FOUND: 404, grpc.StatusCode.INVALID_ARGUMENT: 400}


class Refusal(Exception):
    """A request that is answered with an error."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Models:
    """The newest version of each model of a `ModelServerConfig`.

    Args:
        config: the message.
        root: the folder that stands for `/models`.
    """

    def __init__(self, config, root):
        self.folders = {}
        for model in config.model_config_list.config:
            path = pathlib.PurePosixPath(model.base_path).relative_to("/models")
            versions = [int(v.name) for v in (root / path).iterdir() if v.is_dir()]
            self.folders[model.name] = root / path / str(max(versions))
        self.loaded = {
            name: tf.saved_model.load(str(folder))
            for name, folder in self.folders.items()
        }

    def find(self, name):
        if name not in self.loaded:
            raise Refusal(
                grpc.StatusCode.NOT_FOUND,
                f"Servable not found for request: Latest({name})",
            )
        return self.loaded[name]

    def predict(self, name, signature_name, inputs):
        """Run a signature on NumPy arrays by name."""
        signatures = self.find(name).signatures
        if signature_name not in signatures:
            raise Refusal(
                grpc.StatusCode.INVALID_ARGUMENT,
                f'Serving signature key "{signature_name}" not found.',
            )
        try:
            return signatures[signature_name](
                **{key: tf.constant(value) for key, value in inputs.items()}
            )
        except tf.errors.OpError as e:
            # TensorFlow in Python puts a heading before what the kernel said.
            message = e.message.rpartition("<stack traces unavailable>\n")[2]
            raise Refusal(_GRPC_CODES[e.error_code], message) from e


class _PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, models):
        self.models = models

    def Predict(self, request, context):
        inputs = {name: tf.make_ndarray(t) for name, t in request.inputs.items()}
        try:
            outputs = self.models.predict(
                request.model_spec.name,
                request.model_spec.signature_name or "serving_default",
                inputs,
            )
        except Refusal as e:
            context.abort(e.code, str(e))
        response = predict_pb2.PredictResponse(model_spec=request.model_spec)
        for name, tensor in outputs.items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(tensor.numpy()))
        return response

    def GetModelMetadata(self, request, context):
        try:
            self.models.find(request.model_spec.name)
        except Refusal as e:
            context.abort(e.code, str(e))
        folder = self.models.folders[request.model_spec.name]
        saved = saved_model_pb2.SavedModel.FromString(
            (folder / "saved_model.pb").read_bytes()
        )
        signatures = get_model_metadata_pb2.SignatureDefMap(
            signature_def=saved.meta_graphs[0].signature_def
        )
        response = get_model_metadata_pb2.GetModelMetadataResponse(
            model_spec=request.model_spec
        )
        response.metadata["signature_def"].Pack(signatures)
        return response


class _ModelService(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, models):
        self.models = models

    def GetModelStatus(self, request, context):
        try:
            return _status(self.models, request.model_spec.name)
        except Refusal as e:
            context.abort(e.code, str(e))


def _status(models, name):
    models.find(name)
    response = get_model_status_pb2.GetModelStatusResponse()
    response.model_version_status.add(
        version=int(models.folders[name].name),
        state=get_model_status_pb2.ModelVersionStatus.AVAILABLE,
    )
    return response


@contextlib.contextmanager
def grpc_endpoint(models):
    """Serve gRPC on this computer; yield the port."""
    server = grpc.server(
        concurrent.futures.ThreadPoolExecutor(2),
        options=[("grpc.max_receive_message_length", -1)],
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        _PredictionService(models), server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(
        _ModelService(models), server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()


@contextlib.contextmanager
def rest_endpoint(models):
    """Serve REST on this computer; yield the port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            name = re.fullmatch(r"/v1/models/([^/:]+)", self.path)
            self._answer(lambda: _status_in_json(models, name[1]))

        def do_POST(self):
            name = re.fullmatch(r"/v1/models/([^/:]+):predict", self.path)
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._answer(lambda: _predict_in_json(models, name[1], body))

        def _answer(self, call):
            try:
                code, answer = 200, call()
            except Refusal as e:
                code, answer = _HTTP_CODES.get(e.code, 500), {"error": str(e)}
            content = json.dumps(answer).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def _status_in_json(models, name):
    (status,) = _status(models, name).model_version_status
    return {
        "model_version_status": [
            {
                "version": str(status.version),
                "state": "AVAILABLE",
                "status": {"error_code": "OK", "error_message": ""},
            }
        ]
    }


def _predict_in_json(models, name, body):
    """The row format, for one input and one output: their names are left out."""
    signature_name = body.get("signature_name", "serving_default")
    signature = models.find(name).signatures[signature_name]
    ((input_name, spec),) = signature.structured_input_signature[1].items()
    values = [
        base64.b64decode(item["b64"]) if isinstance(item, dict) else item
        for item in body["instances"]
    ]
    array = np.array(values, spec.dtype.as_numpy_dtype)
    outputs = models.predict(name, signature_name, {input_name: array})
    ((output_name, tensor),) = outputs.items()
    if output_name.endswith("_bytes"):
        items = [{"b64": base64.b64encode(item).decode()} for item in tensor.numpy()]
    else:
        items = tensor.numpy().tolist()
    return {"predictions": items}
