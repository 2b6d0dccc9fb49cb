"""Networks from elsewhere, through the commands that a user types."""

import importlib.util
import json
import pathlib
import shutil
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest
import tiny
import torch
import torch_networks

import cyclegan_tf
from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.cli import main as cli
from cyclegan_tf.config.options import DatasetConfig, NetworkConfig, TrainConfig
from cyclegan_tf.images import normalize, read_image
from cyclegan_tf.pretrained.keras3 import load_network
from cyclegan_tf.pretrained.pytorch.files import read_state_dict
from cyclegan_tf.pretrained.read import find_networks, read_network
from cyclegan_tf.pretrained.recognition import architecture_of
from cyclegan_tf.runs.run import Run
from cyclegan_tf.training.building import adopt_networks


def command(*arguments, code=0):
    assert cli.main(list(map(str, arguments))) == code


def sentence(capsys, *arguments):
    """Run a command that fails; return what it says."""
    capsys.readouterr()
    command(*arguments, code=2)
    message = capsys.readouterr().err
    assert "Traceback" not in message and message.count("\n") == 1
    return message


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """A checkpoint folder of the PyTorch reference, small."""
    folder = tmp_path_factory.mktemp("checkpoints") / "h2z"
    folder.mkdir()
    torch.manual_seed(0)
    for name in ("G_A", "G_B"):
        network = torch_networks.ResNet((2, 4, 8, 4, 2), [8])
        torch.save(network.state_dict(), folder / f"latest_net_{name}.pth")
    for name in ("D_A", "D_B"):
        network = torch_networks.PatchGAN(2, 1)
        torch.save(network.state_dict(), folder / f"latest_net_{name}.pth")
    return folder


@pytest.mark.parametrize("case", ["resnet9", "unet128_bce"])
def test_the_reference_through_the_command(case, shared, tmp_path):
    source = shared / "golden/pytorch" / case
    command("import", source, "--out", tmp_path / "keras")
    golden = np.load(source / "golden.npz")
    for name, image, expected in (
        ("generator_g", "real_x", "fake_y"),
        ("generator_f", "real_y", "fake_x"),
        ("discriminator_x", "real_x", "discriminator_x"),
        ("discriminator_y", "real_y", "discriminator_y"),
    ):
        network = keras.saving.load_model(tmp_path / f"keras/{name}.keras")
        if f"{expected}_before" in golden:
            np.testing.assert_allclose(
                network(golden[image][0].astype("float32")),
                golden[f"{expected}_before"],
                rtol=0,
                atol=1e-4,
            )

    command("export-pytorch", tmp_path / "keras", "--out", tmp_path / "pytorch")
    for path in source.glob("*.pth"):
        expected = read_state_dict(path)
        found = read_state_dict(tmp_path / "pytorch" / path.name)
        assert found.keys() == expected.keys()
        for key, array in expected.items():
            np.testing.assert_array_equal(found[key], array)


@pytest.mark.parametrize("name", ["latest_net_G", "after_latest_net_G"])
def test_a_pix2pix_generator_keeps_its_statistics(name, shared, tmp_path):
    """Those of a batch norm are real, unlike those that old instance norms kept."""
    source = shared / f"golden/pytorch/pix2pix/{name}.pth"
    command("import", source, "--out", tmp_path / "g.keras")
    assert_there_and_back(tmp_path / "g.keras", source, tmp_path / "pytorch")


def test_a_pix2pix_discriminator_takes_six_channels(shared, tmp_path, capsys):
    source = shared / "golden/pytorch/pix2pix/latest_net_D.pth"
    command("import", source, "--out", tmp_path / "d.keras")
    assert_there_and_back(tmp_path / "d.keras", source, tmp_path / "pytorch")
    capsys.readouterr()
    command("inspect", tmp_path / "d.keras")
    facts, said = capsys.readouterr()
    assert "6 in, 1 out" in facts and "batch, epsilon 1e-05" in facts
    assert "Next" not in said  # it translates nothing
    command("inspect", source)
    assert f"Next: cyclegan import {source} --out OUT" in capsys.readouterr().err


def assert_there_and_back(imported, source, folder):
    """Export what was imported; the file has the same bits, but for a counter."""
    command("export-pytorch", imported, "--out", folder)
    found = read_state_dict(folder / "latest_net_G.pth")
    expected = read_state_dict(source)
    assert found.keys() == expected.keys()
    for key, array in expected.items():
        if not key.endswith("num_batches_tracked"):
            np.testing.assert_array_equal(found[key], array, err_msg=key)


def test_gan_compression_through_the_command(shared, tmp_path, capsys):
    source = shared / "weights/horse2zebra_mobile"
    out = tmp_path / "horse2zebra.keras"
    command("import", source / "latest_net_G.pth", "--out", out)
    generator = keras.saving.load_model(out)
    sample = np.load(source / "io_sample.npz")
    np.testing.assert_allclose(
        generator(sample["x"].transpose(0, 2, 3, 1)),
        sample["y"].transpose(0, 2, 3, 1),
        rtol=0,
        atol=1e-4,
    )
    assert generator.count_params() == 356_867
    capsys.readouterr()
    command("inspect", out)
    assert "mobile ResNet generator (9 residual blocks" in capsys.readouterr().out

    photo = shared / "data/horse2zebra/testA/n02381460_1000.jpg"
    command("translate", out, photo, "--out", tmp_path / "out")
    assert (tmp_path / "out/n02381460_1000.jpg").is_file()


@pytest.mark.parametrize("source", ["generator.h5", "savedmodel"])
def test_addons_through_the_command(source, shared, tmp_path):
    out = tmp_path / "g.keras"
    command("import", shared / "golden/addons" / source, "--out", out)
    golden = np.load(shared / "golden/addons/golden.npz")
    script = """
import sys, keras, numpy as np
network = keras.saving.load_model(sys.argv[1])
assert not any(name.startswith("cyclegan_tf") for name in sys.modules)
np.save(sys.argv[2], network(np.load(sys.argv[3])["x"]))
"""
    found = tmp_path / "y.npy"
    where = [out, found, shared / "golden/addons/golden.npz"]
    subprocess.run(
        [sys.executable, "-c", script, *map(str, where)], check=True, cwd=tmp_path
    )
    np.testing.assert_allclose(np.load(found), golden["y"], rtol=0, atol=1e-4)


def test_what_is_written_says_where_it_came_from(checkpoints, tmp_path, capsys):
    source = checkpoints / "latest_net_G_A.pth"
    command("import", source, "--out", tmp_path / "g.keras")
    with zipfile.ZipFile(tmp_path / "g.keras") as archive:
        origin = json.loads(archive.comment)
    assert origin["file"] == "latest_net_G_A.pth" and len(origin["sha256"]) == 64
    capsys.readouterr()
    command("inspect", tmp_path / "g.keras")
    facts = capsys.readouterr().out
    for expected in (
        "PyTorch state dict, file latest_net_G_A.pth",
        "ResNet generator (1 residual block, 2 filters)",
        "instance, epsilon 1e-05",
        "3 in, 3 out",
        "sides that are multiples of 4",
    ):
        assert expected in facts


def test_nothing_is_replaced_unless_asked(checkpoints, tmp_path, capsys):
    source, out = checkpoints / "latest_net_G_A.pth", tmp_path / "g.keras"
    out.write_text("precious")
    assert "already exists" in sentence(capsys, "import", source, "--out", out)
    assert out.read_text() == "precious"
    command("import", source, "--out", out, "--overwrite")
    there = ("export-pytorch", out, "--out", tmp_path / "pytorch")
    command(*there)
    assert "latest_net_G.pth already exists" in sentence(capsys, *there)
    command(*there, "--overwrite")


def test_a_damaged_source_leaves_nothing_behind(checkpoints, tmp_path, capsys):
    source = tmp_path / "h2z"
    shutil.copytree(checkpoints, source)
    path = source / "latest_net_D_A.pth"
    path.write_bytes(path.read_bytes()[:500])
    message = sentence(capsys, "import", source, "--out", tmp_path / "keras")
    assert "latest_net_D_A.pth cannot be read as a PyTorch state dict" in message
    assert not (tmp_path / "keras").exists()


def test_mistakes(checkpoints, tmp_path, capsys):
    def importing(source, out="g.keras"):
        return sentence(capsys, "import", source, "--out", tmp_path / out)

    assert "There is no file or folder" in importing(tmp_path / "absent.pth")
    source = checkpoints / "latest_net_G_A.pth"
    assert "must be a file name that ends in .keras" in importing(source, "g.h5")
    (tmp_path / "empty").mkdir()
    assert "holds no networks" in importing(tmp_path / "empty", "out")
    (tmp_path / "notes.txt").touch()
    assert "does not have the suffix of a network" in importing(tmp_path / "notes.txt")
    torch.save({"encoder": torch.ones(2)}, tmp_path / "other.pth")
    assert "its first key 'encoder' is of no known" in importing(tmp_path / "other.pth")
    generator = cyclegan_tf.resnet_generator(2, 1, upsampling="nearest")
    generator.save(tmp_path / "resize.keras")
    export = ("export-pytorch", tmp_path / "resize.keras", "--out", tmp_path / "out")
    assert "no upsampling='nearest'" in sentence(capsys, *export)
    assert not (tmp_path / "out").exists()


def test_a_lambda_layer_is_never_deserialized(tmp_path, capsys):
    image = keras.Input((8, 8, 3))
    mark = tmp_path / "executed"
    path = str(mark)
    evil = keras.layers.Lambda(lambda x: (open(path, "w").close(), x)[1])
    keras.Model(image, evil(image)).save(tmp_path / "evil.keras")
    mark.unlink()  # the layer was called when it was made
    message = sentence(capsys, "inspect", tmp_path / "evil.keras")
    assert "cannot be read as a network of Keras 3" in message
    assert not mark.exists()


def test_a_norm_that_the_file_does_not_tell(tmp_path, caplog, capsys):
    network = torch_networks.ResNet((2, 4, 8, 4, 2), [8]).state_dict()
    bare = {key: network[key] for key in network if key.endswith("weight")}
    bare["model.18.bias"] = network["model.18.bias"]
    source, out = tmp_path / "bare.pth", tmp_path / "g.keras"
    torch.save(bare, source)
    command("import", source, "--out", out)
    assert architecture_of(read_network(out).network).options["norm"] == "none"
    assert "read as a network without norm" in caplog.text

    caplog.clear()
    for norm in ("instance", "none"):
        command("import", source, "--out", out, "--norm", norm, "--overwrite")
        assert architecture_of(read_network(out).network).options["norm"] == norm
    assert not caplog.text
    message = sentence(capsys, "import", out, "--out", out, "--norm", "batch")
    assert "g.keras records its normalization; leave out --norm" in message


WEB_PAGE = b"\n<!DOCTYPE html><html><head><title>404</title></head></html>"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 45588424\n"


@pytest.mark.parametrize("suffix", ["pth", "safetensors", "keras", "h5"])
def test_what_a_failed_download_leaves(suffix, tmp_path, capsys):
    source = tmp_path / f"latest_net_G.{suffix}"
    for content, name in ((WEB_PAGE, "a web page"), (POINTER, "a pointer of Git LFS")):
        source.write_bytes(content)
        message = sentence(capsys, "import", source, "--out", tmp_path / "g.keras")
        assert f"{source} is {name} instead of a model" in message
    if suffix == "keras":  # every other command reads it here
        with pytest.raises(InputError, match="is a pointer of Git LFS"):
            load_network(source)


@pytest.fixture(scope="module")
def vintage():
    """A trained CycleGAN in a package: affine norms, and blocks named otherwise."""
    spec = importlib.util.find_spec("vintagify")
    if spec is None:
        pytest.skip("vintagify is not installed: pip install --no-deps vintagify")
    return pathlib.Path(spec.origin).parent / "resources/G_A2B_epoch33.pth"


def test_a_trained_network_with_affine_norms(vintage, shared, tmp_path):
    """Its output is that of PyTorch, and so is that of what is exported again."""
    command("import", vintage, "--out", tmp_path / "vintage.keras")
    network = read_network(tmp_path / "vintage.keras").network
    assert architecture_of(network).options["norm"] == "instance_affine"
    command("export-pytorch", tmp_path / "vintage.keras", "--out", tmp_path)

    photo = shared / "data/horse2zebra/testA/n02381460_1000.jpg"
    image = normalize(read_image(photo)[None, :128, :128]).astype("float32")
    theirs = torch.load(vintage, weights_only=True, map_location="cpu")
    again = torch.load(tmp_path / "latest_net_G.pth", weights_only=True)
    theirs = {key.replace(".block.", ".conv_block."): theirs[key] for key in theirs}
    for state in (theirs, again):
        module = torch_networks.ResNet(
            (64, 128, 256, 128, 64), [256] * 9, "instance_affine"
        )
        module.load_state_dict(state, strict=True)
        with torch.no_grad():
            expected = module(torch.from_numpy(image.transpose(0, 3, 1, 2).copy()))
        np.testing.assert_allclose(
            network(image), expected.numpy().transpose(0, 2, 3, 1), rtol=0, atol=1e-4
        )


def test_the_newest_epoch_of_a_checkpoint_folder(checkpoints, tmp_path):
    for epoch in (5, 10, 200):
        for name in ("G_A", "G_B"):
            source = checkpoints / f"latest_net_{name}.pth"
            shutil.copyfile(source, tmp_path / f"{epoch}_net_{name}.pth")
    found = find_networks(tmp_path)
    assert list(found) == ["generator_g", "generator_f"]
    assert found["generator_g"].origin["file"] == "200_net_G_A.pth"
    shutil.copyfile(checkpoints / "latest_net_G_A.pth", tmp_path / "latest_net_G_A.pth")
    assert list(find_networks(tmp_path)) == ["generator_g"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    splits = ("trainA", "trainB", "testA", "testB")
    return tiny.write_domains(tmp_path_factory.mktemp("data"), 10, splits=splits)


TRAINING = [
    *("--load-size", 20, "--crop-size", 16, "--pool-size", 2),
    *("--constant-epochs", 1, "--decay-epochs", 0),
]


def test_training_from_a_checkpoint(checkpoints, data, tmp_path, capsys, eagerly):
    """Two steps; then the run is looked at, exported and started from once more."""
    images = ("--data", data, "--max-images", 2)
    start = ("train", "--init-from", checkpoints, *images)
    run_dir = tmp_path / "run"
    command(*start, "--run-dir", run_dir, *TRAINING)

    networks = Run(run_dir).config.networks
    assert (networks.filters, networks.num_residual_blocks) == (2, 1)
    assert (networks.discriminator_filters, networks.num_layers) == (2, 1)
    before = {name: p.network for name, p in find_networks(checkpoints).items()}
    after = {name: p.network for name, p in find_networks(run_dir).items()}
    assert after.keys() == before.keys()
    for name, network in after.items():
        # Two steps of Adam at 2e-4 away from there, and no more.
        assert 0 < tiny.largest_difference(network, before[name]) < 2 * 3e-4

    capsys.readouterr()
    command("inspect", run_dir)
    assert "checkpoint of a run, file" in capsys.readouterr().out
    command("export-pytorch", run_dir, "--out", tmp_path / "pytorch")
    state = torch.load(tmp_path / "pytorch/latest_net_G_B.pth", weights_only=True)
    torch_networks.ResNet((2, 4, 8, 4, 2), [8]).load_state_dict(state, strict=True)
    command("import", tmp_path / "pytorch", "--out", tmp_path / "keras")
    for name, network in after.items():
        again = keras.saving.load_model(tmp_path / f"keras/{name}.keras")
        assert tiny.largest_difference(network, again) == 0.0
    start = ("train", "--init-from", tmp_path / "keras", *images)
    command(*start, "--run-dir", tmp_path / "second", *TRAINING)


def test_an_imported_pair_learns(shared):
    """Ten steps from the reference's start weights: the cycle loss falls."""
    keras.utils.set_random_seed(0)
    found = find_networks(shared / "golden/pytorch/resnet9")
    model = cyclegan_tf.CycleGAN(**{name: p.network for name, p in found.items()})
    model.compile()
    real_x, real_y = (tiny.images(1, side=32, seed=seed) for seed in (1, 2))
    losses = []
    for _ in range(10):
        model.reset_metrics()
        logs = model.train_on_batch(real_x, real_y, return_dict=True)
        losses.append(float(logs["cycle_x_loss"] + logs["cycle_y_loss"]))
    assert losses[-1] == min(losses) < 0.97 * losses[0]


def test_what_is_lacking_starts_new(shared, data, tmp_path, eagerly):
    """GAN Compression published one direction, and no discriminators."""
    source = shared / "weights/horse2zebra_mobile"
    where = ("--data", data, "--run-dir", tmp_path / "run", "--max-images", 1)
    small = ("--discriminator-filters", 2, "--num-layers", 1)
    command("train", "--init-from", source, *where, *small, *TRAINING)
    networks = Run(tmp_path / "run").config.networks
    assert networks.generator == "mobile_resnet" and networks.num_layers == 1
    generator = keras.saving.load_model(tmp_path / "run/generator_f.keras")
    assert architecture_of(generator).kind == "mobile_resnet"


def test_a_mobile_generator_from_scratch(data, tmp_path, eagerly):
    options = ("--generator", "mobile_resnet", "--mobile-filters", 2, 2, 4, 2, 2)
    options += ("--mobile-block-filters", 3, 5, "--norm", "instance_affine")
    options += ("--discriminator-filters", 2, "--padding", "same")
    where = ("--data", data, "--run-dir", tmp_path / "run", "--max-images", 2)
    command("train", *options, *where, *TRAINING)
    found = architecture_of(read_network(tmp_path / "run/generator_g.keras").network)
    assert found.options["block_filters"] == (3, 5)
    assert found.options["padding"] == "same"
    command("train", "--resume", tmp_path / "run", "--decay-epochs", 1)


def test_networks_that_do_not_belong_together():
    config = TrainConfig(DatasetConfig("demo"), NetworkConfig(init_from="folder"))
    g = cyclegan_tf.resnet_generator(2, 1)
    with pytest.raises(InputError, match="generator_g has filters=2, but generator_f"):
        adopt_networks(
            config,
            {"generator_g": g, "generator_f": cyclegan_tf.resnet_generator(4, 1)},
        )
    with pytest.raises(InputError, match="discriminator_x to start from is not a disc"):
        adopt_networks(config, {"discriminator_x": g})
    gray = cyclegan_tf.resnet_generator(2, 1, image_shape=(None, None, 1))
    adopted = adopt_networks(config, {"generator_g": gray})
    assert (adopted.dataset.channels_x, adopted.dataset.channels_y) == (1, 1)
    with pytest.raises(InputError, match="images of 4 channels"):
        four = cyclegan_tf.resnet_generator(2, 1, image_shape=(None, None, 4))
        adopt_networks(config, {"generator_g": four})
    with pytest.raises(InputError, match="has channels_y=1, but generator_f"):
        adopt_networks(config, {"generator_g": gray, "generator_f": g})
