"""Which images are equal, and which look nearly so."""

import collections
from collections.abc import Iterator, Sequence

import numpy as np

from cyclegan_tf.doctor.findings import Finding
from cyclegan_tf.doctor.image_facts import ImageFacts, Splits

# Bits of 256 in which the fingerprints of two images of one scene may differ. A little
# below the largest that was right on 1,867 images (see `image_facts.py`): the more
# images, the more are alike by accident.
NEAR_BITS = 60


def duplicates(splits: Splits) -> Iterator[Finding]:
    """Find images of equal pixels, wherever they are.

    Args:
        splits: images that can be read, of each split.

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
            f"images that are there more than once, {bytewise} byte for byte",
            _advice_on_duplicates(where),
            tuple(" = ".join(image.name for image in group) for group in equal),
        )


def near_duplicates(splits: Splits) -> Iterator[Finding]:
    """Find images of one domain that look nearly the same, but are not equal.

    Between the domains that is no fault: the same scene in summer and in winter.

    Args:
        splits: images that can be read, of each split.

    Yields:
        A finding for each split, and for training and test; its files are pairs.
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
            if pairs:
                advice = _advice_on_duplicates(where)
                yield Finding(
                    "warning",
                    where,
                    "images that look nearly like another",
                    f"If they show the same: {advice[0].lower()}{advice[1:]}",
                    pairs,
                )


def _advice_on_duplicates(where: str) -> str:
    if "A" in where and "B" in where:
        return "Decide for one domain, as an image cannot belong to both."
    if "train" in where and "test" in where:
        return "Remove them from the training, as a score on such test images flatters."
    return "Keep one of each, as they count as often as they are there."


def _distinct(
    images: Sequence[ImageFacts], but: Sequence[ImageFacts] = ()
) -> list[ImageFacts]:
    """One of each group of equal images, none blank, and none that is in others."""
    first = {
        image.pixels_digest: image for image in reversed(images) if not image.blank
    }
    for image in but:
        first.pop(image.pixels_digest, None)
    return list(reversed(first.values()))


def _nearest(
    images: Sequence[ImageFacts], others: Sequence[ImageFacts]
) -> Iterator[tuple[ImageFacts, ImageFacts]]:
    """Pair each image with the other it looks most like, if it is near enough.

    Within one list only earlier ones count, so that no pair comes twice.
    """
    if not images or not others:
        return
    signs = [
        np.where([image.fingerprint for image in some], 1, -1).astype(np.float32)
        for some in (images, others)
    ]
    rows = 1024  # keeps the table of distances small
    for start in range(0, len(images), rows):
        agreement = signs[0][start : start + rows] @ signs[1].T
        distances = (signs[0].shape[1] - agreement) / 2
        if images is others:
            distances[np.triu(np.ones(distances.shape, bool), start)] = np.inf
        for row, column in enumerate(distances.argmin(axis=1)):
            if distances[row, column] <= NEAR_BITS:
                yield images[start + row], others[column]
