"""Find faults of a data set in the facts of its images."""

import collections
from collections.abc import Callable, Iterator, Mapping, Sequence

from cyclegan_tf.doctor.duplicates import duplicates, near_duplicates
from cyclegan_tf.doctor.findings import Finding, warn
from cyclegan_tf.doctor.image_facts import ImageFacts, Splits

# Squeezing an image beyond this aspect ratio into a square is visible.
_ELONGATED = 2.0
# Images of another size are suspicious if at least this share has one size.
_USUAL = 0.9
# Warn if one domain has at least this many times more images.
_IMBALANCE = 10

_TRAITS: Mapping[str, tuple[str, str]] = {
    "blank": (
        "images of a single color",
        "They teach nothing; remove them, or check how they were saved.",
    ),
    "alpha": (
        "images with transparency",
        "Transparency is dropped and hidden pixels show; flatten the images onto a "
        "background.",
    ),
    "cmyk": (
        "images in CMYK, the color space of print",
        "They are converted without their color profile; save them as sRGB.",
    ),
    "palette": (
        "images with a palette",
        "The generator would learn their few colors and dots; use the originals.",
    ),
    "deep": (
        "images of more than 8 bits per channel",
        "They are read with 8 bits; convert them yourself for another conversion.",
    ),
    "narrow": (
        "images that use less than a tenth of the range from black to white",
        "They look almost uniform to the networks; spread their levels first, such as "
        "12 bits that are stored in 16.",
    ),
    "animated": (
        "files with several frames or pages",
        "Only the first is read; save the others as separate files if needed.",
    ),
    "rotated": (
        "images rotated by EXIF orientation",
        "They are turned upright here, but other programs may ignore the orientation; "
        "save them upright.",
    ),
    "suffix": (
        "files of another format than their suffix says",
        "They are read anyway, but other programs may refuse them; rename them.",
    ),
}


def check(splits: Splits, crop_size: int) -> list[Finding]:
    """Look for all known faults, for a training with square crops of `crop_size`."""
    readable = {
        split: [image for image in images if not image.problem]
        for split, images in splits.items()
    }
    found = [
        *_unreadable(splits),
        *_missing_test_images(splits),
        *_imbalance(splits),
        *duplicates(readable),
        *near_duplicates(readable),
    ]
    for split, images in readable.items():
        found += [*_small_or_long(split, images, crop_size), *_odd_size(split, images)]
        found += [*_gray(split, images), *_traits(split, images)]
    return found


def _unreadable(splits: Splits) -> Iterator[Finding]:
    for split, images in splits.items():
        missing = _names(images, lambda image: image.missing)
        if missing:
            yield Finding(
                "error",
                split,
                "listed files that do not exist",
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
                "Training needs at least one readable image; replace them."
                if none_left
                else "Training leaves them out; replace or remove them.",
                tuple(f"{image.name} ({image.problem})" for image in damaged),
            )


def _missing_test_images(splits: Splits) -> Iterator[Finding]:
    absent = [split for split in ("testA", "testB") if not splits.get(split)]
    if absent:
        yield Finding(
            "warning",
            " and ".join(absent),
            "no test images",
            "Training images replace them, which makes all scores too good; set some "
            "images aside.",
        )


def _imbalance(splits: Splits) -> Iterator[Finding]:
    counts = {split: len(splits.get(split, ())) for split in ("trainA", "trainB")}
    fewer, more = sorted(counts, key=counts.__getitem__)
    if counts[fewer] and counts[more] >= _IMBALANCE * counts[fewer]:
        yield Finding(
            "warning",
            f"{fewer} and {more}",
            f"{counts[fewer]} images against {counts[more]}",
            f"Images of {fewer} are seen {counts[more] / counts[fewer]:.0f} times as "
            "often and may be memorized; add some, or use `max_images`.",
        )


def _small_or_long(
    split: str, images: Sequence[ImageFacts], crop_size: int
) -> Iterator[Finding]:
    yield from warn(
        split,
        f"images smaller than the crop of {crop_size}x{crop_size}",
        "They are enlarged, which blurs them, and `preprocess=crop` refuses them; use "
        "a smaller `load_size` and `crop_size`, or leave them out.",
        _names(images, lambda image: min(image.width, image.height) < crop_size),
    )
    yield from warn(
        split,
        f"images of an aspect ratio above {_ELONGATED:g}:1",
        "`preprocess=resize_and_crop` squeezes them into squares; use "
        "`preprocess=scale_width_and_crop` or `preprocess=crop`.",
        _names(
            images,
            lambda image: (
                max(image.width, image.height)
                > _ELONGATED * min(image.width, image.height)
            ),
        ),
    )


def _odd_size(split: str, images: Sequence[ImageFacts]) -> Iterator[Finding]:
    sizes = collections.Counter((image.width, image.height) for image in images)
    (usual, count), *_ = sizes.most_common() or [((0, 0), 0)]
    if count >= _USUAL * len(images):
        yield from warn(
            split,
            f"images of another size than the usual {usual[0]}x{usual[1]}",
            "Check whether they belong there.",
            _names(images, lambda image: (image.width, image.height) != usual),
        )


def _gray(split: str, images: Sequence[ImageFacts]) -> Iterator[Finding]:
    gray = _names(images, lambda image: image.gray)
    color = _names(images, lambda image: not image.gray)
    if gray and color:
        what, fewer = min(
            ("gray images among color images", gray),
            ("color images among gray images", color),
            key=lambda found: len(found[1]),
        )
        advice = "The generator learns to make such images, too; remove unwanted ones."
        yield Finding("warning", split, what, advice, fewer)


def _traits(split: str, images: Sequence[ImageFacts]) -> Iterator[Finding]:
    for trait, (what, advice) in _TRAITS.items():
        names = tuple(image.name for image in images if trait in image.traits)
        yield from warn(split, what, advice, names)


def _names(
    images: Sequence[ImageFacts], condition: Callable[[ImageFacts], bool]
) -> tuple[str, ...]:
    return tuple(image.name for image in images if condition(image))
