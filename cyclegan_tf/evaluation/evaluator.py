"""Which images each metric is given, and what must be said with its numbers.

Three sets of images are scored alike, so that a number can be read: the
translations, the same images untranslated (what doing nothing gets) and real test
images of the target domain (what no translation can be expected to beat).
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

import numpy as np

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.evaluation import metrics
from cyclegan_tf.evaluation.features import FeatureExtractor
from cyclegan_tf.evaluation.patches import laplacian_patches
from cyclegan_tf.evaluation.scores import MetricScores, Score
from cyclegan_tf.images import Image

FEW_IMAGES = 2048
POOR_ACCURACY = 0.8
FRAME = ("untranslated", "real")

# By the beginning of a score's name; the first that fits.
_BETTER: Mapping[str, Literal["lower", "higher", ""]] = {
    "kid_standard_error": "",
    "fid": "lower",
    "kid": "lower",
    "swd": "lower",
    "hit_rate": "higher",
    "mae": "lower",
    "psnr": "higher",
    "ssim": "higher",
    "cycle_error": "lower",
    "identity_error": "lower",
}

Images = Sequence[Image]
Translate = Callable[[Image], Image]


@dataclasses.dataclass(frozen=True)
class DomainImages:
    """The real images of one domain, as the networks see them.

    Attributes:
        train: training images, uint8 (height, width, channels).
        test: images that were not trained on.
    """

    train: Images
    test: Images


class Evaluator:
    """Scores generators that translate from one domain to the other.

    What does not depend on the generators is computed once.

    Args:
        source: the images of the domain that is translated.
        target: the images of the domain that it is translated to.
        extractor: in which features distributions are compared.
        target_logits: a classifier, from images to an array that is positive for
            images of the target domain.
        reference: compare with the training images of the target domain, or with its
            test images. Defaults to `"train"`.
        paired: bool. The i-th test images of both domains show the same scene.
            Defaults to `False`.

    Raises:
        InputError: if there are too few images, or paired ones differ in number.
    """

    def __init__(
        self,
        source: DomainImages,
        target: DomainImages,
        extractor: FeatureExtractor,
        target_logits: Callable[[Images], np.ndarray],
        reference: Literal["train", "test"] = "train",
        paired: bool = False,
    ):
        counts = len(source.test), len(target.test)
        if min(counts) < 2:
            raise InputError(
                f"There are {counts[0]} and {counts[1]} test images of the two domains,"
                " but an evaluation compares sets of at least 2; add some to testA and "
                "testB."
            )
        if reference == "train" and len(target.train) < 2:
            raise InputError(
                "There is only one training image of the target domain, but an "
                "evaluation compares with a set of at least 2; compare with the test "
                "images by --reference test."
            )
        if paired and counts[0] != counts[1]:
            raise InputError(
                f"Paired test images must be as many of X as of Y, not {counts[0]} and "
                f"{counts[1]}; complete them, or evaluate without pairs."
            )
        self.source = source
        self.target = target
        self.extractor = extractor
        self.target_logits = target_logits
        self.reference = reference
        self.paired = paired
        self._frames: dict[str, dict[str, dict[str, float]]] = {}

    @functools.cached_property
    def _reference_features(self) -> np.ndarray:
        return self.extractor(self._reference_images)

    @functools.cached_property
    def _reference_patches(self) -> list[np.ndarray]:
        return laplacian_patches(self._reference_images)

    @property
    def _reference_images(self) -> Images:
        return self.target.train if self.reference == "train" else self.target.test

    @property
    def _same_channels(self) -> bool:
        return self.source.test[0].shape[-1] == self.target.test[0].shape[-1]

    @property
    def _reference_in_words(self) -> str:
        kind = {"train": "training", "test": "test"}[self.reference]
        return f"the {len(self._reference_images):,} {kind} images of the target domain"

    @property
    def _frame(self) -> tuple[str, ...]:
        """What frames a distance to the reference: not the reference itself."""
        return FRAME if self.reference == "train" else ("untranslated",)

    def __call__(
        self, translate: Translate, translate_back: Translate | None = None
    ) -> Iterator[MetricScores]:
        """Score a generator.

        Args:
            translate: the generator, from image to image.
            translate_back: the one of the other direction, for the cycle error.

        Yields:
            What each metric says.
        """
        translated = [translate(image) for image in self.source.test]
        yield self._feature_distances(translated)
        yield self._patch_distances(translated)
        yield self._hit_rate(translated)
        if self.paired:
            yield self._paired(translated)
        yield from self._errors(translated, translate, translate_back)
        yield self._content(translated)
        yield self._diversity(translated)

    def _feature_distances(self, translated: Images) -> MetricScores:
        def distances(images: Images) -> metrics.Scores:
            features = self.extractor(images)
            for name, value in (
                *metrics.frechet_distance(features, self._reference_features),
                *metrics.kernel_distance(features, self._reference_features),
            ):
                yield f"{name}_{self.extractor.label}", value

        fewest = min(len(self.source.test), len(self._reference_images))
        warning = (
            f"FID is biased upwards by few images, and {fewest:,} are fewer than "
            f"{FEW_IMAGES:,}: rather go by KID, which is not, and never compare FIDs "
            "of different numbers of images."
        )
        return self._compare(
            "Frechet distance (FID) and kernel distance (KID)",
            f"{self.extractor.protocol} FID compares their means and covariances "
            "(Heusel et al., 2017), KID is the unbiased estimate with a polynomial "
            "kernel of degree 3 (Binkowski et al., 2018) from all images, with its "
            f"jackknife standard error. Reference: {self._reference_in_words}.",
            distances,
            translated,
            frame=self._frame,
            warning=warning if fewest < FEW_IMAGES else "",
        )

    def _patch_distances(self, translated: Images) -> MetricScores:
        def distances(images: Images) -> metrics.Scores:
            patches = laplacian_patches(images)
            return metrics.sliced_wasserstein(patches, self._reference_patches)

        return self._compare(
            "Sliced Wasserstein distance of patches (SWD)",
            "16,384 random patches of 7x7 from each of four bands of the Laplacian "
            "pyramids of images resized to 128x128, brought to the reference's mean "
            "and deviation, projected on 128 random directions; times 1,000 (after "
            f"Karras et al., 2018). Reference: {self._reference_in_words}.",
            distances,
            translated,
            frame=self._frame,
        )

    def _hit_rate(self, translated: Images) -> MetricScores:
        result = self._compare(
            "Domain hit rate",
            "Share of images that a classifier takes for the target domain: four "
            "convolutions trained on the real training images of both domains, at "
            "64x64. The share of real test images is its accuracy on the target domain,"
            " that of untranslated ones its error on the other.",
            lambda images: metrics.hit_rate(self.target_logits(images)),
            translated,
        )
        (score,) = result.scores
        accuracy = ((score.real or 0) + 1 - (score.untranslated or 0)) / 2
        if accuracy >= POOR_ACCURACY:
            return result
        return dataclasses.replace(
            result,
            warning=f"The classifier is right on only {accuracy:.0%} of real test "
            "images: the domains are hard to tell apart at this size, or too few.",
        )

    def _paired(self, translated: Images) -> MetricScores:
        return self._compare(
            "Difference to the truth",
            "Each translation against the test image of the same scene: mean absolute "
            "difference in gray levels of 255, PSNR in dB, SSIM (Wang et al., 2004).",
            lambda images: metrics.paired_scores(images, self.target.test),
            translated,
            frame=("untranslated",) if self._same_channels else (),
        )

    def _errors(
        self,
        translated: Images,
        translate: Translate,
        translate_back: Translate | None,
    ) -> Iterator[MetricScores]:
        in_words = "Mean absolute difference, the values in [-1, 1]"
        if translate_back is not None:
            cycled = [translate_back(image) for image in translated]
            yield self._compare(
                "Cycle error",
                f"{in_words}, of test images to themselves translated and back.",
                lambda _: metrics.cycle_error(self.source.test, cycled),
                translated,
                frame=(),
            )
        if self._same_channels:
            same = [translate(image) for image in self.target.test]
            yield self._compare(
                "Identity error",
                f"{in_words}, of test images of the target domain to what the "
                "generator makes of them.",
                lambda _: metrics.identity_error(self.target.test, same),
                self.target.test,
                frame=(),
            )

    def _content(self, translated: Images) -> MetricScores:
        return self._compare(
            "What became of the content",
            "Of the luminance: mean correlation of input and output (negative where "
            "light became dark) and mean absolute change in gray levels of 255 (near 0 "
            "where nothing was done).",
            lambda images: metrics.content_scores(self.source.test, images),
            translated,
            frame=(),
        )

    def _diversity(self, translated: Images) -> MetricScores:
        return self._compare(
            "Diversity",
            "Mean absolute difference of two images of a set, in gray levels of 255 of "
            "their luminance at 32x32 (near 0 where all look the same).",
            metrics.diversity,
            translated,
        )

    def _compare(
        self,
        title: str,
        protocol: str,
        metric: Callable[[Images], metrics.Scores],
        translated: Images,
        frame: tuple[str, ...] = FRAME,
        warning: str = "",
    ) -> MetricScores:
        """Score the translations, and once what frames them."""
        sets = {"untranslated": self.source.test, "real": self.target.test}
        if title not in self._frames:
            self._frames[title] = {name: dict(metric(sets[name])) for name in frame}
        framing = self._frames[title]
        images = {"translated": len(translated)}
        images |= {name: len(sets[name]) for name in frame}
        scores = tuple(
            Score(
                name,
                value,
                framing.get("untranslated", {}).get(name),
                framing.get("real", {}).get(name),
                next((_BETTER[key] for key in _BETTER if name.startswith(key)), ""),
            )
            for name, value in metric(translated)
        )
        return MetricScores(title, protocol, images, scores, warning)
