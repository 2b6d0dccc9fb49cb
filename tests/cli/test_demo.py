"""The built-in domains, and the demo from beginning to end."""

import dataclasses

import numpy as np
import pytest

from cyclegan_tf.cli import demo
from cyclegan_tf.cli import main as cli
from cyclegan_tf.config.options import NetworkConfig
from cyclegan_tf.data.demo import TEST_IMAGES, demo_images, draw_scene
from cyclegan_tf.images import find_images, read_image


def test_the_same_images_at_every_call():
    first, again = demo_images("testA"), demo_images("testA")
    assert len(first) == TEST_IMAGES
    np.testing.assert_array_equal(np.stack(first), np.stack(again))
    assert first[0].dtype == np.uint8 and first[0].shape == (48, 48, 3)


def test_only_the_objects_differ_in_a_test_pair():
    for plain, striped in zip(demo_images("testA"), demo_images("testB")):
        changed = np.abs(plain.astype(int) - striped).max(axis=-1) > 10
        assert 0.05 < changed.mean() < 0.7
        # Stripes have rows that are dark throughout and rows that are light.
        values = striped[changed].mean(axis=-1)
        assert values.min() < 60 and values.max() > 150


def test_training_scenes_are_unpaired_and_not_tested_on():
    train_x, train_y = demo_images("trainA"), demo_images("trainB")
    test_x = {image.tobytes() for image in demo_images("testA")}
    assert len({image.tobytes() for image in train_x}) == len(train_x)
    assert not test_x & {image.tobytes() for image in train_x}
    scenes_of_y = {draw_scene(1_000_000 + i, True).tobytes() for i in range(20)}
    assert scenes_of_y == {image.tobytes() for image in train_y[:20]}


def test_the_demo(tmp_path, monkeypatch, capsys):
    """With networks too small and a training too short to be good."""
    tiny_config = dataclasses.replace(
        demo.DEMO_CONFIG,
        dataset=dataclasses.replace(demo.DEMO_CONFIG.dataset, max_images=4),
        networks=NetworkConfig(
            filters=2, num_residual_blocks=1, discriminator_filters=2, num_layers=1
        ),
        optimization=dataclasses.replace(
            demo.DEMO_CONFIG.optimization, constant_epochs=1, decay_epochs=0
        ),
    )
    monkeypatch.setattr(demo, "DEMO_CONFIG", tiny_config)
    run_dir = tmp_path / "demo"
    assert cli.main(["demo", "--run-dir", str(run_dir)]) == 0
    printed = capsys.readouterr().out

    truth = np.stack(demo_images("testB")).astype(float)
    doing_nothing = np.abs(np.stack(demo_images("testA")) - truth).mean()
    paths = find_images(run_dir / "translated/g")
    assert len(paths) == TEST_IMAGES
    translated = np.abs(np.stack([read_image(path) for path in paths]) - truth).mean()
    assert f"g: doing nothing {doing_nothing:.1f}" in printed
    assert f"translated {translated:.1f}" in printed
    assert f"(ratio {translated / doing_nothing:.2f})" in printed
    assert read_image(run_dir / "contact_sheet.png").shape[0] > 8 * 192


@pytest.mark.parametrize("split", ["trainA", "trainB"])
def test_enough_to_train_on(split):
    assert len(demo_images(split)) == 400
