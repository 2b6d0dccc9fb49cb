"""Translation on Apache Beam writes each file of `translate` exactly once."""

import dataclasses
import json
import os
import pathlib
import shlex
import threading

import numpy as np
import pytest
import tensorflow as tf
import tiny

import cyclegan_tf
from cyclegan_tf._shared.errors import InputError, JobFailedError
from cyclegan_tf._shared.files import locked, temporary_name
from cyclegan_tf.beam.files import publish
from cyclegan_tf.beam.options import TranslateBeamConfig
from cyclegan_tf.beam.records import decode_record, encode_record, read_records
from cyclegan_tf.beam.units import describe_collision
from cyclegan_tf.cli import main as cli
from cyclegan_tf.images import read_image, write_image
from cyclegan_tf.translation.files import FileTranslator
from cyclegan_tf.translation.options import TranslateConfig
from cyclegan_tf.translation.translate import translate

translate_beam = cyclegan_tf.translate_beam


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """A run folder with two small untrained generators."""
    folder = tmp_path_factory.mktemp("run") / "run"
    return tiny.untrained_run(folder, filters=2).folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A tree of images of several sizes, one of them damaged."""
    folder = tmp_path_factory.mktemp("photos") / "in"
    random = np.random.default_rng(0)
    for name, shape in {
        "2.png": (20, 20, 3),
        "10.jpg": (21, 35, 3),
        "deep/er/a.bmp": (1, 3, 3),
        "deep/gray.png": (50, 30, 1),
    }.items():
        write_image(folder / name, random.integers(0, 256, shape, dtype=np.uint8))
    (folder / "bad.png").write_bytes(b"damaged")
    (folder / "notes.txt").write_text("not an image")
    return folder


@pytest.fixture(scope="module")
def expected(photos, run_dir, tmp_path_factory):
    """The bytes that `translate` writes for each photo, or its error."""
    out = tmp_path_factory.mktemp("expected") / "out"
    rows = translate(TranslateConfig(run_dir, (photos,), out))
    return {
        str(row.output.relative_to(out)): row.error or row.output.read_bytes()
        for row in rows
    }


def images_of(expected):
    return {name: what for name, what in expected.items() if isinstance(what, bytes)}


def files_in(folder):
    """The bytes of all output files, without the job's own files."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
        and not {".job", ".lock"} & {*path.parts}
        and path.suffix != ".jsonl"
    }


def rows_in(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_two_processes_write_what_translate_writes(
    photos, run_dir, expected, tmp_path, capsys, monkeypatch
):
    """The command line takes overlapping patterns."""
    root = str(pathlib.Path(cyclegan_tf.__file__).parents[1])
    monkeypatch.setenv("PYTHONPATH", root)
    monkeypatch.chdir(photos.parent)
    options = ["--out", str(tmp_path / "out")]
    of_beam = ["--direct_num_workers=2", "--direct_running_mode=multi_processing"]
    inputs = ["in", "in/deep/**", "in/*.jpg", str(photos / "2.png")]
    code = cli.main(["translate-beam", str(run_dir), *inputs, *options, "--", *of_beam])

    captured = capsys.readouterr()
    assert code == 1, captured.err
    assert "Translated 4 of 5 images" in captured.out
    assert f"Skipped: {expected['bad.png']}" in captured.out
    assert files_in(tmp_path / "out") == images_of(expected)
    rows = rows_in(tmp_path / "out/manifest.jsonl")
    assert sorted(row["input"] for row in rows) == sorted(
        str(photos / name) for name in expected
    )
    [dead] = rows_in(tmp_path / "out/dead-letters.jsonl")
    assert dead in rows and dead["error"] == expected["bad.png"]
    by_name = {pathlib.Path(row["output"]).name: row for row in rows}
    assert (by_name["10.jpg"]["height"], by_name["10.jpg"]["width"]) == (21, 35)
    assert by_name["10.jpg"]["generator"] == str(run_dir / "generator_g.keras")


def test_too_many_pixels_are_translated_in_tiles(
    photos, run_dir, expected, tmp_path, monkeypatch
):
    monkeypatch.setattr("cyclegan_tf.images.reading.MAX_PIXELS", 1000)
    config = TranslateBeamConfig(
        str(run_dir), (str(photos / "deep"),), str(tmp_path / "out"), size="full"
    )
    assert translate_beam(config).exit_code == 0
    (tmp_path / "whole.png").write_bytes(expected["deep/gray.png"])  # 50x30
    whole, in_tiles = (
        read_image(path).astype(int)
        for path in (tmp_path / "whole.png", tmp_path / "out/gray.png")
    )
    assert np.abs(whole - in_tiles).max() <= 1


@pytest.fixture
def failing_after(monkeypatch):
    """Simulate a full disk after so many translations."""
    whole = FileTranslator.__call__
    lock = threading.Lock()

    def fail_after(count):
        done = []

        def translate_some(self, path, output):
            with lock:
                done.append(path)
                if len(done) > count:
                    raise OSError("No space left on device")
            return whole(self, path, output)

        monkeypatch.setattr(FileTranslator, "__call__", translate_some)
        return done

    return fail_after


def test_a_failed_job_goes_on(photos, run_dir, expected, tmp_path, failing_after):
    out = tmp_path / "out"
    config = TranslateBeamConfig(str(run_dir), (str(photos),), str(out))
    failing_after(2)
    with pytest.raises(JobFailedError, match="No space left.*same command continues"):
        translate_beam(config)
    before = files_in(out)
    assert 0 < len(before) < 4 and before.items() <= images_of(expected).items()

    # As a killed job leaves it.
    (out / temporary_name("10.jpg")).touch()
    tried = failing_after(100)
    result = translate_beam(config)
    assert (result.translated, result.present) == (4 - len(before), len(before))
    assert result.skipped == [expected["bad.png"]]
    assert len(tried) == result.translated + 1
    assert files_in(out) == images_of(expected)
    status = {
        row["output"].removeprefix(f"{out}/"): row["status"]
        for row in rows_in(out / "manifest.jsonl")
    }
    assert {name for name in status if status[name] == "present"} == before.keys()

    # Only a photo that arrives later is translated then.
    tried.clear()
    write_image(photos / "later.png", read_image(photos / "2.png"))
    try:
        assert translate_beam(config).translated == 1
    finally:
        (photos / "later.png").unlink()
    assert (out / "later.png").read_bytes() == expected["2.png"]


def test_an_interrupted_job_says_so(
    photos, run_dir, tmp_path, monkeypatch, capfd, caplog
):
    def interrupted(self, path, output):
        raise KeyboardInterrupt

    monkeypatch.setattr(FileTranslator, "__call__", interrupted)
    out = str(tmp_path / "out")
    assert cli.main(["translate-beam", str(run_dir), str(photos), "--out", out]) == 130
    said = capfd.readouterr().err
    assert f"interrupted; its output in {out} is valid" in said
    assert "Traceback" not in said + caplog.text


def test_only_the_same_job_goes_on(photos, run_dir, tmp_path, failing_after):
    def job(direction="g", **options):
        inputs, out = (str(photos / "2.png"),), str(tmp_path / "out")
        return translate_beam(
            TranslateBeamConfig(str(run_dir), inputs, out, direction, **options)
        )

    assert job().translated == 1
    g = (tmp_path / "out/2.png").read_bytes()
    with pytest.raises(InputError, match=r"other options \(generator\).*`overwrite"):
        job("f")
    failing_after(0)
    with pytest.raises(JobFailedError):
        job("f", overwrite=True)
    # The existing file is still from the other generator.
    with pytest.raises(InputError, match="has files that are not replaced yet"):
        job("f")
    failing_after(1)
    assert job("f", overwrite=True).translated == 1
    assert (tmp_path / "out/2.png").read_bytes() != g
    assert job("f").present == 1

    (tmp_path / "out/.job/job.json").unlink()
    with pytest.raises(InputError, match="that cyclegan translate-beam did not write"):
        job("f")


def test_tiles_in_bundles_that_are_tried_again(photos, run_dir, tmp_path):
    """Beam runs each bundle twice, as after the loss of its first result."""
    inputs, tile = photos / "deep", 32
    translate(TranslateConfig(run_dir, (inputs,), tmp_path / "expected", tile=tile))
    (tmp_path / "expected/manifest.csv").unlink()
    config = TranslateBeamConfig(
        str(run_dir),
        (str(inputs),),
        str(tmp_path / "out"),
        tile=tile,
        pipeline_options=("--direct_runner_bundle_repeat=1",),
    )
    result = translate_beam(config)
    assert result.translated + result.present == 2 and not result.skipped
    assert len(rows_in(tmp_path / "out/manifest.jsonl")) == 2
    assert files_in(tmp_path / "out") == files_in(tmp_path / "expected")


def test_there_and_back_through_records(photos, run_dir, expected, tmp_path):
    """Images to TFRecords, to other TFRecords, to images."""
    images = images_of(expected)
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    to_records = TranslateBeamConfig(
        str(run_dir), (str(photos),), str(first), output_format="tfrecords", shards=2
    )
    assert translate_beam(to_records).translated == 4
    assert (
        dict(
            decode_record(record, "")
            for path in first.glob("images.tfrecord-*-of-00002")
            for record in read_records(path, "")
        )
        == images
    )
    # A finished shard stays, and reports skipped images again.
    again = translate_beam(to_records)
    assert (again.translated, again.present) == (0, 4)
    assert again.skipped == [expected["bad.png"]]
    # One whose note is damaged is written again.
    for note in (first / ".job/finished").iterdir():
        note.write_bytes(b"\xff")
    assert translate_beam(to_records).translated == 4

    def back(inputs, out, output_format):
        return translate_beam(
            TranslateBeamConfig(
                str(run_dir),
                (str(inputs),),
                str(out),
                "f",
                input_format="tfrecords",
                output_format=output_format,
            )
        )

    assert back(first, second, "tfrecords").translated == 4
    assert back(first / "*.tfrecord-0*", third, "images").translated == 4
    (tmp_path / "once").mkdir()
    for name, content in images.items():
        path = tmp_path / "once" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    inputs = (tmp_path / "once",)
    translate(TranslateConfig(run_dir, inputs, tmp_path / "twice", "f"))
    (tmp_path / "twice/manifest.csv").unlink()
    twice = files_in(tmp_path / "twice")
    assert {
        name.partition("/")[2]: content for name, content in files_in(third).items()
    } == twice
    for shard in second.glob("*.tfrecord*"):
        for record in read_records(shard, ""):
            name, content = decode_record(record, "")
            assert content == twice[name]
            assert (third / shard.name / name).read_bytes() == content


def test_the_size_belongs_to_the_job(run_dir, tmp_path, caplog):
    """The file says no training size, but its run does: 256."""
    write_image(tmp_path / "in/a.png", *tiny.noise(1, 600))
    out = tmp_path / "out"
    config = TranslateBeamConfig(str(run_dir), (str(tmp_path / "in"),), str(out))
    with caplog.at_level("INFO"):
        assert translate_beam(config).scaled == 1
    assert "1 image down to a shorter side of 572 pixels, twice the 286" in caplog.text
    [row] = rows_in(out / "manifest.jsonl")
    assert (row["width"], row["scaled_from"], row["size"]) == (572, "600x600", "572")
    translate_beam(dataclasses.replace(config, size=572))  # nothing else than before
    with pytest.raises(InputError, match=r"begun with other options \(size\)"):
        translate_beam(dataclasses.replace(config, size="full"))


def test_more_photos_for_a_finished_shard(photos, run_dir, tmp_path):
    write_image(tmp_path / "in/a.png", read_image(photos / "2.png"))
    config = TranslateBeamConfig(
        str(run_dir),
        (f"{tmp_path}/in/*.png",),
        str(tmp_path / "out"),
        output_format="tfrecords",
        shards=1,
    )
    translate_beam(config)
    write_image(tmp_path / "in/b.png", read_image(photos / "2.png"))
    assert translate_beam(config).translated == 2
    [shard] = (tmp_path / "out").glob("images.*")
    names = [decode_record(record, "")[0] for record in read_records(shard, "")]
    assert names == ["a.png", "b.png"]


def write_records(path, records):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)


def records_config(run_dir, folder, output_format):
    return TranslateBeamConfig(
        str(run_dir),
        (str(folder / "in"),),
        str(folder / "out"),
        input_format="tfrecords",
        output_format=output_format,
    )


def test_bad_records(photos, run_dir, expected, tmp_path):
    photo = (photos / "2.png").read_bytes()
    labelled = tf.train.Example.FromString(encode_record("a.png", photo))
    labelled.features.feature["label"].int64_list.value.append(7)
    records = [
        labelled.SerializeToString(),
        encode_record("bad.png", b"damaged"),
        encode_record("../out.png", photo),
        encode_record("b", photo),
        b"no example",
        encode_record("a.png", photo),
        encode_record("deep/c.png", photo),
    ]
    path = tmp_path / "in/x.tfrecord"
    write_records(path, records)
    write_records(tmp_path / "in/y.tfrecord", [encode_record("d.png", photo)] * 2)
    os.truncate(tmp_path / "in/y.tfrecord", 200)
    (tmp_path / "in/z.tfrecord.gz").write_bytes(b"damaged")

    def job(output_format):
        out = tmp_path / output_format
        config = TranslateBeamConfig(
            str(run_dir),
            (str(tmp_path / "in"),),
            str(out),
            input_format="tfrecords",
            output_format=output_format,
        )
        return translate_beam(config), out

    result, out = job("images")
    errors = "\n".join(result.skipped)
    assert f"{path}#1 cannot be read as an image" in errors
    assert f"{path}#2 is named '../out.png', which leads out of the output" in errors
    assert f"{path}#3 is named 'b', which has no image suffix" in errors
    assert f"{path}#4 is no tf.train.Example with one image/encoded" in errors
    assert f"{path}#0 and {path}#5 would become the same file" in errors
    assert "y.tfrecord cannot be read as a TFRecord file after its first 0" in errors
    assert "z.tfrecord.gz cannot be read (" in errors
    assert len(result.skipped) == 7
    assert files_in(out) == {
        f"x.tfrecord/{name}": expected["2.png"] for name in ("a.png", "deep/c.png")
    }

    result, out = job("tfrecords")
    assert (result.translated, len(result.skipped)) == (3, 6)
    assert files_in(out).keys() == {"x.tfrecord"}
    [first, *others] = read_records(out / "x.tfrecord", "")
    assert [decode_record(record, "") for record in (first, *others)] == [
        (name, expected["2.png"]) for name in ("a.png", "a.png", "deep/c.png")
    ]
    example = tf.train.Example.FromString(first)
    assert example.features.feature["label"].int64_list.value == [7]


def test_names_that_no_one_expects(photos, run_dir, expected, tmp_path):
    photo = (photos / "2.png").read_bytes()
    longest = "\u00e4" * 125 + "-.png"
    (tmp_path / "in").mkdir()
    for name in (longest, "folder.png", os.fsdecode(b"\xff.png")):
        (tmp_path / "in" / name).write_bytes(photo)
    names = ["null\0.png", "a" * 252 + ".png", "a/" * 600 + "b.png"]
    records = [encode_record(name, photo) for name in names]
    write_records(tmp_path / "records/x.tfrecord", records)
    (tmp_path / "out/folder.png").mkdir(parents=True)
    out = str(tmp_path / "out")
    config = TranslateBeamConfig(
        str(run_dir), (str(tmp_path / "in"),), out, overwrite=True
    )
    result = translate_beam(config)
    assert files_in(tmp_path / "out") == {longest: expected["2.png"]}
    first, second = sorted(result.skipped)
    assert "folder.png is a folder" in second and "\\udcff.png" in first
    config = dataclasses.replace(
        config, inputs=(str(tmp_path / "records"),), input_format="tfrecords"
    )
    result = translate_beam(config)
    assert all("which no file system allows" in error for error in result.skipped)
    assert len(result.skipped) == 3


def test_names_longer_than_their_bytes(photos, run_dir, tmp_path):
    """A byte that is not UTF-8 is written as three."""
    record = encode_record("a.png", (photos / "2.png").read_bytes())
    example = tf.train.Example.FromString(record)
    name = example.features.feature["image/filename"].bytes_list
    name.value[:] = [b"\xff" * 200 + b".png"]
    write_records(tmp_path / "in/x.tfrecord", [record, example.SerializeToString()])
    result = translate_beam(records_config(run_dir, tmp_path, "images"))
    assert result.translated == 1
    [error] = result.skipped
    assert "x.tfrecord#1" in error and "which no file system allows" in error


@pytest.mark.parametrize("names", [("a.png", "a.png/b.png"), ("a.png/b.png", "a.png")])
def test_a_file_where_another_needs_a_folder(names, photos, run_dir, tmp_path):
    photo = (photos / "2.png").read_bytes()
    records = [encode_record(name, photo) for name in (*names, "c.png")]
    write_records(tmp_path / "in/x.tfrecord", records)
    result = translate_beam(records_config(run_dir, tmp_path, "images"))
    assert files_in(tmp_path / "out").keys() == {
        *(f"x.tfrecord/{name}" for name in (names[0], "c.png"))
    }
    [error] = result.skipped
    assert f"{tmp_path}/out/x.tfrecord/{names[1]} " in error


def test_shards_that_cannot_be_written(photos, run_dir, tmp_path):
    """A folder has the name of one, and another is in a file of its name."""
    record = encode_record("a.png", (photos / "2.png").read_bytes())
    for name in ("1/folder.tfrecord", "1/file", "2/file/x.tfrecord"):
        write_records(tmp_path / name, [record])
    longest = "n" * 246 + ".tfrecord"
    write_records(tmp_path / "1" / longest, [record])
    config = records_config(run_dir, tmp_path, "tfrecords")
    config = dataclasses.replace(
        config,
        inputs=(f"{tmp_path}/1/*", f"{tmp_path}/2/"),
        overwrite=True,
    )
    (tmp_path / "out/folder.tfrecord").mkdir(parents=True)
    (tmp_path / "out/file").mkdir()
    result = translate_beam(config)
    assert files_in(tmp_path / "out").keys() == {longest, "file/x.tfrecord"}
    assert sorted(result.skipped) == [
        f"{tmp_path}/out/{name} is a folder; choose another `out`."
        for name in ("file", "folder.tfrecord")
    ]
    again = translate_beam(dataclasses.replace(config, overwrite=False))
    assert (again.translated, again.present, len(again.skipped)) == (0, 2, 2)

    # The other way round, the file is first.
    (tmp_path / "out2").mkdir()
    (tmp_path / "out2/file").touch()
    inputs, out = (f"{tmp_path}/2",), f"{tmp_path}/out2"
    result = translate_beam(dataclasses.replace(config, inputs=inputs, out=out))
    [error] = result.skipped
    assert f"{out}/file/x.tfrecord cannot be written" in error


def test_two_images_of_one_name(photos, run_dir, expected, tmp_path):
    write_image(tmp_path / "other/2.png", np.zeros((4, 4, 3), np.uint8))
    # A link counts as its target.
    (tmp_path / "other/10.jpg").symlink_to(photos / "10.jpg")
    inputs = (str(photos / "*"), f"{tmp_path}/other/")
    result = translate_beam(
        TranslateBeamConfig(str(run_dir), inputs, f"{tmp_path}/out")
    )
    both = [error for error in result.skipped if "would become the same file" in error]
    assert len(both) == 2 and str(photos / "2.png") in both[0]
    assert files_in(tmp_path / "out") == {"10.jpg": expected["10.jpg"]}


def test_a_collision_of_more_than_two_images():
    paths = ["a/1.png", "b/1.png", "c/1.png"]
    message = describe_collision(paths, "out/1.png")
    assert message.startswith(
        "a/1.png, b/1.png and c/1.png would become the same file out/1.png;"
    )


def test_compressed_records(photos, run_dir, expected, tmp_path):
    path = tmp_path / "x.tfrecord.gz"
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        writer.write(encode_record("a.png", (photos / "2.png").read_bytes()))
    formats = {"input_format": "tfrecords", "output_format": "tfrecords"}
    out = tmp_path / "out"
    translate_beam(TranslateBeamConfig(str(run_dir), (str(path),), str(out), **formats))
    data = tf.data.TFRecordDataset(str(out / path.name), compression_type="GZIP")
    [record] = data.as_numpy_iterator()
    assert decode_record(record, "") == ("a.png", expected["2.png"])


def test_damaged_compressed_records(photos, run_dir, tmp_path):
    record = encode_record("a.png", (photos / "2.png").read_bytes())
    write_records(tmp_path / "in/x.tfrecord", [record])
    suffixes = ("bz2", "deflate", "gz", "lzma", "xz", "zst", "zstd")
    for suffix in suffixes:
        (tmp_path / f"in/x.tfrecord.{suffix}").write_bytes(b"damaged")
    result = translate_beam(records_config(run_dir, tmp_path, "images"))
    assert result.translated == 1
    for suffix, error in zip(suffixes, sorted(result.skipped), strict=True):
        assert error.startswith(f"{tmp_path}/in/x.tfrecord.{suffix} cannot be read (")


def test_a_record_that_claims_more_than_there_is(tmp_path):
    """TensorFlow would end the process. The checksum of the length is right."""
    write_records(tmp_path / "records", [b"first"])
    claims = bytes.fromhex("0000000000000040 7f85f000")  # 2**62
    with (tmp_path / "records").open("ab") as file:
        file.write(claims + b"second")
    records = read_records(tmp_path / "records", "x.tfrecord")
    assert next(records) == b"first"
    with pytest.raises(InputError, match="x.tfrecord cannot be .* its first 1 records"):
        next(records)


def test_published_files_are_on_the_disk(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr("os.fsync", lambda file: synced.append(os.fstat(file).st_ino))
    (tmp_path / "image").write_bytes(b"content")
    publish(tmp_path / "image", f"{tmp_path}/deep/a.png", f"{tmp_path}/unfinished")
    assert (tmp_path / "deep/a.png").read_bytes() == b"content"
    assert synced == [
        (tmp_path / name).stat().st_ino for name in ("deep/a.png", "deep")
    ]


def test_two_jobs_in_one_folder(photos, run_dir, tmp_path):
    config = TranslateBeamConfig(
        str(run_dir), (str(photos / "2.png"),), str(tmp_path / "out")
    )
    (tmp_path / "out/.job").mkdir(parents=True)
    with (
        locked(tmp_path / "out/.job", "translating", "out"),
        pytest.raises(InputError, match="Another process is translating in .*`out`"),
    ):
        translate_beam(config)
    assert os.listdir(tmp_path / "out/.job") == [".lock"]
    assert translate_beam(config).translated == 1


def test_damaged_facts_of_a_job(photos, run_dir, tmp_path):
    config = TranslateBeamConfig(
        str(run_dir), (str(photos / "2.png"),), str(tmp_path / "out")
    )
    translate_beam(config)
    (tmp_path / "out/.job/job.json").write_bytes(b"{\xff")
    with pytest.raises(InputError, match=r"job\.json is not valid JSON .*`overwrite"):
        translate_beam(config)


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        ((), {}, "nothing to translate"),
        (("absent.png",), {}, "There is no file or folder .*absent.png"),
        (("*.gif",), {}, r"There are no images in .*\*.gif"),
        (("notes.txt",), {}, r"notes\.txt has no image suffix"),
        (("2.png",), {"shards": 0}, "`shards` must be at least 1"),
        (("2.png",), {"out": "a*b"}, "reads as a pattern"),
        (("2.png",), {"out": "gs://bucket/out"}, "no file system for gs://bucket/out"),
        (
            ("2.png",),
            {"source": "absent.keras"},
            "There is no file, folder or model .*/absent.keras",
        ),
        (
            ("2.png",),
            {"pipeline_options": ("--direct_num_worker=2",)},
            "no option --direct_num_worker; did you mean --direct_num_workers",
        ),
        (
            ("2.png",),
            {"pipeline_options": ("--direct_num_workers=two",)},
            "invalid int value: 'two'",
        ),
        (
            ("2.png",),
            {"pipeline_options": ("--runner=NoRunner",)},
            "Unexpected pipeline runner: NoRunner",
        ),
    ],
)
def test_wrong_options(inputs, options, message, photos, run_dir, tmp_path):
    defaults = {"source": str(run_dir), "out": str(tmp_path / "out")}
    paths = tuple(str(photos / name) for name in inputs)
    with pytest.raises(InputError, match=message):
        translate_beam(TranslateBeamConfig(inputs=paths, **{**defaults, **options}))
    assert not (tmp_path / "out").exists()


def test_beam_knows_the_options_in_the_documentation(
    run_dir, tmp_path, monkeypatch, capsys
):
    """The commands fail only because images or Google's packages are missing."""
    text = (pathlib.Path(__file__).parents[2] / "docs/beam.md").read_text()
    commands = [
        shlex.split(line)[1:]
        for line in text.replace("\\\n", " ").splitlines()
        if line.startswith("cyclegan translate-beam")
    ]
    assert len(commands) == 5
    monkeypatch.chdir(tmp_path)
    for command in commands:
        command[1] = str(run_dir)
        assert cli.main(command) == 2
        message = capsys.readouterr().err
        assert (
            message.startswith("cyclegan: There ") or "cannot run with these" in message
        )
        assert "no option" not in message


def test_without_beam(photos, run_dir, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'cyclegan_tf\[beam\]'"):
        translate_beam(TranslateBeamConfig(str(run_dir), (str(photos),), str(tmp_path)))


def test_a_failure_without_a_message(photos, run_dir, tmp_path, monkeypatch):
    """An unreachable job server raises such an error."""

    def run(self):
        raise TimeoutError

    monkeypatch.setattr("apache_beam.Pipeline.run", run)
    config = TranslateBeamConfig(str(run_dir), (str(photos),), str(tmp_path / "out"))
    with pytest.raises(JobFailedError, match=r"The job failed \(TimeoutError\)"):
        translate_beam(config)


def test_no_images(run_dir, tmp_path):
    (tmp_path / "notes.txt").write_text("not an image")
    config = TranslateBeamConfig(str(run_dir), (str(tmp_path),), str(tmp_path / "out"))
    with pytest.raises(InputError, match="There are no images in"):
        translate_beam(config)
    assert not (tmp_path / "out").exists()
