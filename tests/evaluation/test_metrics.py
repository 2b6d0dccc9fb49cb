"""Each metric equals its formula, computed in another way."""

import numpy as np
import pytest
import scipy.linalg
import tiny

from cyclegan_tf.evaluation import metrics
from cyclegan_tf.evaluation.patches import COUNT, laplacian_patches

RANDOM = np.random.default_rng(0)


def frechet(ours, theirs):
    [(name, value)] = metrics.frechet_distance(ours, theirs)
    assert name == "fid"
    return value


def test_frechet_distance():
    """Against the textbook formula with SciPy's root of the product."""
    ours = RANDOM.normal(0.3, 1.5, (50, 8))
    theirs = RANDOM.normal(0.0, 1.0, (60, 8)) @ RANDOM.normal(size=(8, 8))
    c, c_r = np.cov(ours.T), np.cov(theirs.T)
    expected = (
        np.sum((ours.mean(0) - theirs.mean(0)) ** 2)
        + c.trace()
        + c_r.trace()
        - 2 * scipy.linalg.sqrtm(c @ c_r).real.trace()
    )
    np.testing.assert_allclose(frechet(ours, theirs), expected, rtol=1e-6)
    assert 0 <= frechet(theirs, theirs) < 1e-6


def test_the_frechet_distance_of_equal_sets_is_not_below_zero():
    for seed in range(20):
        features = np.random.default_rng(seed).normal(50, 10, (30, 12))
        assert 0 <= frechet(features, features) < 1e-6


def test_frechet_distance_of_fewer_images_than_dimensions():
    """In one dimension of eight: |m - m_r|^2 + (s - s_r)^2."""
    along = RANDOM.normal(size=8)
    along /= np.linalg.norm(along)
    ours, theirs = RANDOM.normal(0, 2, 5), RANDOM.normal(1, 1, 6)
    expected = (ours.mean() - theirs.mean()) ** 2
    expected += (ours.std(ddof=1) - theirs.std(ddof=1)) ** 2
    value = frechet(np.outer(ours, along), np.outer(theirs, along))
    # Roots of eigenvalues that are 0 up to rounding.
    np.testing.assert_allclose(value, expected, atol=1e-6)


def naive_kid(x, y):
    def kernel(a, b):
        return (a @ b / len(a) + 1) ** 3

    m, n = len(x), len(y)
    xx = sum(kernel(x[i], x[j]) for i in range(m) for j in range(m) if i != j)
    yy = sum(kernel(y[i], y[j]) for i in range(n) for j in range(n) if i != j)
    xy = sum(kernel(a, b) for a in x for b in y)
    return xx / (m * (m - 1)) + yy / (n * (n - 1)) - 2 * xy / (m * n)


def test_kernel_distance():
    """Against loops over pairs, and over which image is left out."""
    x, y = RANDOM.normal(0.5, 1, (7, 4)), RANDOM.normal(0, 1, (9, 4))
    scores = dict(metrics.kernel_distance(x, y))
    np.testing.assert_allclose(scores["kid"], naive_kid(x, y), rtol=1e-6)
    without = [naive_kid(np.delete(x, i, 0), y) for i in range(7)]
    without_reference = [naive_kid(x, np.delete(y, i, 0)) for i in range(9)]
    jackknife = 6 * np.var(without) + 8 * np.var(without_reference)
    # What only pairs of images explain is in it twice, so at most half is taken off.
    error = scores["kid_standard_error"]
    assert np.sqrt(jackknife / 4) < error < np.sqrt(jackknife)
    assert len(dict(metrics.kernel_distance(x[:3], y))) == 1


def repeated_kid(shift):
    """KID and its standard error for many draws of two sets, `shift` apart."""
    random = np.random.default_rng(1)
    draws = [
        metrics.kernel_distance(
            random.normal(shift, 1, (20, 3)), random.normal(size=(25, 3))
        )
        for _ in range(300)
    ]
    return np.array([list(dict(draw).values()) for draw in draws]).T


def test_the_kernel_distance_has_no_bias():
    """Its mean over many draws from one distribution is 0 within the error."""
    values, _ = repeated_kid(shift=0)
    assert abs(values.mean()) < 3 * values.std() / np.sqrt(300)


@pytest.mark.parametrize("shift", [0, 0.3, 1])
def test_the_standard_error_estimates_the_spread(shift):
    """Of sets of one distribution, too, where the jackknife is 1.5 times too large."""
    values, errors = repeated_kid(shift)
    assert 0.85 * values.std() < errors.mean() < 1.15 * values.std()


def test_patches_of_the_pyramid():
    levels = laplacian_patches(tiny.noise(3, side=128))
    assert [level.shape for level in levels] == [(COUNT, 3, 7, 7)] * 4
    # A flat image is 0 in all bands except the last, which keeps its value.
    flat = laplacian_patches([np.full((40, 60, 1), 191, np.uint8)])
    assert all(np.abs(level).max() < 1e-5 for level in flat[:3])
    np.testing.assert_allclose(flat[3], 191 / 127.5 - 1, atol=1e-5)


def test_sliced_wasserstein_of_a_shift():
    """Sets that differ by a constant c on all values: |c| |sum of direction|."""
    patches = [RANDOM.normal(size=(400, 3, 7, 7)).astype(np.float32)]
    assert dict(metrics.sliced_wasserstein(patches, patches))["swd"] == 0
    [(_, value), _] = metrics.sliced_wasserstein([patches[0] + 0.1], patches)
    directions = np.random.default_rng(0).standard_normal((147, 128))
    directions /= np.linalg.norm(directions, axis=0)
    scale = 0.1 / patches[0].std(axis=(0, 2, 3)).repeat(49)
    np.testing.assert_allclose(
        value, 1e3 * np.abs(scale @ directions).mean(), rtol=1e-3
    )


def test_sliced_wasserstein_sees_contrast():
    images = tiny.noise(4, side=128)
    faded = [(image // 4 + 96).astype(np.uint8) for image in images]
    scores = dict(
        metrics.sliced_wasserstein(laplacian_patches(faded), laplacian_patches(images))
    )
    assert list(scores) == ["swd_128", "swd_64", "swd_32", "swd_16", "swd"]
    assert scores["swd_128"] > 300


def test_paired_scores():
    truth = tiny.noise(2, side=16)
    lighter = [
        np.clip(image.astype(int) + 10, 0, 255).astype(np.uint8) for image in truth
    ]
    scores = dict(metrics.paired_scores(truth, lighter))
    differences = np.abs(np.stack(lighter).astype(float) - np.stack(truth))
    np.testing.assert_allclose(scores["mae"], differences.mean())
    expected = [10 * np.log10(255**2 / (d**2).mean()) for d in differences]
    np.testing.assert_allclose(scores["psnr"], np.mean(expected), rtol=1e-5)
    assert 0.5 < scores["ssim"] < 1
    equal = dict(metrics.paired_scores(truth, truth))
    assert equal["ssim"] == pytest.approx(1)
    by_one_level = [image.copy() for image in truth]
    for image in by_one_level:
        image[0, 0, 0] ^= 1
    nearly = dict(metrics.paired_scores(truth, by_one_level))
    assert equal["psnr"] == pytest.approx(nearly["psnr"]) and equal["psnr"] < 100
    assert "ssim" not in dict(metrics.paired_scores(tiny.noise(2, 8), tiny.noise(2, 8)))


def test_errors_are_in_the_range_of_the_networks():
    black, white = np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)
    assert list(metrics.cycle_error([black], [white])) == [("cycle_error", 2.0)]
    assert list(metrics.identity_error([white], [white])) == [("identity_error", 0.0)]


def test_content_scores():
    images = tiny.noise(3)
    inverted = [255 - image for image in images]
    scores = dict(metrics.content_scores(images, inverted))
    assert scores["luminance_correlation"] == pytest.approx(-1)
    assert scores["change"] > 10
    scores = dict(metrics.content_scores(images, images))
    assert scores == {"luminance_correlation": pytest.approx(1), "change": 0}
    flat = [np.full_like(image, 7) for image in images]
    assert dict(metrics.content_scores(images, flat))["luminance_correlation"] == 0


def test_diversity_is_the_mean_over_all_pairs():
    images = tiny.noise(5, channels=1)
    pairs = [
        np.abs(images[i].astype(float) - images[j]).mean()
        for i in range(5)
        for j in range(i)
    ]
    assert dict(metrics.diversity(images))["diversity"] == pytest.approx(np.mean(pairs))
    assert dict(metrics.diversity([images[0]] * 3))["diversity"] == 0


def test_hit_rate():
    assert list(metrics.hit_rate(np.array([2.0, -1.0, 0.5, 3.0]))) == [
        ("hit_rate", 0.75)
    ]
