"""How good translations are: each metric a generator of (name, value).

The metrics take images (uint8, height, width, channels) or features and know
nothing of runs, networks or files. Which images they are given, and what else must
be said with the numbers, is decided in `evaluator.py`.
"""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
import scipy.linalg
import tensorflow as tf

from cyclegan_tf.evaluation.patches import SIDE
from cyclegan_tf.images import Image, resize_image

Scores: TypeAlias = Iterator[tuple[str, float]]

SWD_DIRECTIONS = 128
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def frechet_distance(features: np.ndarray, reference: np.ndarray) -> Scores:
    """Compare two sets of features by their means and covariances.

    Args:
        features: float64 (images, dimensions).
        reference: float64 (other images, dimensions).

    Yields:
        `fid`: |m - m_r|^2 + tr(C + C_r - 2 (C C_r)^(1/2)), 0 or more. Too large for
        few images: the bias goes with dimensions per image.

    Reference:
        Heusel et al., 2017, GANs Trained by a Two Time-Scale Update Rule Converge to
        a Local Nash Equilibrium, Eqn. 6.
    """
    shift = features.mean(axis=0) - reference.mean(axis=0)
    covariance = np.atleast_2d(np.cov(features, rowvar=False))
    reference_covariance = np.atleast_2d(np.cov(reference, rowvar=False))
    # C C_r has the eigenvalues of this symmetric product. Its root exists also where
    # there are fewer images than dimensions, of which sqrtm makes complex numbers.
    root = _square_root(covariance)
    eigenvalues = scipy.linalg.eigvalsh(root @ reference_covariance @ root)
    yield (
        "fid",
        float(
            shift @ shift
            + np.trace(covariance)
            + np.trace(reference_covariance)
            - 2 * np.sqrt(eigenvalues.clip(0)).sum()
        ),
    )


def kernel_distance(features: np.ndarray, reference: np.ndarray) -> Scores:
    """Compare two sets of features by a polynomial kernel, without bias.

    Args:
        features: float64 (images, dimensions), two images or more.
        reference: float64 (other images, dimensions), likewise.

    Yields:
        `kid`: the unbiased estimate of the squared maximum mean discrepancy with
        kernel (x . y / dimensions + 1)^3; 0 on average, also below 0, for sets of one
        kind. `kid_standard_error`: its jackknife standard error, each image of either
        set left out once.

    Reference:
        Binkowski et al., 2018, Demystifying MMD GANs, section 4; Gretton et al.,
        2012, A Kernel Two-Sample Test, Eqn. 3.
    """
    m, n = len(features), len(reference)
    within = _kernel(features, features)
    within_reference = _kernel(reference, reference)
    between = _kernel(features, reference)
    # Sums over pairs of different images, and each image's part in them.
    part = within.sum(axis=1) - np.diag(within)
    reference_part = within_reference.sum(axis=1) - np.diag(within_reference)

    def estimate(total: float, reference_total: float, cross: float) -> float:
        return total + reference_total - 2 * cross

    term = part.sum() / (m * (m - 1))
    reference_term = reference_part.sum() / (n * (n - 1))
    yield "kid", float(estimate(term, reference_term, between.mean()))

    if min(m, n) < 3:
        return
    without_one = estimate(
        (part.sum() - 2 * part) / ((m - 1) * (m - 2)),
        reference_term,
        (between.sum() - between.sum(axis=1)) / ((m - 1) * n),
    )
    without_reference = estimate(
        term,
        (reference_part.sum() - 2 * reference_part) / ((n - 1) * (n - 2)),
        (between.sum() - between.sum(axis=0)) / (m * (n - 1)),
    )
    variance = (m - 1) * np.var(without_one) + (n - 1) * np.var(without_reference)
    yield "kid_standard_error", float(np.sqrt(variance))


def sliced_wasserstein(
    patches: Sequence[np.ndarray], reference: Sequence[np.ndarray]
) -> Scores:
    """Compare what two sets of images look like close by, at several scales.

    Args:
        patches: of one set, what `patches.laplacian_patches` returned.
        reference: of the other.

    Yields:
        `swd_128`, `swd_64`, `swd_32`, `swd_16`: the mean distance of patches at that
        scale, times 1,000, projected on 128 random directions; then their mean,
        `swd`. Other than in the paper, both sets are brought to the mean and
        deviation of the reference, not each to its own: a difference in contrast
        counts.

    Reference:
        Karras et al., 2018, Progressive Growing of GANs, section 5.
    """
    random = np.random.default_rng(0)
    values = []
    for level, (ours, theirs) in enumerate(zip(patches, reference, strict=True)):
        mean = theirs.mean(axis=(0, 2, 3), keepdims=True)
        deviation = np.maximum(theirs.std(axis=(0, 2, 3), keepdims=True), 1e-8)
        directions = random.standard_normal((ours[0].size, SWD_DIRECTIONS))
        directions = (directions / np.linalg.norm(directions, axis=0)).astype("float32")
        ordered, reference_ordered = (
            np.sort(((some - mean) / deviation).reshape(len(some), -1) @ directions, 0)
            for some in (ours, theirs)
        )
        values.append(1e3 * float(np.abs(ordered - reference_ordered).mean()))
        yield f"swd_{SIDE >> level}", values[-1]
    yield "swd", float(np.mean(values))


def hit_rate(target_logits: np.ndarray) -> Scores:
    """Share of images that a classifier takes for the target domain.

    Args:
        target_logits: (images,), positive for the target domain.

    Yields:
        `hit_rate`: 0 to 1.
    """
    yield "hit_rate", float(np.mean(target_logits > 0))


def paired_scores(images: Sequence[Image], truths: Sequence[Image]) -> Scores:
    """Compare each image with the one it should be.

    Args:
        images: uint8 (height, width, channels).
        truths: as many, each of the same shape.

    Yields:
        `mae`: mean absolute difference in gray levels of 255. `psnr`: mean peak
        signal-to-noise ratio in dB. `ssim`: mean structural similarity (Wang et al.,
        2004), -1 to 1; only for images of 11 pixels a side or more.
    """
    pairs = list(zip(images, truths, strict=True))
    yield (
        "mae",
        _mean(np.abs(image.astype(float) - truth).mean() for image, truth in pairs),
    )
    yield (
        "psnr",
        _mean(tf.image.psnr(image, truth, 255).numpy() for image, truth in pairs),
    )
    if min(min(image.shape[:2]) for image in images) >= 11:
        yield (
            "ssim",
            _mean(tf.image.ssim(image, truth, 255).numpy() for image, truth in pairs),
        )


def cycle_error(images: Sequence[Image], cycled: Sequence[Image]) -> Scores:
    """How much of an image comes back.

    Yields:
        `cycle_error`: mean |F(G(x)) - x| in [0, 2], the values in [-1, 1] (Zhu et al.,
        2017, Eqn. 2).
    """
    yield "cycle_error", _mean_difference(images, cycled) / 127.5


def identity_error(images: Sequence[Image], same: Sequence[Image]) -> Scores:
    """How much a generator changes images that are of its target domain already.

    Yields:
        `identity_error`: mean |G(y) - y| in [0, 2], the values in [-1, 1] (Zhu et al.,
        2017, section 5.2).
    """
    yield "identity_error", _mean_difference(images, same) / 127.5


def content_scores(images: Sequence[Image], translated: Sequence[Image]) -> Scores:
    """What became of the images that were translated.

    Args:
        images: uint8 (height, width, channels).
        translated: as many, of the same heights and widths.

    Yields:
        `luminance_correlation`: mean Pearson correlation of the luminance before and
        after; negative where light became dark. `change`: mean absolute difference of
        the luminance in gray levels of 255; near 0 where nothing was done.
    """
    before, after = (
        [luminance(image) for image in some] for some in (images, translated)
    )
    yield "luminance_correlation", _mean(map(_correlation, before, after))
    yield (
        "change",
        _mean(
            np.abs(first - second).mean()
            for first, second in zip(before, after, strict=True)
        ),
    )


def diversity(images: Sequence[Image]) -> Scores:
    """How much images differ from one another.

    Args:
        images: uint8 (height, width, channels), two or more.

    Yields:
        `diversity`: mean absolute difference of two of the images, in gray levels of
        255 of their luminance at 32x32, over all pairs; 0 if all are the same.
    """
    small = np.stack([luminance(resize_image(image, 32, 32)) for image in images])
    # In sorted order, the gap above the k-th value lies between k (n - k) pairs.
    gaps = np.diff(np.sort(small, axis=0), axis=0)
    below = np.arange(1, len(small))
    pairs_over_gap = below * (len(small) - below)
    total = np.tensordot(pairs_over_gap, gaps, axes=1)
    yield "diversity", float(total.mean() / (len(small) * (len(small) - 1) / 2))


def luminance(image: Image) -> np.ndarray:
    """Return the luminance of an image, float64 (height, width) in [0, 255]."""
    if image.shape[-1] == 1:
        return image[..., 0].astype(float)
    return image @ _LUMA


def _square_root(covariance: np.ndarray) -> np.ndarray:
    eigenvalues, vectors = scipy.linalg.eigh(covariance)
    return (vectors * np.sqrt(eigenvalues.clip(0))) @ vectors.T


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    deviations = first.std() * second.std()
    if deviations == 0:  # nothing to see in one of them
        return 0.0
    return float(
        ((first - first.mean()) * (second - second.mean())).mean() / deviations
    )


def _mean_difference(images: Sequence[Image], others: Sequence[Image]) -> float:
    return _mean(
        np.abs(image.astype(float) - other).mean()
        for image, other in zip(images, others, strict=True)
    )


def _mean(values: Iterator[float]) -> float:
    return float(np.mean(list(values)))
