"""The built-in domains."""

import numpy as np
import pytest

from cyclegan_tf.data.demo import TEST_IMAGES, demo_images, draw_scene


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


@pytest.mark.parametrize("split", ["trainA", "trainB"])
def test_enough_to_train_on(split):
    assert len(demo_images(split)) == 400
