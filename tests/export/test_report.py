"""The report of an export: its files, and what it does with those of an earlier one."""

import json

from cyclegan_tf.export.parity import Artefact, Measurement
from cyclegan_tf.export.report import Entry, Report, find_earlier_files

MEASUREMENT = Measurement(
    5e-4, 1e-4, 50.0, 10, 12.3, 20, "4x6", 1, "test 1.0", {"ADD": 2}
)


def report(*paths, **options):
    """A report of artefacts of a generator `a_g` that passed."""
    entries = tuple(
        Entry(Artefact(path, "a_g", "litert", "int8", "any", 9), MEASUREMENT, "")
        for path in paths
    )
    return Report("runs/a", "10 test images", {"processor": "x"}, entries, **options)


def write(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def files_in(folder):
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def test_the_report_as_files(tmp_path):
    artefact = Artefact("a_g/1", "a_g", "savedmodel", "float32", "any", 1_500_000)
    refused = Artefact("litert/a_g_int8_any.tflite", "a_g", "litert", "int8", "any")
    report = Report(
        "runs/a",
        "10 test images",
        {"processor": "some"},
        (Entry(artefact, MEASUREMENT, ""), Entry(refused, None, "It was refused.")),
    ).finish(tmp_path)
    assert not report.passed and report.exit_code == 1
    content = json.loads((tmp_path / "report.json").read_text())
    assert (
        content["finished"]
        and not content["passed"]
        and content["limits"]["least_psnr"]["int8"] == 20
    )
    first, second = content["artefacts"]
    assert first["path"] == "a_g/1" and first["operations"] == {"ADD": 2}
    assert first["passed"] and first["latency_runs"] == 20
    assert not second["passed"] and second["problem"] == "It was refused."
    text = (tmp_path / "report.md").read_text()
    assert "| a_g/1 " in text and "1.50" in text and "- It was refused." in text
    assert len({line.count("|") for line in text.splitlines() if "|" in line}) == 1


def test_unfinished_it_has_not_passed(tmp_path):
    unfinished = report("litert/a.tflite")
    unfinished.write(tmp_path)
    content = json.loads((tmp_path / "report.json").read_text())
    assert not content["finished"] and not content["passed"]
    assert "**Unfinished**" in (tmp_path / "report.md").read_text()
    assert unfinished.exit_code == 1
    assert unfinished.finish(tmp_path).exit_code == 0
    assert json.loads((tmp_path / "report.json").read_text())["passed"]
    assert "Unfinished" not in (tmp_path / "report.md").read_text()


def test_what_an_earlier_export_left_goes_at_the_end(tmp_path):
    earlier = ("a_g/1/saved_model.pb", "a_g/1/variables/v", "litert/old.tflite")
    write(tmp_path, *earlier, "onnx/a.onnx", "a_g.json", "a_g/2/mine", "litert/mine")
    report("a_g/1", "litert/old.tflite", "onnx/a.onnx").finish(tmp_path)

    begun = report(earlier_files=find_earlier_files(tmp_path, ()))
    begun.write(tmp_path)
    assert (tmp_path / "litert/old.tflite").exists()
    # It is killed; the next one still knows.
    write(tmp_path, "litert/new.tflite")
    earlier_files = find_earlier_files(tmp_path, ())
    report("litert/new.tflite", earlier_files=earlier_files).finish(tmp_path)
    assert files_in(tmp_path) == {
        "a_g/2/mine",
        "a_g.json",
        "litert/mine",
        "litert/new.tflite",
        "report.json",
        "report.md",
    }
    assert not (tmp_path / "a_g/1").exists() and not (tmp_path / "onnx").exists()


def test_nothing_outside_of_the_folder_is_removed(tmp_path):
    """Whatever a report claims to have written."""
    write(tmp_path, "mine/a.txt", "out/keep.txt")
    out = tmp_path / "out"
    (out / "linked").symlink_to(tmp_path / "mine")
    (out / "a_g").mkdir()
    (out / "a_g/1").symlink_to(tmp_path / "mine")
    claimed = ("../mine", str(tmp_path / "mine"), "linked/a.txt", "a_g/1", "", ".")
    report(earlier_files=claimed).finish(out)
    assert (tmp_path / "mine/a.txt").exists() and (out / "keep.txt").exists()


DEEP = "[" * 100_000  # more than Python's parser can follow


def test_a_damaged_report_is_said_to_be(tmp_path, caplog):
    for content in ("{", "[]", "{}", '{"earlier_files": [], "artefacts": [1]}', DEEP):
        (tmp_path / "report.json").write_text(content)
        caplog.clear()
        assert find_earlier_files(tmp_path, ()) == ()
        assert "report.json is damaged" in caplog.text
