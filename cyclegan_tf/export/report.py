"""The report of an export: a line for each file, and the folder it describes.

It is written again after each file, so that the report of an export that is killed
says how far it came.
"""

import dataclasses
import logging
import pathlib
from collections.abc import Iterable
from typing import Any

from cyclegan_tf._shared.files import parse_json, remove, replacing, write_json
from cyclegan_tf._shared.tables import markdown_table
from cyclegan_tf.export.parity import LEAST_PSNR, Artefact, Measurement

_LOG = logging.getLogger(__name__)

FORMAT = 1
NAME = "report.json"


@dataclasses.dataclass(frozen=True)
class Entry:
    """A line of the report.

    Attributes:
        measurement: the comparison to Keras; `None` if the file was refused.
        problem: why it failed, a sentence; empty if it passed.
    """

    artefact: Artefact
    measurement: Measurement | None
    problem: str


@dataclasses.dataclass(frozen=True)
class Report:
    """The parity report of an export.

    Attributes:
        images: which images were compared.
        machine: processor and versions.
        finished: whether the export came to its end.
        earlier_files: paths in the folder that earlier exports left. They are removed
            when this one finishes, unless it adds to them.
    """

    source: str
    images: str
    machine: dict[str, str]
    entries: tuple[Entry, ...] = ()
    finished: bool = False
    earlier_files: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the export came to its end and no file failed."""
        return self.finished and not any(entry.problem for entry in self.entries)

    @property
    def exit_code(self) -> int:
        """The exit code of the command line: 1 if the report has not passed."""
        return 0 if self.passed else 1

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-serializable dicts, one flat one per artefact."""
        return {
            "format": FORMAT,
            "finished": self.finished,
            "passed": self.passed,
            "source": self.source,
            "images": self.images,
            "machine": self.machine,
            "limits": {"least_psnr": LEAST_PSNR},
            "artefacts": [_fields(entry) for entry in self.entries],
            "earlier_files": list(self.earlier_files),
        }

    def to_text(self) -> str:
        """Return the report as a Markdown table, with the problems below it."""
        head = "artefact|largest|mean|PSNR dB|MB|ms|runs|threads|operations|passed"
        table = markdown_table([head.split("|"), *map(_row, self.entries)])
        problems = [f"- {entry.problem}" for entry in self.entries if entry.problem]
        return "\n".join([table] + [""] * bool(problems) + problems)

    def write(self, folder: pathlib.Path) -> None:
        """Write `report.json` and `report.md`."""
        machine = ", ".join(f"{name} {value}" for name, value in self.machine.items())
        text = (
            f"# Parity report of {self.source}\n\n"
            f"Compared to the Keras generator on {self.images}; outputs are in "
            f"[-1, 1]. Machine: {machine}.\n\n{self.to_text()}\n"
        )
        if not self.finished:
            text += "\n**Unfinished**: the export was running, or ended early.\n"
        with replacing(folder / "report.md") as temporary:
            temporary.write_text(text)
        write_json(folder / NAME, self.to_dict())

    def finish(self, folder: pathlib.Path, keeps_earlier: bool = False) -> "Report":
        """Remove what earlier exports left, and write the finished report.

        Args:
            folder: of the export.
            keeps_earlier: whether this export adds to the earlier ones, whose files
                stay then.

        Returns:
            The report as written.
        """
        exported = {path for entry in self.entries for path in _paths(_fields(entry))}
        left = sorted(set(self.earlier_files) - exported)
        if not keeps_earlier:
            for path in left:
                _remove_from(folder, path)
            left = []
        finished = dataclasses.replace(self, finished=True, earlier_files=tuple(left))
        finished.write(folder)
        return finished


def find_earlier_files(
    folder: pathlib.Path, planned: Iterable[Artefact]
) -> tuple[str, ...]:
    """List what earlier exports wrote into a folder, and what the next one will write.

    Args:
        folder: of the export; it need not exist.
        planned: what the next export will write.

    Returns:
        Paths relative to it, in alphabetical order.
    """
    files = set()
    for artefact in planned:
        files |= _paths(dataclasses.asdict(artefact))
    path = folder / NAME
    try:
        if path.is_file():
            content = parse_json(path.read_text())
            files |= {str(name) for name in content["earlier_files"]}
            for fields in content["artefacts"]:
                files |= _paths(fields)
    except (OSError, ValueError, KeyError, TypeError) as e:
        _LOG.warning(
            "%s is damaged (%s), so files of that export may stay in %s; delete those "
            "that you do not need.",
            path,
            e,
            folder,
        )
    return tuple(sorted(files))


def _fields(entry: Entry) -> dict[str, Any]:
    return {
        **dataclasses.asdict(entry.artefact),
        **(dataclasses.asdict(entry.measurement) if entry.measurement else {}),
        "passed": not entry.problem,
        "problem": entry.problem,
    }


def _paths(fields: dict[str, Any]) -> set[str]:
    """Return the artefact's path, and that of the description of its generator."""
    return {str(fields["path"]), f"{fields['generator']}.json"}


def _remove_from(folder: pathlib.Path, name: str) -> None:
    """Remove a file or folder, and the folder above it if that is empty then."""
    path = folder / name
    if folder.resolve() not in path.resolve().parents:  # somebody edited the report
        return
    remove(path)
    above = path.parent
    if above != folder and above.is_dir() and not any(above.iterdir()):
        above.rmdir()


def _row(entry: Entry) -> list[str]:
    path, measured = entry.artefact.path, entry.measurement
    if measured is None:
        return [path, *["-"] * 8, "no"]
    psnr = "same" if measured.psnr is None else f"{measured.psnr:.1f}"
    return [
        path,
        f"{measured.largest_difference:.1e}",
        f"{measured.mean_difference:.1e}",
        psnr,
        f"{entry.artefact.bytes / 1e6:.2f}",
        f"{measured.latency_ms:.1f}",
        str(measured.latency_runs),
        str(measured.threads),
        str(sum(measured.operations.values())),
        "no" if entry.problem else "yes",
    ]
