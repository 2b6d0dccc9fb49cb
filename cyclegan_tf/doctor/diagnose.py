"""Look for faults of a data set before training on it."""

import concurrent.futures
import dataclasses
import pathlib
from collections.abc import Iterator, Sequence

from cyclegan_tf._shared.errors import InputError, check_positive
from cyclegan_tf._shared.files import relative_name, write_json
from cyclegan_tf._shared.tables import markdown_table
from cyclegan_tf.data.sources import (
    Source,
    find_pairs,
    find_sources,
    is_at_hand,
    is_side_by_side,
)
from cyclegan_tf.doctor.checks import check
from cyclegan_tf.doctor.findings import Finding, warn
from cyclegan_tf.doctor.image_facts import ImageFacts, examine
from cyclegan_tf.doctor.options import DoctorConfig
from cyclegan_tf.images.folders import list_folder
from cyclegan_tf.images.reading import SUFFIXES, open_image

_PHASES = ("train", "test")
_SPLITS = tuple(phase + domain for phase in _PHASES for domain in "AB")
_FILES_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class SplitSummary:
    """Numbers of images of a split, and their common size or range of sizes."""

    split: str
    images: int
    unreadable: int
    sizes: str
    gray: int


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """The faults of a data set, errors first.

    `side_by_side` says whether a file holds a pair, which only pix2pix trains on.
    """

    data: str
    splits: tuple[SplitSummary, ...]
    findings: tuple[Finding, ...]
    side_by_side: bool = False

    @property
    def trainable(self) -> bool:
        """Whether training is possible, perhaps with warnings."""
        return all(finding.severity != "error" for finding in self.findings)

    @property
    def exit_code(self) -> int:
        """0 if training is possible, else 1."""
        return 0 if self.trainable else 1

    def to_text(self) -> str:
        """Return a table of the splits, and the findings with their first files."""
        rows = [("split", "images", "unreadable", "size", "gray")]
        rows += [
            (s.split, str(s.images), str(s.unreadable), s.sizes, str(s.gray))
            for s in self.splits
        ]
        found = [_describe(finding) for finding in self.findings]
        found = found or ["No faults found."]
        if self.side_by_side:
            found.append("Each file is a pair, A on the left, for pix2pix only.")
        return "\n\n".join([markdown_table(rows), *found])

    def write(self, path: pathlib.Path) -> None:
        """Write a JSON file with all findings and all their files."""
        write_json(path, {"trainable": self.trainable, **dataclasses.asdict(self)})


def diagnose(config: DoctorConfig) -> Diagnosis:
    """Read every image of a data set once, and look for faults.

    Raises:
        InputError: if there is no such data set, or `crop_size` is less than 1.
    """
    check_positive(crop_size=config.crop_size)
    is_at_hand(config.data, config.data_dir)  # a dead server is asked once
    root = pathlib.Path(config.data)
    splits: dict[str, list[ImageFacts]] = {}
    refusals: dict[str, InputError] = {}
    for split in _SPLITS:
        try:
            sources = _find(config, split)
        except InputError as e:
            refusals[split] = e
            continue
        if sources:
            splits[split] = _examine_all(root, sources)
    if not splits:
        raise refusals["trainA"]
    found = [
        Finding("error", split, "no images", str(refusal))
        for split, refusal in refusals.items()
    ]
    found += [*_overlooked(root), *check(splits, config.crop_size)]
    return Diagnosis(
        config.data,
        tuple(_summary(split, images) for split, images in splits.items()),
        tuple(sorted(found, key=lambda finding: finding.severity != "error")),
        is_side_by_side(config.data, "train"),
    )


def _find(config: DoctorConfig, split: str) -> Sequence[Source]:
    phase, domain = split[:-1], split[-1]
    if is_side_by_side(config.data, phase):
        return find_pairs(config.data, phase)["AB".index(domain)]
    return find_sources(config.data, split, config.data_dir)


def _examine_all(root: pathlib.Path, sources: Sequence[Source]) -> list[ImageFacts]:
    """Examine images in threads, each with the pixels of one image at a time."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        facts = pool.map(examine, sources)
        return [
            dataclasses.replace(image, name=relative_name(image.name, root))
            for image in facts
        ]


def _overlooked(root: pathlib.Path) -> Iterator[Finding]:
    """Find what training does not read: links without a target, unusual suffixes."""
    paired = (phase for phase in _PHASES if is_side_by_side(str(root), phase))
    for split in (*_SPLITS, *paired):
        contents = list_folder(root / split)
        yield from warn(
            split,
            "links without a target",
            "Fetch what they stand for, for example by git annex get or dvc pull.",
            tuple(path.relative_to(root).as_posix() for path in contents.broken_links),
        )
        yield from warn(
            split,
            "images that are not read because of their suffix",
            f"Rename them to one of {', '.join(sorted(SUFFIXES))}.",
            tuple(
                path.relative_to(root).as_posix()
                for path in contents.others
                if path.is_file() and _is_image(path)
            ),
        )


def _is_image(path: pathlib.Path) -> bool:
    try:
        with open_image(path):
            return True
    except InputError:
        return False


def _describe(finding: Finding) -> str:
    count = f" ({len(finding.files)})" if finding.files else ""
    lines = [f"{finding.severity}: {finding.where}: {finding.what}{count}"]
    lines += [f"  {name}" for name in finding.files[:_FILES_SHOWN]]
    if len(finding.files) > _FILES_SHOWN:
        lines.append(f"  and {len(finding.files) - _FILES_SHOWN} more")
    return "\n".join([*lines, f"  {finding.advice}"])


def _summary(split: str, images: Sequence[ImageFacts]) -> SplitSummary:
    readable = [image for image in images if not image.problem]
    widths = sorted(image.width for image in readable)
    heights = sorted(image.height for image in readable)
    sizes = ""
    if readable:
        smallest, largest = (f"{widths[i]}x{heights[i]}" for i in (0, -1))
        sizes = smallest if smallest == largest else f"{smallest} to {largest}"
    return SplitSummary(
        split,
        len(images),
        len(images) - len(readable),
        sizes,
        sum(image.gray for image in readable),
    )
