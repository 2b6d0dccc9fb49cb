"""Titles of the metrics, and sentences that say how each is measured."""

from typing import NamedTuple


class Protocol(NamedTuple):
    """The full name of a metric, and how it is measured."""

    title: str
    text: str


FEATURES = Protocol(
    "Frechet distance (FID) and kernel distance (KID)",
    "FID compares means and covariances of the features (Heusel et al., 2017), KID is "
    "the unbiased estimate with a polynomial kernel of degree 3 (Binkowski et al., "
    "2018) from all images, with its jackknife standard error, corrected for pairs.",
)
PATCHES = Protocol(
    "Sliced Wasserstein distance of patches (SWD)",
    "16,384 random patches of 7x7 from each of four bands of the Laplacian pyramids of "
    "images resized to 128x128, normalized by the reference's mean and deviation, "
    "projected on 128 random directions; times 1,000 (after Karras et al., 2018).",
)
HIT_RATE = Protocol(
    "Domain hit rate",
    "Share of images that a classifier assigns to the target domain: four convolutions "
    "trained on the real training images of both domains, at 64x64. The share of real "
    "test images is its accuracy on the target domain, that of untranslated images its "
    "error on the source domain.",
)
PAIRED = Protocol(
    "Difference to the truth",
    "Each translation against the test image of the same scene: mean absolute "
    "difference in gray levels of 255, PSNR in dB (finite even for equal images: as if "
    "one value differed by one level), SSIM (Wang et al., 2004).",
)
CYCLE_ERROR = Protocol(
    "Cycle error",
    "Mean absolute difference, for values in [-1, 1], of test images and their "
    "translations back.",
)
IDENTITY_ERROR = Protocol(
    "Identity error",
    "Mean absolute difference, for values in [-1, 1], of test images of the target "
    "domain and the generator's outputs for them.",
)
CONTENT = Protocol(
    "Preservation of content",
    "Mean correlation of the luminance of input and output (negative where light "
    "became dark), and mean absolute change of the luminance in gray levels of 255 "
    "(near 0 for no change).",
)
DIVERSITY = Protocol(
    "Diversity",
    "Mean absolute difference of two images of a set, in gray levels of 255 of their "
    "luminance at 32x32 (near 0 where all look alike).",
)
