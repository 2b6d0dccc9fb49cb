"""The benchmarks compare equals, count correctly, and write what they have measured."""

import math
import subprocess
import sys

import keras
import measuring
import numpy as np
import pytest
import pytorch_peer
import roofline
import tensorflow as tf
import tiny
import torch
import tutorial_structure
from torch_networks import InstanceNorm2d, PatchGAN, ResNet

import cyclegan_tf
from cyclegan_tf.pretrained.pytorch.keys import weights_by_key
from cyclegan_tf.pretrained.pytorch.weights import state_dict_of

STEPS = 2
FILTERS = 4
BENCHMARKS = measuring.HERE


@pytest.fixture(scope="module")
def training():
    """Our model in float64 before and after some steps, and their losses."""
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    start = copy_of(tiny.cyclegan(FILTERS, resnet=True))
    model = copy_of(start)
    model.compile(run_eagerly=True)  # twice as fast for so few steps
    model.build_for(*(batch.shape for batch in batches()[0]))
    losses = []
    for batch in batches():
        model.reset_metrics()
        logs = model.train_on_batch(*batch, return_dict=True)
        losses.append({name: float(logs[name]) for name in model.loss_names})
    yield start, model, losses
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def batches():
    images = tiny.images(2 * STEPS, side=32).astype("float64")
    return [(images[i : i + 1], images[i + 1 : i + 2]) for i in range(0, 2 * STEPS, 2)]


def networks_of(model):
    return list(model.networks.values())


def copy_of(model):
    copy = tiny.cyclegan(FILTERS, resnet=True)
    for source, target in zip(networks_of(model), networks_of(copy)):
        # In the precision in which weights go to PyTorch.
        target.set_weights([w.astype("float32") for w in source.get_weights()])
    return copy


def peer_of(model):
    networks = [ResNet((4, 8, 16, 8, 4), [16]) for _ in range(2)]
    networks += [PatchGAN(FILTERS, 2) for _ in range(2)]
    for ours, theirs in zip(networks_of(model), networks):
        state_dict = state_dict_of(ours)
        theirs.load_state_dict({k: torch.from_numpy(v) for k, v in state_dict.items()})
        theirs.double()
    # PyTorch adds epsilon after the bias correction, Keras before: so they are the
    # same in the first step, and near in the next ones.
    return networks, pytorch_peer.CycleGAN(
        *networks, epsilon=1e-8 / math.sqrt(1 - 0.999)
    )


def test_the_pytorch_peer_trains_as_we_do(training):
    start, model, losses = training
    networks, peer = peer_of(start)
    for expected, batch in zip(losses, batches()):
        found = peer.step(*map(pytorch_peer.on_device, batch))
        assert found == pytest.approx(expected, rel=1e-6)
    for ours, theirs in zip(networks_of(model), networks):
        state_dict = theirs.state_dict()
        for key, variable, axes in weights_by_key(ours):
            # Two steps of Adam move most weights by 4e-4.
            np.testing.assert_allclose(
                state_dict[key].cpu().numpy().transpose(axes), variable, atol=1e-6
            )


def test_the_tutorial_structure_trains_as_we_do(training):
    start, model, losses = training
    copy = copy_of(start)
    step = tutorial_structure.make_train_step(*networks_of(copy))
    for expected, batch in zip(losses, batches()):
        found = step(*map(tf.constant, batch))
        found = {name: float(value) for name, value in found.items()}
        del (expected := dict(expected))["generator_loss"]
        assert found == pytest.approx(expected, rel=1e-6)
    for ours, theirs in zip(networks_of(model), networks_of(copy)):
        # Keras's Adam rounds beta_2 to float32, to 0.999 + 1.3e-8, which changes its
        # bias correction by 1e-5; the weights move by 4e-4, those of the second step
        # against gradients that have changed, too.
        assert tiny.largest_difference(ours, theirs) < 1e-6


def test_the_instance_norm_of_the_peer_is_right_in_any_layout():
    images, factors = torch.randn(2, 1, 4, 8, 8, dtype=torch.float64)
    gradients = []
    for layout in (torch.contiguous_format, torch.channels_last):
        image = images.clone(memory_format=layout).requires_grad_()
        InstanceNorm2d(4)(image).backward(factors.to(memory_format=layout))
        gradients.append(image.grad)
    torch.testing.assert_close(*gradients)


def test_the_pool_of_the_peer_swaps_half_of_the_time():
    pool = pytorch_peer.ImagePool(3)
    images = torch.arange(200.0).reshape(200, 1, 1, 1)
    returned = pool.exchange(images)
    assert torch.equal(returned[:3], images[:3])
    new = (returned[3:] == images[3:]).float().mean()
    assert 0.35 < new < 0.65
    assert torch.equal(pytorch_peer.ImagePool(0).exchange(images), images)


def test_flop_by_hand():
    generator = cyclegan_tf.resnet_generator(2, 1)
    stem, head = 8 * 8 * 7 * 7 * 3 * 2, 8 * 8 * 7 * 7 * 2 * 3
    down = 4 * 4 * 9 * 2 * 4 + 2 * 2 * 9 * 4 * 8
    block = 2 * (2 * 2 * 9 * 8 * 8)
    up = 2 * 2 * 9 * 8 * 4 + 4 * 4 * 9 * 4 * 2
    everything = 2 * (stem + down + block + up + head)
    assert roofline.network_flop(generator, 8) == (everything, 2 * stem)

    discriminator = cyclegan_tf.patchgan_discriminator(2, 1)
    # 16 pixels a side become 8, 7 and 6.
    layers = [8 * 8 * 16 * 3 * 2, 7 * 7 * 16 * 2 * 4, 6 * 6 * 16 * 4 * 1]
    assert roofline.network_flop(discriminator, 16) == (2 * sum(layers), 2 * layers[0])


def test_flop_of_the_default_step():
    # Products in a generator: 18 convolutions of 3x3 on 64x64x256, and 6.06e9 in its
    # other layers; in a discriminator 3.15e9. Forward and two gradients for six
    # translations, and 16 passes of discriminators; first layers save 5e9.
    generator, discriminator = 2 * (18 * 9 * 64**2 * 256**2 + 6.06e9), 2 * 3.15e9
    by_hand = 3 * 6 * generator + 16 * discriminator - 5e9
    assert by_hand == pytest.approx(1.88e12, rel=1e-3)
    assert roofline.counter()(256) == pytest.approx(by_hand, rel=1e-3)


def test_turns_ratios_and_spread():
    order = []
    results = measuring.in_turns(
        3, {name: lambda name=name: order.append(name) or len(order) for name in "ab"}
    )
    assert order == ["a", "b"] * 3
    assert results == {"a": [1, 3, 5], "b": [2, 4, 6]}
    assert measuring.ratios([1, 9], [2, 3]) == [0.5, 3.0]
    assert measuring.spread([3, 1, 2], " s") == "2.00 s (1.00 to 3.00)"
    assert measuring.spread([3.14], digits=1) == "3.1"


def test_a_section_is_appended(tmp_path, monkeypatch, capsys):
    results = tmp_path / "RESULTS.md"
    results.write_text("# Results\n")
    monkeypatch.setattr(measuring, "RESULTS", results)
    monkeypatch.setattr("sys.argv", ["somewhere/training_step.py", "64"])
    measuring.append(
        "A step", measuring.machine(), "Read it.", [("a", "b"), ("1", "2")]
    )
    text = results.read_text()
    assert text.startswith("# Results\n\n## A step, 2")
    assert "\n`python benchmarks/training_step.py 64`, " in text
    for part in ("cores", "GB", "Python 3.", "TensorFlow 2.", "Keras 3.", "PyTorch 2."):
        assert part in " ".join(text.split())
    assert text.endswith("Read it.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n")
    assert max(map(len, text.splitlines())) <= 88
    assert capsys.readouterr().out.strip() in text


def test_a_contestant_works_when_it_is_asked_to(tmp_path, monkeypatch):
    (tmp_path / "adding.py").write_text(
        "print('not an answer')\n"
        "def prepare(first):\n"
        "    return lambda *numbers: first + sum(numbers)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    with measuring.Contestant("adding:prepare", first=1) as contestant:
        assert contestant.import_seconds > contestant.build_seconds > 0
        assert contestant.run()["result"] == 1
        answer = contestant.run(2, 3)
        assert answer["result"] == 6
        assert 0 < answer["seconds"] < 1 and answer["peak_bytes"] > 1e6
        with pytest.raises(RuntimeError, match="TypeError: unsupported operand"):
            contestant.run("2")


def test_make_bench_runs_every_script():
    makefile = (BENCHMARKS.parent / "Makefile").read_text()
    scripts = {
        path.name
        for path in BENCHMARKS.glob("*.py")
        if "measuring.append(" in path.read_text()
    }
    assert len(scripts) == 12
    assert all(f"benchmarks/{name}" in makefile for name in scripts)


def test_the_gpu_script_prints_rows_on_a_processor():
    """The first row of each framework; for the others it has no time."""
    process = subprocess.run(
        [sys.executable, BENCHMARKS / "gpu.py", "1", "32"],
        capture_output=True,
        text=True,
        check=True,
    )
    headings, *rows = [line.split(" | ") for line in process.stdout.splitlines()]
    measured = [row for row in rows if row[-1] != "no time left"]
    assert [row[0] for row in measured] == ["ours", "PyTorch"]
    for row in measured:
        assert len(row) == len(headings)
        assert float(row[headings.index("ms a step")]) > 0
    assert len(rows) == 2 * 9 + 9
