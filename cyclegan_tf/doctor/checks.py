"""What is wrong with a data set, found in what is known of its images."""

import collections
from collections.abc import Callable, Iterator, Mapping, Sequence

from cyclegan_tf.doctor.duplicates import duplicates, near_duplicates
from cyclegan_tf.doctor.findings import Finding
from cyclegan_tf.doctor.image_facts import ImageFacts, Splits

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
        *duplicates(readable),
        *near_duplicates(readable),
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
            none_left = len(damaged) == len(images)
            yield Finding(
                "error" if none_left else "warning",
                split,
                "files that cannot be read",
                "Training stops where none is left; replace them."
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
