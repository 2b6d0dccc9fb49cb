"""The generators that a path or name stands for."""

import pathlib
import shutil

import pytest
import tiny

import cyclegan_tf
from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.cli import main as cli
from cyclegan_tf.config.options import DatasetConfig, TrainConfig
from cyclegan_tf.pretrained.convert import import_network
from cyclegan_tf.pretrained.find import (
    StoredGenerator,
    choose_generator,
    find_generators,
)
from cyclegan_tf.pretrained.inspection import inspect_networks
from cyclegan_tf.pretrained.options import ImportConfig
from cyclegan_tf.runs.checkpoints import Position
from cyclegan_tf.runs.run import Run


def command(*arguments, code=0):
    assert cli.main(list(map(str, arguments))) == code


@pytest.fixture(scope="module")
def two_generators(tmp_path_factory):
    """A folder of two generators that are not part of a run."""
    folder = tmp_path_factory.mktemp("two")
    for direction in "gf":
        cyclegan_tf.resnet_generator(2, 0).save(folder / f"generator_{direction}.keras")
    return folder


def test_generators_of_a_folder_and_of_a_file(two_generators, tmp_path):
    found = find_generators(two_generators)
    assert [generator.direction for generator in found] == ["g", "f"]
    assert choose_generator(two_generators, "f") == found[1]
    assert choose_generator(two_generators) == found[0]
    alone = StoredGenerator("f", two_generators / "generator_f.keras")
    assert find_generators(alone.path) == [alone]
    assert choose_generator(alone.path) == alone
    with pytest.raises(InputError, match="no generator of direction g; it has f"):
        choose_generator(alone.path, "g")
    named = shutil.copy(alone.path, tmp_path / "monet.keras")
    assert find_generators(named) == [StoredGenerator(None, named)]
    assert choose_generator(named, "f") == StoredGenerator(None, named)
    with pytest.raises(InputError, match="it has one of unknown direction"):
        choose_generator(named, "photo2monet")


def test_generators_by_the_names_of_their_domains(tmp_path, capsys):
    """A run's names go with its files, wherever they go."""
    folders = tiny.write_domains(tmp_path / "data", 4, 16, ("dogs", "cats"))
    dataset = DatasetConfig(
        data_x=folders / "dogs", data_y=folders / "cats", load_size=16, crop_size=16
    )
    run = Run.create(tmp_path / "run", TrainConfig(dataset))
    model = tiny.cyclegan(resnet=True)
    model.compile()
    run.save_checkpoint(model, Position(1, 1))
    assert choose_generator(run.folder, "cat2dog").path == run.generator_path("f")
    assert choose_generator(run.folder, "dogs2cats").title == "G: dogs to cats"
    message = r"of direction dogs2bats; it has g \(dogs2cats\) and f \(cats2dogs\)."
    with pytest.raises(InputError, match=message):
        choose_generator(run.folder, "dogs2bats")
    copy = tmp_path / "copy.keras"
    import_network(ImportConfig(run.generator_path("f"), copy))
    assert choose_generator(copy, "cats2dogs").title == "cats to dogs"

    photo, out = folders / "cats/0.png", tmp_path / "out"
    command("translate", run.folder, photo, "--direction", "cats2dogs", "--out", out)
    manifest = (out / "manifest.csv").read_text()
    assert "generator_f.keras" in manifest and manifest.strip().endswith("cats to dogs")
    capsys.readouterr()
    options = ("--formats", "savedmodel", "--report-images", 1)
    command("export", run.folder, "--out", tmp_path / "exported", *options)
    (_, f) = find_generators(tmp_path / "exported")
    assert f.title == "F: cats to dogs"
    assert find_generators(f.path) == [f]
    # Files of others may lie there, such as the scores of cyclegan evaluate.
    (tmp_path / "exported" / "scores.json").write_text('{"directions": {}}')
    assert find_generators(tmp_path / "exported")[1] == f


@pytest.mark.parametrize(
    ("translates", "names", "others"),
    [
        (
            "horses to zebras",
            ["horse2zebra", "horses2zebras", "horse to zebra"],
            ["zebra2horse", "orse2zebra", "horse2ebra", "horses2", "2zebras", "2", ""],
        ),
        ("my horses to zebras", ["my horses2zebras"], ["zebras2my horses"]),
        ("set2 to set3", ["set22set3"], ["set32set2"]),
        ("photograph to painting by Monet", ["photo2monet"], ["monet2photo"]),
    ],
)
def test_what_a_generator_matches(translates, names, others):
    generator = StoredGenerator("g", pathlib.Path("g.keras"), None, translates)
    assert all(map(generator.matches, ["g", *names]))
    assert not any(map(generator.matches, ["f", *others]))


def test_names_of_domains_with_spaces(tmp_path):
    names = {"data_x": tmp_path / "old dogs", "data_y": tmp_path / "dogs"}
    run = tiny.untrained_run(tmp_path / "run", **names)
    f = choose_generator(run.folder, "dogs2old dogs")
    assert f.path == run.generator_path("f")
    known = r"; it has g \(old dogs2dogs\) and f \(dogs2old dogs\)."
    with pytest.raises(InputError, match=f"has no generator of .* cat2dog{known}"):
        choose_generator(run.folder, "cat2dog")
    with pytest.raises(InputError, match=f"more than one .* dog2dog{known}"):
        choose_generator(run.folder, "dog2dog")


def test_the_training_size_of_generators(tmp_path):
    """A run writes it into each file, which keeps it wherever the file goes."""
    run = Run.create(tmp_path / "run", TrainConfig(DatasetConfig("demo", load_size=64)))
    model = tiny.cyclegan(resnet=True)
    model.compile()
    run.save_checkpoint(model, Position(1, 1))
    path = run.generator_path("g")
    copy = shutil.copy(path, tmp_path / "copy.keras")
    imported = [tmp_path / "imported.keras", tmp_path / "all"]
    import_network(ImportConfig(copy, imported[0]))
    import_network(ImportConfig(run.folder, imported[1]))
    for source in (run.folder, path, copy, *imported):
        assert find_generators(source)[0].training_size == 64
    assert inspect_networks(copy)["copy.keras"]["trained at"] == "64 pixels"
    # The first runs had no notes in their files.
    tiny.cyclegan(resnet=True).generator_g.save(path)
    assert find_generators(path)[0].training_size == 64
    path.rename(copy)
    assert find_generators(copy)[0].training_size is None


def test_generators_that_are_missing(two_generators, tmp_path):
    run = Run.create(tmp_path / "run", TrainConfig(DatasetConfig("demo")))
    (tmp_path / "empty").mkdir()
    for path, message in {
        run.folder: "has no generators yet",
        tmp_path / "empty": "holds no generators",
        tmp_path / "absent": "There is no file, folder or model",
    }.items():
        with pytest.raises(InputError, match=message):
            find_generators(path)
