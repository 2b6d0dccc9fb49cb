"""Choose the images for each metric, and say with its scores how it was measured.

Each metric scores up to three sets of images: the translations; the untranslated inputs
as the do-nothing baseline; and real test images of the target domain as the goal.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.evaluation import metrics, protocols
from cyclegan_tf.evaluation.features import FeatureExtractor
from cyclegan_tf.evaluation.patches import laplacian_patches
from cyclegan_tf.evaluation.protocols import Protocol
from cyclegan_tf.evaluation.scores import MetricScores, Score
from cyclegan_tf.images.pixels import Image

FEW_IMAGES = 2048
POOR_ACCURACY = 0.8
FRAME = ("untranslated", "real")

# Beginnings of the names of scores.
_LOWER_IS_BETTER = ("fid", "kid", "swd", "mae", "cycle_error", "identity_error")
_HIGHER_IS_BETTER = ("hit_rate", "psnr", "ssim")
_NEITHER = ("kid_standard_error",)

Images = Sequence[Image]
Translate = Callable[[Image], Image]
Metric = Callable[[Images], metrics.Scores]


@dataclasses.dataclass(frozen=True)
class DomainImages:
    """The real images of one domain as the networks see them: uint8 arrays."""

    train: Images
    test: Images


class Evaluator:
    """Scores generators that translate from one domain to the other.

    Results that do not depend on the generator are computed once.

    Args:
        source: images of the domain to translate.
        target: images of the domain to translate to.
        extractor: features for comparing distributions.
        target_logits: classifier that maps images to float (images,), positive for the
            target domain.
        reference: compare with the `"train"` or the `"test"` images of the target
            domain. Defaults to `"train"`.
        paired: bool. Whether the i-th test images of both domains show the same scene.
            Defaults to `False`.

    Raises:
        InputError: if there are too few images.
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
                " but an evaluation needs at least 2 of each; add images to testA and "
                "testB."
            )
        if reference == "train" and len(target.train) < 2:
            raise InputError(
                "There is only one training image of the target domain, but an "
                "evaluation needs at least 2; compare with the test images by "
                "`reference=test`."
            )
        self.source = source
        self.target = target
        self.extractor = extractor
        self.target_logits = target_logits
        self.reference = reference
        self.paired = paired
        self._frames: dict[str, dict[str, dict[str, float]]] = {}
        self._same_channels = source.test[0].shape[-1] == target.test[0].shape[-1]
        self._reference_images = target.train if reference == "train" else target.test

    @functools.cached_property
    def _reference_features(self) -> np.ndarray:
        return self.extractor(self._reference_images)

    @functools.cached_property
    def _reference_patches(self) -> list[np.ndarray]:
        return laplacian_patches(self._reference_images)

    def __call__(
        self, translate: Translate, translate_back: Translate | None = None
    ) -> Iterator[MetricScores]:
        """Score a generator.

        Args:
            translate: the generator, from image to image.
            translate_back: the generator of the other direction, for the cycle error.

        Yields:
            The scores of each metric.
        """
        inputs, targets = self.source.test, self.target.test
        translated = [translate(image) for image in inputs]
        yield self._feature_distances(translated)
        yield self._patch_distances(translated)
        yield self._hit_rate(translated)
        if self.paired:
            frame = ("untranslated",) if self._same_channels else ()
            score = functools.partial(metrics.paired_scores, targets)
            yield self._compare(protocols.PAIRED, score, translated, frame)
        if translate_back is not None:
            cycled = [translate_back(image) for image in translated]
            score = functools.partial(metrics.cycle_error, inputs)
            yield self._compare(protocols.CYCLE_ERROR, score, cycled, ())
        if self._same_channels:
            same = [translate(image) for image in targets]
            score = functools.partial(metrics.identity_error, targets)
            yield self._compare(protocols.IDENTITY_ERROR, score, same, ())
        score = functools.partial(metrics.content_scores, inputs)
        yield self._compare(protocols.CONTENT, score, translated, ())
        yield self._compare(protocols.DIVERSITY, metrics.diversity, translated)

    def _feature_distances(self, translated: Images) -> MetricScores:
        def distances(images: Images) -> metrics.Scores:
            features = self.extractor(images)
            for name, value in (
                *metrics.frechet_distance(features, self._reference_features),
                *metrics.kernel_distance(features, self._reference_features),
            ):
                yield f"{name}_{self.extractor.label}", value

        result = self._compare_with_reference(protocols.FEATURES, distances, translated)
        fewest = min(len(self.source.test), len(self._reference_images))
        warning = (
            f"FID is biased upward for few images, and {fewest:,} are fewer than "
            f"{FEW_IMAGES:,}; prefer KID, which is unbiased, and never compare FIDs of "
            "different numbers of images."
        )
        return dataclasses.replace(
            result,
            protocol=f"{self.extractor.protocol} {result.protocol}",
            warning=warning if fewest < FEW_IMAGES else "",
        )

    def _patch_distances(self, translated: Images) -> MetricScores:
        def distances(images: Images) -> metrics.Scores:
            patches = laplacian_patches(images)
            return metrics.sliced_wasserstein(patches, self._reference_patches)

        return self._compare_with_reference(protocols.PATCHES, distances, translated)

    def _hit_rate(self, translated: Images) -> MetricScores:
        def hit_rate(images: Images) -> metrics.Scores:
            return metrics.hit_rate(self.target_logits(images))

        result = dataclasses.replace(
            self._compare(protocols.HIT_RATE, hit_rate, translated),
            of_images=tuple(map(float, self.target_logits(translated))),
        )
        (score,) = result.scores
        accuracy = ((score.real or 0) + 1 - (score.untranslated or 0)) / 2
        if accuracy >= POOR_ACCURACY:
            return result
        return dataclasses.replace(
            result,
            warning=f"The classifier is right on only {accuracy:.0%} of real test "
            "images: the domains look too similar at this size or have too few images.",
        )

    def _compare_with_reference(
        self, protocol: Protocol, metric: Metric, translated: Images
    ) -> MetricScores:
        kind = {"train": "training", "test": "test"}[self.reference]
        images = f"the {len(self._reference_images):,} {kind} images"
        text = f"{protocol.text} Reference: {images} of the target domain."
        # Test images cannot frame a distance to themselves.
        frame = FRAME if self.reference == "train" else ("untranslated",)
        return self._compare(Protocol(protocol.title, text), metric, translated, frame)

    def _compare(
        self,
        protocol: Protocol,
        metric: Metric,
        translated: Images,
        frame: tuple[str, ...] = FRAME,
    ) -> MetricScores:
        """Score the translations and, the first time, the images that frame them."""
        sets = {"untranslated": self.source.test, "real": self.target.test}
        if protocol.title not in self._frames:
            self._frames[protocol.title] = {
                name: dict(metric(sets[name])) for name in frame
            }
        framing = self._frames[protocol.title]
        images = {"translated": len(translated)}
        images |= {name: len(sets[name]) for name in frame}
        scores = tuple(
            Score(
                name,
                value,
                framing.get("untranslated", {}).get(name),
                framing.get("real", {}).get(name),
                _better(name),
            )
            for name, value in metric(translated)
        )
        return MetricScores(protocol.title, protocol.text, images, scores)


def _better(name: str) -> Literal["lower", "higher", ""]:
    if name.startswith(_LOWER_IS_BETTER) and not name.startswith(_NEITHER):
        return "lower"
    return "higher" if name.startswith(_HIGHER_IS_BETTER) else ""
