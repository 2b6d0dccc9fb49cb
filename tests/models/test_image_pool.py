"""The contract of the history of fakes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from cyclegan_tf import ImagePool


def numbered(*numbers):
    """Images of one pixel whose value tells them apart."""
    return np.array(numbers, "float32").reshape(-1, 1, 1, 1)


def numbers(images):
    return np.asarray(images)[:, 0, 0, 0].astype(int).tolist()


def query_all(pool, count, batch_size, jit_compile=False):
    """Show the images 1, 2, ... to the pool; return what it gave back."""
    call = tf.function(pool, jit_compile=jit_compile)
    returned = []
    for first in range(1, count + 1, batch_size):
        returned += numbers(call(numbered(*range(first, first + batch_size))))
    return returned


def reference_query(draws, size):
    """The reference's rule, in plain Python, with given random draws."""
    stored, returned = [], []
    for image, (coin, place) in enumerate(draws, start=1):
        if len(stored) < size:
            stored.append(image)
            returned.append(image)
        elif coin > 0.5:
            slot = int(place * size)
            returned.append(stored[slot])
            stored[slot] = image
        else:
            returned.append(image)
    return returned, stored


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("batch_size", [1, 4, 12])
def test_the_rule_image_by_image(batch_size, jit_compile):
    """Whatever the batch: one of 12 swaps with images of its own, too."""
    size, seed, count = 5, 3, 48

    @tf.function(jit_compile=jit_compile)
    def draw(block):
        return tf.random.stateless_uniform((1024, 2), seed=(seed, block))

    draws = np.array(draw(tf.constant(0, tf.int64)))[:count]
    returned, stored = reference_query(draws, size)
    pool = ImagePool(size, seed=seed)
    assert query_all(pool, count, batch_size, jit_compile) == returned
    assert numbers(pool.images) == stored
    assert int(pool.num_seen.value) == count


def test_the_numbers_go_on_from_block_to_block():
    """One image at a time, or in batches across the end of a block of 1024."""
    one_by_one = query_all(ImagePool(5), 1050, 1)
    assert query_all(ImagePool(5), 1050, 50) == one_by_one


def test_fills_first_then_swaps_half_of_the_time():
    returned = query_all(ImagePool(50), 2050, 1)
    assert returned[:50] == list(range(1, 51))
    swapped = [image != i for i, image in enumerate(returned, start=1)][50:]
    assert np.mean(swapped) == pytest.approx(0.5, abs=0.04)  # 3.6 sigma
    old = [i - image for i, image in enumerate(returned, start=1) if image != i]
    # Swapped half of the time into one of 50 places: 100 images old on average.
    assert np.mean(old) == pytest.approx(100, rel=0.15)


def test_size_zero_is_the_identity():
    pool = ImagePool(0)
    images = numbered(1, 2, 3)
    np.testing.assert_array_equal(pool(images), images)
    assert not pool.weights


def test_seeds_differ():
    first = query_all(ImagePool(5, seed=0), 40, 1)
    assert first == query_all(ImagePool(5, seed=0), 40, 1)
    assert first != query_all(ImagePool(5, seed=1), 40, 1)


def test_a_restored_pool_goes_on(tmp_path):
    def model():
        image = keras.Input((1, 1, 1))
        return keras.Model(image, ImagePool(5, name="pool")(image))

    first, second = model(), model()
    for i in range(1, 20):
        first(numbered(i))
    first.save_weights(tmp_path / "pool.weights.h5")
    second.load_weights(tmp_path / "pool.weights.h5")
    for i in range(20, 40):
        assert numbers(first(numbered(i))) == numbers(second(numbered(i)))


def test_half_precision_comes_back_in_half_precision():
    pool = ImagePool(2)
    assert pool(tf.ones((1, 2, 2, 3), tf.float16)).dtype == tf.float16


def test_wrong_arguments():
    with pytest.raises(ValueError, match="size must not be negative"):
        ImagePool(-1)
    with pytest.raises(ValueError, match="one fixed size"):
        ImagePool(5).build((None, None, 64, 3))


def test_config_round_trip():
    pool = ImagePool(7, seed=2, name="pool_x")
    config = keras.saving.serialize_keras_object(pool)
    restored = keras.saving.deserialize_keras_object(config)
    assert (restored.size, restored.seed, restored.name) == (7, 2, "pool_x")
