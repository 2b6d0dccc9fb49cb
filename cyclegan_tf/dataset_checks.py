"""What is wrong with a data set, found in what is known of its images."""

import collections
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np

from cyclegan_tf.image_facts import ImageFacts

# The images of each split that there is, of trainA, trainB, testA and testB.
Splits: TypeAlias = Mapping[str, Sequence[ImageFacts]]
Severity: TypeAlias = Literal["error", "warning"]

# Bits of 256 in which the fingerprints of two images of one scene may differ. A little
# below the largest that was right on two thousand images (see `image_facts.py`): the
# more images, the more are alike by accident.
NEAR_BITS = 60

# Images this much longer than wide, or wider than long, are squeezed visibly.
_ELONGATED = 2.0
# If so many images of a split have one size, the others do not seem to belong.
_USUAL = 0.9
# So many times more images in one domain are worth a word.
_IMBALANCE = 10

_TRAITS: Mapping[str, tuple[str, str]] = {
    "alpha": (
        "images with transparency",
        "It is dropped, and what is hidden under it shows; flatten them onto a "
        "background.",
    ),
    "cmyk": (
        "images in CMYK, the colours of print",
        "They are converted without their colour profile; save them as sRGB.",
    ),
    "palette": (
        "images with a palette",
        "Their few colours and dots would be learned; use what they were made from.",
    ),
    "deep": (
        "images of more than 8 bits per channel",
        "They are read with 8 bits; convert them yourself if it matters how.",
    ),
    "animated": (
        "files with several frames or pages",
        "Only the first is read; save what you need as files of their own.",
    ),
    "rotated": (
        "images stored turned, with a note in EXIF",
        "They are turned upright here, but other programs may not do so; save them "
        "upright.",
    ),
    "suffix": (
        "files of another format than their suffix says",
        "They are read all the same, but other programs may refuse them; rename them.",
    ),
}


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something that is wrong.

    Attributes:
        severity: `"error"` if training is impossible with it, else `"warning"`.
        where: the splits concerned.
        what: what was found there.
        advice: what to do, in one sentence.
        files: the images concerned; for duplicates, groups of them.
    """

    severity: Severity
    where: str
    what: str
    advice: str
    files: tuple[str, ...] = ()


def check(splits: Splits, crop_size: int) -> list[Finding]:
    """Look for all that can be wrong.

    Args:
        splits: what is known of the images of each split.
        crop_size: int. Pixels a side that training will crop.

    Returns:
        What was found.
    """
    readable = {
        split: [image for image in images if not image.problem]
        for split, images in splits.items()
    }
    found = [
        *_unreadable(splits),
        *_balance(splits),
        *_duplicates(readable),
        *_near_duplicates(readable),
    ]
    for split, images in readable.items():
        found += [*_sizes(split, images, crop_size), *_colour(split, images)]
        found += [*_blank(split, images), *_traits(split, images)]
    return found


def _unreadable(splits: Splits) -> Iterator[Finding]:
    for split, images in splits.items():
        missing = _names(images, lambda image: image.missing)
        if missing:
            yield Finding(
                "error",
                split,
                "files in the list that are not there",
                "Training stops at the first of them; correct the list.",
                missing,
            )
        damaged = [image for image in images if image.problem and not image.missing]
        if damaged:
            none_left = split.startswith("train") and len(damaged) == len(images)
            yield Finding(
                "error" if none_left else "warning",
                split,
                "files that cannot be read",
                "No image is left to train on; replace them."
                if none_left
                else "Training leaves them out; replace or remove them.",
                tuple(f"{image.name} ({image.problem})" for image in damaged),
            )


def _balance(splits: Splits) -> Iterator[Finding]:
    counts = {split: len(images) for split, images in splits.items()}
    absent = [split for split in ("testA", "testB") if not counts.get(split)]
    if absent:
        yield Finding(
            "warning",
            " and ".join(absent),
            "no test images",
            "Training images stand in for them, which flatters all scores; set some "
            "aside.",
        )
    if counts.get("trainA") and counts.get("trainB"):
        fewer, more = sorted(("trainA", "trainB"), key=counts.__getitem__)
        ratio = counts[more] / counts[fewer]
        if ratio >= _IMBALANCE:
            yield Finding(
                "warning",
                f"{fewer} and {more}",
                f"{counts[fewer]} images against {counts[more]}",
                f"Those of {fewer} are seen {ratio:.0f} times as often and may be "
                "learned by heart; add some, or use --max-images.",
            )


def _duplicates(splits: Splits) -> Iterator[Finding]:
    """Images of equal pixels, anywhere."""
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


def _near_duplicates(splits: Splits) -> Iterator[Finding]:
    """Images of one domain that look nearly the same."""
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


def _advice_on_duplicates(where: str) -> str:
    if "A" in where and "B" in where:
        return "Decide for one domain, as an image cannot belong to both."
    if "train" in where and "test" in where:
        return "Remove them from the training, as a score on such test images flatters."
    return "Keep one of each, as they count as often as they are there."


def _sizes(
    split: str, images: Sequence[ImageFacts], crop_size: int
) -> Iterator[Finding]:
    small = _names(images, lambda image: min(image.width, image.height) < crop_size)
    if small:
        yield Finding(
            "warning",
            split,
            f"images smaller than the crop of {crop_size}x{crop_size}",
            "They are enlarged, which blurs, and --preprocess crop refuses them; use a "
            "smaller --load-size and --crop-size, or leave them out.",
            small,
        )
    long = _names(
        images,
        lambda image: (
            max(image.width, image.height) > _ELONGATED * min(image.width, image.height)
        ),
    )
    if long:
        yield Finding(
            "warning",
            split,
            f"images of an aspect ratio above {_ELONGATED:g}:1",
            "--preprocess resize_and_crop squeezes them into squares; use "
            "scale_width_and_crop or crop.",
            long,
        )
    sizes = collections.Counter((image.width, image.height) for image in images)
    (usual, count), *others = sizes.most_common() or [((0, 0), 0)]
    if others and count >= _USUAL * len(images):
        yield Finding(
            "warning",
            split,
            f"images of another size than the usual {usual[0]}x{usual[1]}",
            "Look whether they belong there.",
            _names(images, lambda image: (image.width, image.height) != usual),
        )


def _colour(split: str, images: Sequence[ImageFacts]) -> Iterator[Finding]:
    gray = _names(images, lambda image: image.gray)
    colour = _names(images, lambda image: not image.gray)
    if gray and colour:
        fewer = gray if len(gray) <= len(colour) else colour
        yield Finding(
            "warning",
            split,
            "gray images among colour"
            if fewer is gray
            else "images in colour among gray",
            "The generator learns to make such images, too; leave them out unless it "
            "should.",
            fewer,
        )


def _blank(split: str, images: Sequence[ImageFacts]) -> Iterator[Finding]:
    blank = _names(images, lambda image: image.blank)
    if blank:
        yield Finding(
            "warning",
            split,
            "images of a single colour",
            "There is nothing to learn from them; remove them, or look how they were "
            "stored.",
            blank,
        )


def _traits(split: str, images: Sequence[ImageFacts]) -> Iterator[Finding]:
    for trait, (what, advice) in _TRAITS.items():
        names = tuple(image.name for image in images if trait in image.traits)
        if names:
            yield Finding("warning", split, what, advice, names)


def _names(
    images: Sequence[ImageFacts], condition: Callable[[ImageFacts], bool]
) -> tuple[str, ...]:
    return tuple(image.name for image in images if condition(image))
