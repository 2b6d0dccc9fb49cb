"""export/serving: its configuration, and its client against both APIs."""

import importlib.util
import io
import os
import pathlib
import subprocess
import sys

import exported
import grpc
import numpy as np
import PIL.Image
import PIL.ImageFile
import pytest
import serving_endpoints
import tensorflow as tf
import yaml
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
)
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)
from tensorflow_serving.config import model_server_config_pb2

from cyclegan_tf.export.savedmodel import write_saved_model
from cyclegan_tf.images import read_image, resize_image
from cyclegan_tf.images.pixels import shrink_image
from cyclegan_tf.translation.inference import inference_model
from cyclegan_tf.translation.translator import Translator

SERVING = pathlib.Path(__file__).parents[2] / "export/serving"
CLIENT = SERVING / "client.py"
NAMES = ("horse2zebra_g", "horse2zebra_f")


def load_client():
    spec = importlib.util.spec_from_file_location("client", CLIENT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


client = load_client()


@pytest.fixture(scope="module")
def generators():
    return {name: exported.two_layer_generator() for name in NAMES}


@pytest.fixture(scope="module")
def models(generators, tmp_path_factory):
    """Both generators, exported and found by way of models.config."""
    root = tmp_path_factory.mktemp("exported")
    for name, generator in generators.items():
        write_saved_model(root / name / "1", inference_model(generator))
    return serving_endpoints.Models(models_config(), root)


@pytest.fixture(scope="module")
def ports(models):
    with (
        serving_endpoints.grpc_endpoint(models) as grpc_port,
        serving_endpoints.rest_endpoint(models) as rest_port,
    ):
        yield {"grpc": grpc_port, "rest": rest_port}


def models_config():
    message = model_server_config_pb2.ModelServerConfig()
    return text_format.Parse((SERVING / "models.config").read_text(), message)


def run(ports, protocol, *arguments):
    port = ("--protocol", protocol, "--port", ports[protocol])
    return client.main([str(argument) for argument in (*arguments, *port)])


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
@pytest.mark.parametrize("name", NAMES)
def test_the_client_translates_as_the_translator(
    ports, generators, tmp_path, capsys, protocol, name
):
    # Not a size that the generator takes: the server pads and cuts.
    photo = exported.photo(31, 45, 3)
    (tmp_path / "photo.png").write_bytes(exported.encode(photo))
    out = tmp_path / "out.png"
    code = run(ports, protocol, tmp_path / "photo.png", "--model", name, "--out", out)
    assert code == 0 and "Translated: " in capsys.readouterr().out
    expected = Translator(generators[name])(photo).astype(int)
    # A rounding may fall to the other side of a half.
    assert np.abs(read_image(out) - expected).max() <= 1


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_refusals_are_one_sentence(ports, tmp_path, capsys, protocol):
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "photo.png").write_bytes(exported.encode(exported.photo(9, 9, 3)))

    def fails(*arguments):
        assert run(ports, protocol, *arguments, "--out", tmp_path / "out.png") == 2
        assert not list(tmp_path.glob("*out*"))
        message = capsys.readouterr().err
        assert message.startswith("client.py: ") and message.count("\n") == 1
        return message

    assert "text.jpg cannot be read as an image" in fails(tmp_path / "text.jpg")
    unknown = fails(tmp_path / "photo.png", "--model", "horse2cow")
    assert "Servable not found for request: Latest(horse2cow)" in unknown
    fails(tmp_path / "photo.png", "--model", "no such/model")
    assert "No such file" in fails(tmp_path / "absent.png")
    # Nothing listens on port 1.
    assert run({protocol: 1}, protocol, tmp_path / "photo.png") == 2
    assert "did not translate" in capsys.readouterr().err
    # The server goes on after all that.
    assert (
        run(ports, protocol, tmp_path / "photo.png", "--out", tmp_path / "o.png") == 0
    )


def test_a_large_photo_over_grpc(ports, tmp_path):
    """The PNG that comes back is larger than gRPC's limit of 4 MB."""
    photo = exported.photo(1200, 1600, 3)
    (tmp_path / "photo.jpg").write_bytes(exported.encode(photo, "JPEG"))
    out = tmp_path / "out.png"
    options = ("--out", out, "--size", "full")
    assert run(ports, "grpc", tmp_path / "photo.jpg", *options) == 0
    assert out.stat().st_size > 4 << 20
    assert read_image(out).shape == photo.shape


def test_rest_needs_pillow_only(ports, tmp_path):
    (tmp_path / "photo.png").write_bytes(exported.encode(exported.photo(8, 8, 3)))
    # -S leaves out all installed packages.
    (tmp_path / "packages").mkdir()
    pillow = pathlib.Path(PIL.__file__).parent
    for folder in (pillow, pillow.with_name("pillow.libs")):
        if folder.exists():
            (tmp_path / "packages" / folder.name).symlink_to(folder)
    out = tmp_path / os.fsdecode(b"\xff.png")  # a name that is not UTF-8
    arguments = [tmp_path / "photo.png", "--out", out]
    port = ["--protocol", "rest", "--port", ports["rest"]]
    command = [sys.executable, "-S", CLIENT, *arguments, *port]
    variables = {
        "PYTHONPATH": str(tmp_path / "packages"),
        "PYTHONIOENCODING": "utf-8:strict",  # as where a language is set
    }
    subprocess.run(list(map(str, command)), check=True, env=os.environ | variables)
    assert read_image(out).shape == (8, 8, 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_photos_are_turned_upright(tmp_path, kind):
    photo = PIL.Image.fromarray(exported.photo(10, 24, 3))
    path = tmp_path / "photo"
    for orientation in range(1, 9):
        exif = PIL.Image.Exif()
        exif[0x0112] = orientation
        photo.save(path, kind, exif=exif)
        sent, scaled = client.read_photo(path, None)
        assert scaled == ""
        np.testing.assert_array_equal(read_image(sent), read_image(path))
        assert PIL.Image.open(io.BytesIO(sent)).getexif().get(0x0112, 1) == 1
        assert (sent == path.read_bytes()) == (orientation == 1)


def test_a_lying_photo_reaches_the_generator_upright(ports, generators, tmp_path):
    photo = exported.photo(20, 32, 3)
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    PIL.Image.fromarray(photo).save(tmp_path / "photo.png", exif=exif)
    out = tmp_path / "out.png"
    assert run(ports, "rest", tmp_path / "photo.png", "--out", out) == 0
    upright = np.rot90(photo, -1)
    expected = Translator(generators[NAMES[0]])(upright).astype(int)
    assert np.abs(read_image(out) - expected).max() <= 1


@pytest.mark.parametrize("size", [64, "full"])
def test_a_large_photo_is_scaled_as_by_the_translator(
    ports, generators, tmp_path, capsys, size
):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    photo = PIL.Image.fromarray(exported.photo(101, 151, 3))
    photo.save(tmp_path / "photo.png", exif=exif)
    options = ("--size", size, "--out", tmp_path / "out.png")
    assert run(ports, "rest", tmp_path / "photo.png", *options) == 0
    said = "Scaled 101x151 down to 64x96 pixels; --size full keeps every size.\n"
    assert capsys.readouterr().out.startswith(said) == (size == 64)
    translate = Translator(generators[NAMES[0]], size=size)
    expected = translate(tmp_path / "photo.png").astype(int)
    assert expected.shape == ((96, 64, 3) if size == 64 else (151, 101, 3))
    # A rounding may fall to the other side of a half.
    assert np.abs(read_image(tmp_path / "out.png") - expected).max() <= 1


def test_a_large_photo_of_16_bits(tmp_path):
    levels = np.linspace(0, 65535, 80 * 60).astype("uint16").reshape(60, 80)
    PIL.Image.fromarray(levels).save(tmp_path / "photo.png")
    sent, _ = client.read_photo(tmp_path / "photo.png", 30)
    sent = read_image(sent).astype(int)
    expected = resize_image(read_image(tmp_path / "photo.png"), 30, 40)
    assert sent.shape == (30, 40, 3) and np.abs(sent - expected).max() <= 1


@pytest.mark.parametrize("size", [None, 10])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("float01.tif", "has floating-point numbers from 0 to 0.996078"),
        ("int16HU.tif", "has 32-bit numbers from -1000 to 3048"),
        ("damaged_0.tif", "cannot be read as an image"),
        ("eps_named.jpg", "cannot identify image file"),  # never for Ghostscript
    ],
)
def test_files_that_are_refused_before_they_are_sent(shared, name, message, size):
    with pytest.raises(client.PhotoError, match=message) as error:
        client.read_photo(shared / "cases" / name, size)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("size", [None, 10])
@pytest.mark.parametrize("name", ["badexif.jpg", "damaged_2.jpg", "exif_bad.png"])
def test_damaged_exif_data_count_as_upright(shared, name, size):
    path = shared / "cases" / name
    sent, _ = client.read_photo(path, size)
    expected = shrink_image(read_image(path), size)
    np.testing.assert_array_equal(read_image(sent), expected)


def test_pixels_are_counted_before_they_are_decoded(tmp_path, monkeypatch, capsys):
    # 81 megapixels in less than a megabyte.
    PIL.Image.new("1", (9000, 9000)).save(tmp_path / "flat.png")
    with monkeypatch.context() as patch:
        patch.setattr(PIL.ImageFile.ImageFile, "load", lambda _: pytest.fail("decoded"))
        for size in ("full", "8999"):
            assert client.main([str(tmp_path / "flat.png"), "--size", size]) == 2
            message = capsys.readouterr().err
            assert "flat.png has 81.0 megapixels, more than can be tr" in message
            assert message.count("\n") == 1
    sent, scaled = client.read_photo(tmp_path / "flat.png", 20)
    assert read_image(sent).shape == (20, 20, 3)
    assert scaled == "Scaled 9000x9000 down to 20x20 pixels"


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "BMP", "WEBP", "PPM"])
def test_other_formats_are_sent_as_png(tmp_path, kind):
    (tmp_path / "photo").write_bytes(exported.encode(exported.photo(9, 8, 3), kind))
    sent, _ = client.read_photo(tmp_path / "photo", None)
    assert sent.startswith(b"\x89PNG")
    np.testing.assert_array_equal(read_image(sent), read_image(tmp_path / "photo"))


def test_a_pfm_is_refused(tmp_path):
    (tmp_path / "depth.pfm").write_bytes(b"Pf 1 1 -1.0\n" + np.float32(0.5).tobytes())
    with pytest.raises(client.PhotoError, match="floating-point numbers from 0.5"):
        client.read_photo(tmp_path / "depth.pfm", None)


def test_names_may_be_as_long_as_the_file_system_permits(ports, tmp_path):
    (tmp_path / "photo.png").write_bytes(exported.encode(exported.photo(8, 8, 3)))
    out = tmp_path / ("n" * 251 + ".png")
    assert run(ports, "rest", tmp_path / "photo.png", "--out", out) == 0
    assert sorted(os.listdir(tmp_path)) == sorted([out.name, "photo.png"])
    # A folder has no place for the photo.
    assert run(ports, "rest", tmp_path / "photo.png", "--out", ".") == 2


@pytest.mark.parametrize("size", ["0", "large"])
def test_a_wrong_size(size, capsys):
    with pytest.raises(SystemExit):
        client.main(["photo.png", "--size", size])
    assert "--size" in capsys.readouterr().err


def test_the_endpoints_speak_the_rest_of_the_api(ports):
    """Status and metadata, by the official stubs."""
    with grpc.insecure_channel(f"127.0.0.1:{ports['grpc']}") as channel:
        status = get_model_status_pb2.GetModelStatusRequest()
        status.model_spec.name = NAMES[0]
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        (version,) = stub.GetModelStatus(status).model_version_status
        assert (version.version, version.state) == (1, version.AVAILABLE)
        metadata = get_model_metadata_pb2.GetModelMetadataRequest()
        metadata.model_spec.name = NAMES[0]
        metadata.metadata_field.append("signature_def")
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        stub.GetModelMetadata(metadata).metadata["signature_def"].Unpack(signatures)
        found = signatures.signature_def["image_bytes"]
        assert set(found.inputs) == {client.INPUT}
        assert set(found.outputs) == {client.OUTPUT}


def test_models_config():
    models = models_config().model_config_list.config
    assert [model.name for model in models] == list(NAMES)
    assert all(model.base_path == f"/models/{model.name}" for model in models)


def test_the_files_that_docker_compose_names_are_there():
    compose = yaml.safe_load((SERVING / "docker-compose.yml").read_text())
    (service,) = compose["services"].values()
    flags = dict(flag.removeprefix("--").split("=") for flag in service["command"])
    assert ".:/config:ro" in service["volumes"]
    for name, value in flags.items():
        if name.endswith("_file"):
            assert (SERVING / value.removeprefix("/config/")).is_file()
    # The server is of the release of the TensorFlow that writes the models.
    release = tf.__version__.rpartition(".")[0]
    assert f":${{TF_SERVING_TAG:-{release}." in service["image"]
    assert flags["enable_model_warmup"] == "true"
    # Photos of different sizes cannot be joined, and one bad file failed all others.
    assert not any("batching" in name for name in flags)
    assert service["mem_limit"] == service["memswap_limit"]
    for port, local in zip(service["ports"], client.PORTS.values(), strict=True):
        assert port == f"127.0.0.1:{local}:{local}"


def test_the_client_may_be_newer_than_the_server():
    assert "<" not in (SERVING / "requirements.txt").read_text()


def test_the_server_for_gpus_has_gpus():
    """As Docker joins both files."""
    (service,) = yaml.safe_load((SERVING / "docker-compose.gpu.yml").read_text())[
        "services"
    ].values()
    compose = yaml.safe_load((SERVING / "docker-compose.yml").read_text())
    assert service["image"] == compose["services"]["serving"]["image"] + "-gpu"
    (device,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])


def test_rest_from_what_is_no_rest_server(ports, tmp_path, capsys):
    """The port of gRPC answers, but not in HTTP."""
    (tmp_path / "photo.png").write_bytes(exported.encode(exported.photo(9, 9, 3)))
    assert run({"rest": ports["grpc"]}, "rest", tmp_path / "photo.png") == 2
    assert capsys.readouterr().err.count("\n") == 1


def message_class(name, *fields):
    """Make a message class that tensorflow-serving-api does not ship.

    Names and types are those of monitoring_config.proto of TensorFlow Serving; the text
    format has no more.
    """
    file = descriptor_pb2.FileDescriptorProto(name=f"{name}.proto", syntax="proto3")
    message = file.message_type.add(name=name)
    for number, (field, kind) in enumerate(fields, 1):
        added = message.field.add(name=field, number=number)
        added.label = added.LABEL_OPTIONAL
        if isinstance(kind, str):
            added.type, added.type_name = added.TYPE_MESSAGE, kind
        else:
            added.type = kind
    pool = descriptor_pool.Default()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


def test_monitoring_config():
    field = descriptor_pb2.FieldDescriptorProto
    message_class(
        "PrometheusConfig", ("enable", field.TYPE_BOOL), ("path", field.TYPE_STRING)
    )
    config = message_class(
        "MonitoringConfig", ("prometheus_config", ".PrometheusConfig")
    )()
    text_format.Parse((SERVING / "monitoring.config").read_text(), config)
    assert config.prometheus_config.enable
