"""Find images that are equal or look nearly alike."""

import collections
from collections.abc import Iterator, Sequence

import numpy as np

from cyclegan_tf.doctor.findings import Finding, warn
from cyclegan_tf.doctor.image_facts import ImageFacts, Splits

# Fingerprints of 256 bits of one scene differ in at most this many bits. This is a
# little below the largest value that was right on 1,867 images (see `image_facts.py`),
# because more images give more chance matches.
NEAR_BITS = 60


def duplicates(splits: Splits) -> Iterator[Finding]:
    """Find readable images of equal pixels, within and across splits.

    Yields:
        A finding for each combination of splits; its files are groups of equal images.
    """
    groups = collections.defaultdict(list)
    for split, images in splits.items():
        for image in images:
            groups[image.pixels_digest].append((split, image))
    found = collections.defaultdict(list)
    for group in groups.values():
        if len(group) > 1:
            where = " and ".join(dict.fromkeys(split for split, _ in group))
            found[where].append([image for _, image in group])
    for where, equal in found.items():
        bytewise = sum(
            len({image.bytes_digest for image in group}) < len(group) for group in equal
        )
        yield Finding(
            "warning",
            where,
            f"images that occur more than once, {bytewise} byte for byte",
            _advice_on_duplicates(where),
            tuple(" = ".join(image.name for image in group) for group in equal),
        )


def near_duplicates(splits: Splits) -> Iterator[Finding]:
    """Find readable images of one domain that look nearly alike, but are not equal.

    Similar images in different domains are no fault: one scene in summer and winter.

    Yields:
        A finding for each split, and one across training and test; its files are pairs.
    """
    for domain in "AB":
        train = _distinct(splits.get(f"train{domain}", ()))
        test = _distinct(splits.get(f"test{domain}", ()), but=train)
        for images, others, where in (
            (train, train, f"train{domain}"),
            (test, test, f"test{domain}"),
            (test, train, f"train{domain} and test{domain}"),
        ):
            pairs = tuple(f"{a.name} ~ {b.name}" for a, b in _nearest(images, others))
            advice = _advice_on_duplicates(where)
            yield from warn(
                where,
                "images that look nearly like another",
                f"If they show the same scene, {advice[0].lower()}{advice[1:]}",
                pairs,
            )


def _advice_on_duplicates(where: str) -> str:
    if "A" in where and "B" in where:
        return "Keep them in one domain, because an image cannot belong to both."
    if "train" in where and "test" in where:
        return "Remove them from the training images, or test scores are too good."
    return "Keep one of each, because copies count more than other images."


def _distinct(
    images: Sequence[ImageFacts], but: Sequence[ImageFacts] = ()
) -> list[ImageFacts]:
    """Return one of each group of equal images, without blank ones and `but`."""
    first = {
        image.pixels_digest: image
        for image in reversed(images)
        if "blank" not in image.traits
    }
    for image in but:
        first.pop(image.pixels_digest, None)
    return list(reversed(first.values()))


def _nearest(
    images: Sequence[ImageFacts], others: Sequence[ImageFacts]
) -> Iterator[tuple[ImageFacts, ImageFacts]]:
    """Pair each image with the most similar other, if it is near enough.

    Within one list, images are compared with earlier ones only, so no pair repeats.
    """
    if not images or not others:
        return
    signs = [
        np.where([image.fingerprint for image in some], 1, -1).astype(np.float32)
        for some in (images, others)
    ]
    rows = 1024  # limits the memory of the distances
    for start in range(0, len(images), rows):
        agreement = signs[0][start : start + rows] @ signs[1].T
        distances = (signs[0].shape[1] - agreement) / 2
        if images is others:
            distances[np.triu(np.ones(distances.shape, bool), start)] = np.inf
        for row, column in enumerate(distances.argmin(axis=1)):
            if distances[row, column] <= NEAR_BITS:
                yield images[start + row], others[column]
