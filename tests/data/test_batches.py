"""From files to a stream of batches."""

import itertools
import pathlib

import numpy as np
import PIL.ExifTags
import PIL.Image
import pytest
import tensorflow as tf
import tiny

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.config.options import DatasetConfig, TrainConfig
from cyclegan_tf.data.batches import (
    evaluation_batches,
    evaluation_steps,
    reading_errors_in_words,
    steps_per_epoch,
    training_batches,
)
from cyclegan_tf.data.domains import Domain, load_domains
from cyclegan_tf.data.preprocessing import Preprocessing
from cyclegan_tf.data.sources import Source, find_sources
from cyclegan_tf.images import read_image, write_image
from cyclegan_tf.images.reading import read_size

STILL = Preprocessing("none", flip=False)


def numbered(count, side=8):
    """A domain whose images say their number."""
    return Domain(
        [Source(str(i), np.full((side, side, 3), i, np.uint8)) for i in range(count)],
        STILL,
    )


def numbers(batch):
    return (np.asarray(batch)[:, 0, 0, 0] * 127.5 + 127.5).round().astype(int).tolist()


def draw(domain_x, domain_y, steps, **options):
    batches = training_batches(domain_x, domain_y, **options).take(steps)
    pairs = [(numbers(x), numbers(y)) for x, y in batches]
    return [list(itertools.chain(*side)) for side in zip(*pairs)]


def gradient(height, width):
    """An image whose every pixel is different."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, rows * 0], axis=-1).astype(np.uint8)


def test_an_epoch_is_as_long_as_the_larger_domain():
    assert steps_per_epoch(numbered(7), numbered(3), 1) == 7
    assert steps_per_epoch(numbered(3), numbered(7), 2) == 4


def test_every_image_comes_once_before_any_comes_again():
    xs, ys = draw(numbered(7), numbered(3), 21)
    for start in range(0, 21, 7):
        assert sorted(xs[start : start + 7]) == list(range(7))
    for start in range(0, 21, 3):
        assert sorted(ys[start : start + 3]) == list(range(3))


def test_order_and_pairing_change_each_epoch():
    xs, ys = draw(numbered(20), numbered(20), 40)
    assert xs[:20] != xs[20:] and xs[:20] != ys[:20]
    assert list(zip(xs[:20], ys[:20])) != list(zip(xs[20:], ys[20:]))


def test_seeds_decide_the_order():
    first = draw(numbered(9), numbered(9), 9, seed=4)
    assert draw(numbered(9), numbered(9), 9, seed=4) == first
    assert draw(numbered(9), numbered(9), 9, seed=5) != first


def test_no_order_comes_again():
    """TensorFlow's own shuffle repeats itself after 256 passes or 128 seeds."""
    domains = numbered(20), numbered(1)
    first, _ = draw(*domains, 20)
    later, _ = draw(*domains, 20, first_step=256 * 20)
    other, _ = draw(*domains, 20, seed=128)
    assert len({tuple(first), tuple(later), tuple(other)}) == 3


def test_one_image_is_a_domain_too():
    xs, ys = draw(numbered(1), numbered(2), 4)
    assert xs == [0] * 4 and sorted(ys[:2]) == [0, 1]


def test_a_stream_can_start_anywhere():
    sources = [Source(str(i), gradient(40, 40) + np.uint8(i)) for i in range(5)]
    domain = Domain(sources, Preprocessing("crop", crop_size=16))
    whole = list(training_batches(domain, domain, 2, seed=1).take(8))
    rest = list(training_batches(domain, domain, 2, seed=1, first_step=5).take(3))
    for (x, y), (rest_x, rest_y) in zip(whole[5:], rest, strict=True):
        np.testing.assert_array_equal(x, rest_x)
        np.testing.assert_array_equal(y, rest_y)


def test_workers_make_the_global_batch_between_them():
    """Four replicas of two workers: each image of a step once, in its order."""
    domains = numbered(12), numbered(7)
    contexts = [tf.distribute.InputContext(2, worker, 4) for worker in range(2)]
    whole = training_batches(*domains, 8, seed=3, first_step=1).take(3)
    parts = [iter(training_batches(*domains, 8, 3, 1, context)) for context in contexts]
    for batch in whole:
        of_step = [next(part) for part in parts for _ in range(2)]
        assert all(len(x) == len(y) == 2 for x, y in of_step)
        for expected, found in zip(batch, zip(*of_step)):
            np.testing.assert_array_equal(expected, np.concatenate(found))


def test_workers_share_the_evaluation():
    batches = [
        evaluation_batches(
            numbered(9), numbered(9), 5, 4, tf.distribute.InputContext(2, worker, 2)
        )
        for worker in range(2)
    ]
    found = [[numbers(x) for x, _ in part] for part in batches]
    assert found == [[[0, 1], [4, 0]], [[2, 3], [1, 2]]]
    assert evaluation_steps(numbered(9), numbered(9), 5, 4) == 2


def test_two_epochs_give_different_crops_and_flips():
    domain = Domain(
        [Source("a", gradient(40, 40))], Preprocessing("crop", crop_size=16)
    )
    crops, mirrored = set(), 0
    for x, _ in training_batches(domain, domain).take(60):
        corner = (np.asarray(x)[0] * 127.5 + 127.5).round()
        crops.add(tuple(corner[0, 0]))
        mirrored += corner[0, 0, 1] > corner[0, 1, 1]
    assert len(crops) > 40
    assert 15 < mirrored < 45


def test_crop_and_flip_are_drawn_independently():
    preprocessing = Preprocessing("crop", crop_size=16)
    image = gradient(40, 40)
    tops = {False: [], True: []}
    for i in range(200):
        found = preprocessing.augment(tf.constant(image), tf.constant([0, i], tf.int64))
        tops[bool(found[0, 0, 1] > found[0, 1, 1])].append(int(found[0, 0, 0]))
    assert np.mean(tops[False]) == pytest.approx(np.mean(tops[True]), abs=3.5)


def test_augmentation_is_the_same_eagerly_and_in_a_pipeline():
    preprocessing = Preprocessing("crop", crop_size=16)
    image, seed = tf.constant(gradient(40, 40)), tf.constant([3, 5], tf.int64)
    [mapped] = tf.data.Dataset.from_tensors(image).map(
        lambda image: preprocessing.augment(image, seed)
    )
    np.testing.assert_array_equal(preprocessing.augment(image, seed), mapped)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("resize_and_crop", (20, 20)),
        ("crop", (30, 61)),
        ("scale_width", (20, 28)),  # as high as the crop, rounded to fours
        ("scale_width_and_crop", (20, 28)),
        ("none", (32, 60)),
    ],
)
def test_resize(mode, expected):
    load_size = 20 if mode == "resize_and_crop" else 28
    preprocessing = Preprocessing(mode, load_size, crop_size=20)
    assert preprocessing.resize(gradient(30, 61)).shape == (*expected, 3)


def test_evaluation_has_no_chance():
    preprocessing = Preprocessing("resize_and_crop", 24, 16).for_evaluation()
    domain = Domain([Source("a", gradient(16, 16))], preprocessing)
    for _ in range(2):
        [(x, _)] = evaluation_batches(domain, domain, 5)
        pixels = (np.asarray(x)[0] * 127.5 + 127.5).round()
        np.testing.assert_array_equal(pixels, gradient(16, 16))


@pytest.mark.parametrize("mode", ["scale_width", "none"])
def test_what_is_not_cropped_is_evaluated_as_large_as_trained(mode):
    preprocessing = Preprocessing(mode, load_size=40, crop_size=16)
    still = preprocessing.for_evaluation()
    image = gradient(30, 61)
    trained, evaluated = (each.resize(image) for each in (preprocessing, still))
    np.testing.assert_array_equal(still.crop_center(evaluated), trained)


def test_evaluation_fills_up_its_batches():
    batches = evaluation_batches(numbered(7), numbered(5), 3, batch_size=2)
    assert [numbers(x) for x, _ in batches] == [[0, 1], [2, 0]]
    assert len(evaluation_batches(numbered(7), numbered(5), 20)) == 5


def test_evaluation_crops_the_centre():
    preprocessing = Preprocessing("crop", crop_size=8).for_evaluation()
    crop = preprocessing.crop_center(gradient(16, 12))
    assert crop.shape == (8, 8, 3) and crop[0, 0].tolist() == [4, 2, 0]


def test_batches_are_float32_in_range_and_of_static_shape():
    domain = Domain([Source("a", gradient(40, 30))], Preprocessing("crop", 0, 16))
    dataset = training_batches(domain, domain, batch_size=3)
    for spec in dataset.element_spec:
        assert spec.shape == (3, 16, 16, 3) and spec.dtype == tf.float32
    [(x, _)] = dataset.take(1)
    assert np.min(x) >= -1 and np.max(x) <= 1


def test_cache_beyond_its_limit_decodes_anew(tmp_path):
    tiny.write_domains(tmp_path, count=3)
    sources = find_sources(str(tmp_path), "trainA")
    small = Domain(sources, STILL, cache_bytes=2 * 24 * 24 * 3)
    large = Domain(sources, STILL)
    assert (small.cached_bytes, large.cached_bytes) == (
        2 * 24 * 24 * 3,
        3 * 24 * 24 * 3,
    )
    before = [(small[i], large[i]) for i in range(3)]
    for source in sources:
        source.content.unlink()
    for i in range(2):
        np.testing.assert_array_equal(small[i], before[i][0])
        np.testing.assert_array_equal(large[i], before[i][0])
    np.testing.assert_array_equal(large[2], before[2][1])
    np.testing.assert_array_equal(small[2], small[0])  # the next one that is there
    assert "2.png" in small.left_out[0]


def test_unreadable_images_are_left_out_and_named(tmp_path, caplog):
    tiny.write_domains(tmp_path, count=3)
    (tmp_path / "trainA/1.png").write_bytes(b"damaged")
    domain = Domain(find_sources(str(tmp_path), "trainA"), STILL)
    assert [pathlib.Path(name).name for name in domain.names] == ["0.png", "2.png"]
    assert "1.png" in domain.left_out[0] and "1.png" in caplog.text


def damage(path):
    """Keep the header of an image, and lose most of its pixels."""
    path.write_bytes(path.read_bytes()[:200])


def test_damaged_pixels_are_found_when_they_are_read(tmp_path, caplog):
    """Only headers are read at the start; the order of a stream stays the same."""
    tiny.write_domains(tmp_path, count=4)
    whole = Domain(find_sources(str(tmp_path), "trainA"), STILL)
    expected = [np.asarray(x) for x, _ in training_batches(whole, whole).take(8)]
    damage(tmp_path / "trainA/1.png")
    domain = Domain(find_sources(str(tmp_path), "trainA"), STILL)
    assert len(domain) == 4 and not domain.left_out
    found = [np.asarray(x) for x, _ in training_batches(domain, domain).take(8)]
    assert len(domain.left_out) == 1 and "1.png" in caplog.text
    differing = [i for i in range(8) if not np.array_equal(found[i], expected[i])]
    assert len(differing) == 2  # once in each pass
    np.testing.assert_array_equal(domain[1], whole[2])
    domain.verify()
    assert [pathlib.Path(name).stem for name in domain.names] == ["0", "2", "3"]
    np.testing.assert_array_equal(domain[1], whole[2])


def test_an_image_with_damaged_pixels_counts_once(tmp_path, caplog):
    tiny.write_domains(tmp_path, count=10)
    damage(tmp_path / "trainA/0.png")
    (tmp_path / "trainA/1.png").write_bytes(b"damaged")
    load_domains(TrainConfig(DatasetConfig(str(tmp_path), load_size=286)), 4)
    assert "train, domain X: 2 of 10 images cannot be read" in caplog.text


def test_a_domain_is_a_sequence():
    domain = numbered(4)
    assert [int(image[0, 0, 0]) for image in domain] == [0, 1, 2, 3]
    assert [int(image[0, 0, 0]) for image in domain[1:3]] == [1, 2]
    assert int(domain[-1][0, 0, 0]) == 3
    with pytest.raises(IndexError):
        domain[4]


def test_no_readable_pixels(tmp_path):
    tiny.write_domains(tmp_path, count=2)
    for path in (tmp_path / "trainA").iterdir():
        damage(path)
    domain = Domain(find_sources(str(tmp_path), "trainA"), STILL)
    with pytest.raises(InputError, match="None of the images can be read; the last"):
        domain[0]


def test_training_images_that_stand_in_for_test_images_are_named(tmp_path, caplog):
    tiny.write_domains(tmp_path, 2, splits=("trainA", "trainB", "testA"))
    load_domains(TrainConfig(DatasetConfig(str(tmp_path))), 4)
    assert "lacks test images; training images stand in" in caplog.text


def test_training_images_are_cached_first(tmp_path, caplog):
    tiny.write_domains(tmp_path, 4, splits=("trainA", "trainB", "testA", "testB"))
    image_bytes = 20 * 20 * 3
    config = TrainConfig(
        DatasetConfig(
            str(tmp_path),
            load_size=20,
            crop_size=16,
            cache_gb=9 * image_bytes / 1e9,
        )
    )
    domains = load_domains(config, 4)
    cached = [domains.train[name].cached_bytes for name in "xy"]
    assert cached == [4 * image_bytes] * 2
    assert domains.test["x"].cached_bytes == 16 * 16 * 3
    assert domains.test["y"].cached_bytes == 0
    assert "lacks" not in caplog.text


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_the_size_in_the_header_is_that_of_the_upright_image(orientation, tmp_path):
    path = tmp_path / "photo.jpg"
    exif = PIL.Image.Exif()
    exif[PIL.ExifTags.Base.Orientation] = orientation
    PIL.Image.fromarray(gradient(20, 30)).save(path, exif=exif)
    assert read_size(path) == read_image(path).shape[:2]


def test_unreadable_bytes_are_named():
    sources = [Source("testA/0001.jpg", b"damaged"), Source("b", gradient(8, 8))]
    domain = Domain(sources, STILL)
    assert "testA/0001.jpg" in domain.left_out[0]


def test_no_readable_image(tmp_path):
    (tmp_path / "a.png").write_bytes(b"damaged")
    with pytest.raises(InputError, match="None of the images can be read.*a.png"):
        Domain([Source("a.png", tmp_path / "a.png")], STILL)


def test_an_image_smaller_than_the_crop():
    sources = [Source("small.png", gradient(12, 40))]
    with pytest.raises(InputError, match=r"small\.png is 40x12 pixels, smaller"):
        Domain(sources, Preprocessing("crop", crop_size=16))


def test_impossible_sizes():
    with pytest.raises(InputError, match="smaller than the crop size"):
        Preprocessing("resize_and_crop", 100, 128)
    with pytest.raises(InputError, match="multiples of 256"):
        Preprocessing("resize_and_crop", 286, 128, size_multiple=256)


def test_images_of_several_sizes():
    sources = [Source("a", gradient(8, 8)), Source("b", gradient(12, 8))]
    domain = Domain(sources, STILL)
    assert domain.image_shape == (None, None, 3)
    shapes = {tuple(x.shape) for x, _ in training_batches(domain, domain).take(2)}
    assert shapes == {(1, 8, 8, 3), (1, 12, 8, 3)}
    with pytest.raises(InputError, match="different sizes cannot form a batch of 2"):
        training_batches(domain, domain, 2)


def test_gray_domain(tmp_path):
    write_image(tmp_path / "a.png", gradient(8, 8))
    domain = Domain([Source("a", tmp_path / "a.png")], STILL, channels=1)
    assert domain.image_shape == (8, 8, 1)


def test_real_grayscale_photographs(shared):
    """Seven of the zebra photographs are grayscale files."""
    sources = find_sources(str(shared / "data/horse2zebra"), "trainB")
    gray = []
    for source in sources:
        with PIL.Image.open(source.content) as file:
            if file.mode == "L":
                gray.append(source)
    assert len(gray) == 7
    domain = Domain(gray, Preprocessing("resize_and_crop", 70, 64))
    assert domain.image_shape == (64, 64, 3)
    assert not domain.left_out


def test_images_that_vanish_end_a_stream_in_a_sentence(tmp_path):
    write_image(tmp_path / "a.png", gradient(8, 8))
    domain = Domain([Source("a", tmp_path / "a.png")], STILL, cache_bytes=0)
    (tmp_path / "a.png").unlink()
    with pytest.raises(InputError) as error, reading_errors_in_words():
        list(training_batches(domain, domain).take(1))
    assert str(error.value).startswith("None of the images can be read; the last")
    assert "Traceback" not in str(error.value)


def test_photographs_too_large_to_translate_can_be_trained_on(tmp_path):
    photo = PIL.Image.new("RGB", (4160, 4096), (200, 100, 50))
    photo.save(tmp_path / "photo.png", compress_level=1)
    how = Preprocessing("resize_and_crop", 20, 16)
    domain = Domain([Source("photo", tmp_path / "photo.png")], how)
    np.testing.assert_array_equal(domain[0], np.full((20, 20, 3), (200, 100, 50)))
