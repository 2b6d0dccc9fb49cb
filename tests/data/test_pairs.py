"""Pairs of images: found, kept together, cropped and mirrored alike."""

import numpy as np
import pytest
import tiny

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.config.options import (
    CUTObjective,
    DatasetConfig,
    Pix2PixObjective,
    TrainConfig,
)
from cyclegan_tf.data.batches import training_batches
from cyclegan_tf.data.demo import demo_images
from cyclegan_tf.data.domains import load_domains
from cyclegan_tf.images import write_image


def load(folder, objective=None, **dataset):
    sizes = {"load_size": 20, "crop_size": 16}
    config = TrainConfig(
        DatasetConfig(str(folder), **(sizes | dataset)),
        objective=objective or Pix2PixObjective(),
    )
    return load_domains(config, 4)


def scene(seed, width=24):
    return np.random.default_rng(seed).integers(60, 180, (24, width, 3), np.uint8)


@pytest.fixture
def side_by_side(tmp_path):
    """Files whose right half is the left one, 50 levels lighter."""
    for split, count in (("train", 5), ("test", 2)):
        for i in range(count):
            both = np.concatenate([scene(i), scene(i) + np.uint8(50)], axis=1)
            write_image(tmp_path / split / f"{i}.png", both)
    return tmp_path


def batches(domains, steps, **options):
    x, y = domains.train["x"], domains.train["y"]
    return list(training_batches(x, y, paired=True, **options).take(steps))


def test_halves_of_a_file_share_order_crop_and_flip(side_by_side):
    domains = load(side_by_side)
    assert domains.paired_training and domains.paired_test
    assert len(domains.train["x"]) == 5 and len(domains.test["y"]) == 2
    for x, y in batches(domains, 12):
        np.testing.assert_allclose(y - x, 50 / 127.5, atol=2.5 / 127.5)


def test_the_other_direction(side_by_side):
    domains = load(side_by_side, direction="BtoA")
    for x, y in batches(domains, 3):
        np.testing.assert_allclose(x - y, 50 / 127.5, atol=2.5 / 127.5)


def test_of_an_odd_width_the_right_half_has_more(tmp_path):
    both = np.concatenate([scene(0, 20), scene(1, 21)], axis=1)
    write_image(tmp_path / "train" / "a.png", both)
    domains = load(tmp_path, preprocess="resize_and_crop")
    left, right = (domains.train[name].decoded(0) for name in "xy")
    np.testing.assert_array_equal(left, both[:, :20])
    np.testing.assert_array_equal(right, both[:, 20:])
    with pytest.raises(InputError, match="must be of one size.* 20x24 and 21x24"):
        load(tmp_path, preprocess="crop")


def test_equal_names_in_two_folders(tmp_path):
    for i, name in enumerate(("b.png", "sub/a.png", "c.png")):
        write_image(tmp_path / "trainA" / name, scene(i))
        write_image((tmp_path / "trainB" / name).with_suffix(".bmp"), scene(i))
    for x, y in batches(load(tmp_path), 6):
        np.testing.assert_array_equal(x, y)
    (tmp_path / "trainB/c.bmp").rename(tmp_path / "trainB/d.bmp")
    with pytest.raises(InputError, match="[cd] of .* has no partner in .*train"):
        load(tmp_path)


def test_two_images_for_one_partner(tmp_path):
    for name in ("trainA/a.png", "trainA/a.bmp", "trainB/a.png"):
        write_image(tmp_path / name, scene(0))
    both = f"{tmp_path}/trainA/a.bmp and {tmp_path}/trainA/a.png"
    with pytest.raises(InputError, match=f"{both} have the same partner in"):
        load(tmp_path)


def test_a_pair_that_is_listed_twice_is_one_pair(tmp_path):
    for name, file in (("A", "a.png"), ("B", "a.bmp")):
        write_image(tmp_path / file, scene(0))
        (tmp_path / f"train{name}.txt").write_text(f"{file}\n" * 2)
    assert len(load(tmp_path).train["x"]) == 1


@pytest.mark.parametrize("what", ["header", "pixels"])
@pytest.mark.parametrize("half", ["trainA", "trainB"])
def test_a_damaged_image_takes_its_partner_along(what, half, tmp_path):
    for i in range(5):
        for split in ("trainA", "trainB"):
            write_image(tmp_path / split / f"{i}.png", scene(i))
    path = tmp_path / half / "2.png"
    content = path.read_bytes()
    path.write_bytes(b"damaged" if what == "header" else content[:200])
    domains = load(tmp_path)
    seen = batches(domains, 15)
    for x, y in seen:
        np.testing.assert_array_equal(x, y)
    assert len(domains.train["x"]) == (4 if what == "header" else 5)
    domains.train["x"].verify()
    x, y = domains.train["x"], domains.train["y"]
    assert len(x) == len(y) == 4
    for i in range(4):
        np.testing.assert_array_equal(x[i], y[i])


def test_the_demo_has_pairs():
    a, b = (demo_images(split, paired=True) for split in ("trainA", "trainB"))
    background = np.mean([np.all(x == y, axis=-1).mean() for x, y in zip(a, b)])
    assert background > 0.5
    assert not np.array_equal(demo_images("trainB")[0], b[0])


def test_tensorflow_datasets_have_none():
    with pytest.raises(InputError, match="has no pairs"):
        load("tfds:cycle_gan/facades")


def test_random_crops_end_where_the_rate_begins_to_fall(tmp_path):
    tiny.write_domains(tmp_path, 4)
    domains = load(tmp_path, CUTObjective())
    x, y = domains.train["x"], domains.train["y"]
    stream = list(training_batches(x, y, 2, jitter_steps=3).take(8))
    whole = [x.preprocessing.for_evaluation().resize(x.decoded(i)) for i in range(4)]
    whole = [image / 127.5 - 1 for image in whole]

    def is_whole(image):
        either = (image, image[:, ::-1])  # flips go on
        return any(
            np.allclose(one, other, atol=1e-5) for one in either for other in whole
        )

    found = [[is_whole(np.asarray(image)) for image in batch] for batch, _ in stream]
    assert not np.any(found[:3]) and np.all(found[3:])
    plain = list(training_batches(x, y, 2).take(3))
    for (jittered, _), (expected, _) in zip(stream, plain):
        np.testing.assert_array_equal(jittered, expected)


def test_pairs_whose_other_halves_are_all_damaged(tmp_path):
    for split in ("trainA", "trainB"):
        write_image(tmp_path / split / "a.png", scene(0))
    path = tmp_path / "trainB/a.png"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match="None of the images can be read"):
        load(tmp_path)
