"""Metrics of translations: each yields pairs (name, value).

They take features or images, uint8 (height, width, channels), and know nothing of
runs, networks or files. `evaluator.py` chooses the images.
"""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
import scipy.linalg
import tensorflow as tf

from cyclegan_tf.evaluation.patches import SIDE
from cyclegan_tf.images.pixels import Image, resize_image

Scores: TypeAlias = Iterator[tuple[str, float]]

SWD_DIRECTIONS = 128
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def frechet_distance(features: np.ndarray, reference: np.ndarray) -> Scores:
    """Compare two sets of features by their means and covariances.

    Args:
        features: float64 (images, dimensions).
        reference: float64 (reference images, dimensions).

    Yields:
        `fid`: |m - m_r|^2 + tr(C + C_r - 2 (C C_r)^(1/2)), 0 or more. It is biased
        upward for few images per dimension.

    Reference:
        Heusel et al., 2017, GANs Trained by a Two Time-Scale Update Rule Converge to
        a Local Nash Equilibrium, Eqn. 6.
    """
    shift = features.mean(axis=0) - reference.mean(axis=0)
    covariance = np.atleast_2d(np.cov(features, rowvar=False))
    reference_covariance = np.atleast_2d(np.cov(reference, rowvar=False))
    # C C_r has the eigenvalues of this symmetric product, whose root is real even for
    # fewer images than dimensions, where sqrtm returns complex numbers.
    root = _square_root(covariance)
    eigenvalues = scipy.linalg.eigvalsh(root @ reference_covariance @ root)
    traces = np.trace(covariance) + np.trace(reference_covariance)
    roots = np.sqrt(eigenvalues.clip(0)).sum()
    # Rounding may bring the distance of equal sets below 0.
    yield "fid", float(np.maximum(shift @ shift + traces - 2 * roots, 0))


def kernel_distance(features: np.ndarray, reference: np.ndarray) -> Scores:
    """Compare two sets of features by a polynomial kernel, without bias.

    Args:
        features: float64 (images, dimensions), two or more images.
        reference: float64 (reference images, dimensions), two or more images.

    Yields:
        `kid`: unbiased estimate of the squared maximum mean discrepancy with kernel
        (x . y / dimensions + 1)^3; 0 on average, and possibly negative, for sets of one
        distribution. `kid_standard_error`: its jackknife standard error over both sets,
        without what the jackknife counts twice; only for four or more images.

    Reference:
        Binkowski et al., 2018, Demystifying MMD GANs, section 4; Gretton et al.,
        2012, A Kernel Two-Sample Test, Eqn. 3; Efron and Stein, 1981, The Jackknife
        Estimate of Variance.
    """
    m, n = len(features), len(reference)
    within = _kernel(features, features)
    within_reference = _kernel(reference, reference)
    between = _kernel(features, reference)
    # Each image's part in the sum over pairs of different images.
    part = within.sum(axis=1) - np.diag(within)
    reference_part = within_reference.sum(axis=1) - np.diag(within_reference)

    def estimate(total: float, reference_total: float, cross: float) -> float:
        return total + reference_total - 2 * cross

    term = part.sum() / (m * (m - 1))
    reference_term = reference_part.sum() / (n * (n - 1))
    yield "kid", float(estimate(term, reference_term, between.mean()))

    if min(m, n) < 4:
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
    jackknife = (m - 1) * np.var(without_one) + (n - 1) * np.var(without_reference)
    # The jackknife counts what only pairs of images explain twice, once for each image.
    # For sets of one distribution, nothing else remains; the half keeps noise above 0.
    of_pairs = 2 * _squared_interaction(within) / (m * (m - 1))
    of_pairs += 2 * _squared_interaction(within_reference) / (n * (n - 1))
    of_pairs += 4 * np.sum(_centered(between) ** 2) / ((m - 1) * (n - 1)) / (m * n)
    variance = np.maximum(jackknife - of_pairs, of_pairs / 2)
    yield "kid_standard_error", float(np.sqrt(variance))


def sliced_wasserstein(
    patches: Sequence[np.ndarray], reference: Sequence[np.ndarray]
) -> Scores:
    """Compare the patches of two sets of images at several scales.

    Unlike the paper, this normalizes both sets by the mean and deviation of the
    reference, so that a difference in contrast counts.

    Args:
        patches: result of `patches.laplacian_patches` for one set.
        reference: likewise for the reference.

    Yields:
        `swd_128`, `swd_64`, `swd_32`, `swd_16`: mean distance of patches at that scale,
        projected on 128 random directions, times 1,000. `swd`: mean of these.

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
    """Compute the share of images that a classifier assigns to the target domain.

    Args:
        target_logits: (images,), positive for the target domain.

    Yields:
        `hit_rate`: 0 to 1.
    """
    yield "hit_rate", float(np.mean(target_logits > 0))


def paired_scores(truths: Sequence[Image], images: Sequence[Image]) -> Scores:
    """Compare each image with its ground truth.

    Args:
        truths: the expected images.
        images: as many, of the same shapes.

    Yields:
        `mae`: mean absolute difference in gray levels of 255. `psnr`: mean peak
        signal-to-noise ratio in dB, where an equal pair counts as one that differs by
        one level in a single value: its own ratio is infinite. `ssim`: mean structural
        similarity (Wang et al., 2004), -1 to 1; only for images of 11 or more pixels
        per side.
    """
    pairs = list(zip(images, truths, strict=True))
    yield "mae", _mean_difference(images, truths)
    yield "psnr", _mean(_psnr(*pair) for pair in pairs)
    if min(min(image.shape[:2]) for image in images) >= 11:
        yield "ssim", _mean(float(tf.image.ssim(*pair, 255)) for pair in pairs)


def cycle_error(images: Sequence[Image], cycled: Sequence[Image]) -> Scores:
    """Compare images with themselves translated and back.

    Yields:
        `cycle_error`: mean |F(G(x)) - x| in [0, 2], for values in [-1, 1] (Zhu et al.,
        2017, Eqn. 2).
    """
    yield "cycle_error", _mean_difference(images, cycled) / 127.5


def identity_error(images: Sequence[Image], same: Sequence[Image]) -> Scores:
    """Compare images of the target domain with the generator's outputs for them.

    Yields:
        `identity_error`: mean |G(y) - y| in [0, 2], for values in [-1, 1] (Zhu et al.,
        2017, section 5.2).
    """
    yield "identity_error", _mean_difference(images, same) / 127.5


def content_scores(images: Sequence[Image], translated: Sequence[Image]) -> Scores:
    """Compare the luminance of images before and after translation.

    Args:
        images: the inputs.
        translated: as many, of the same heights and widths.

    Yields:
        `luminance_correlation`: mean Pearson correlation; negative where light became
        dark. `change`: mean absolute difference in gray levels of 255.
    """
    before, after = (
        [luminance(image) for image in some] for some in (images, translated)
    )
    yield "luminance_correlation", _mean(map(_correlation, before, after))
    yield "change", _mean_difference(before, after)


def diversity(images: Sequence[Image]) -> Scores:
    """Compute how much two or more images differ from each other.

    Yields:
        `diversity`: mean absolute difference over all pairs of images, in gray levels
        of 255 of their luminance at 32x32; 0 if all are equal.
    """
    small = np.stack([luminance(resize_image(image, 32, 32)) for image in images])
    # In sorted order, k (n - k) pairs span the gap above the k-th value.
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


def _squared_interaction(kernel: np.ndarray) -> float:
    """Estimate the mean square of what a kernel says of pairs but not of single images.

    Args:
        kernel: of all pairs of a set of four or more, symmetric.

    Returns:
        The unbiased estimate by U-centering.

    Reference:
        Szekely and Rizzo, 2014, Partial Distance Correlation with Methods for
        Dissimilarities, section 3.
    """
    n = len(kernel)
    others = kernel - np.diag(np.diag(kernel))
    rows = others.sum(axis=1) / (n - 2)
    centered = others - rows - rows[:, None] + others.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(centered, 0)
    return float(np.sum(centered**2) / (n * (n - 3)))


def _centered(kernel: np.ndarray) -> np.ndarray:
    rows, columns = kernel.mean(axis=1, keepdims=True), kernel.mean(axis=0)
    return kernel - rows - columns + kernel.mean()


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    deviations = first.std() * second.std()
    if deviations == 0:  # one image is flat
        return 0.0
    covariance = ((first - first.mean()) * (second - second.mean())).mean()
    return float(covariance / deviations)


def _psnr(image: Image, truth: Image) -> float:
    squares = np.square(image.astype(float) - truth)
    return float(10 * np.log10(255**2 / max(squares.mean(), 1 / squares.size)))


def _mean_difference(images: Sequence[Image], others: Sequence[Image]) -> float:
    return _mean(
        np.abs(image.astype(float) - other).mean()
        for image, other in zip(images, others, strict=True)
    )


def _mean(values: Iterator[float]) -> float:
    return float(np.mean(list(values)))
