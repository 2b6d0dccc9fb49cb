"""Feed broken files to all that reads files of strangers, guided by coverage.

    python tests/fuzzing.py [SECONDS [KIND ...]]

Needs `pip install atheris`. Each kind of `strangers.py` has SECONDS in a process of its
own, which starts from sound files. A file may be read, or refused by an `InputError`;
another exception, a crash, 20 seconds for one file or 2 GB of memory is a fault. It
prints a table, and ends with exit code 1 after a fault, whose file it keeps in
fuzzed-files.
"""

import contextlib
import dataclasses
import io
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import atheris

with (
    contextlib.redirect_stderr(io.StringIO()),  # the names of hundreds of modules
    atheris.instrument_imports(include=["cyclegan_tf", "PIL"]),
):
    from strangers import KINDS

from cyclegan_tf._shared.errors import InputError

SECONDS = 150  # twelve kinds in half an hour
# Larger files are no harder to read, and take longer to change.
LIMITS = (
    *("-timeout=20", "-rss_limit_mb=2048", "-max_len=65536", "-seed=1"),
    *("-print_final_stats=1", "-verbosity=0"),
)
KEPT = pathlib.Path("fuzzed-files")


@dataclasses.dataclass
class Ended:
    """How a kind ended: its name, exit code, and what it said."""

    name: str
    code: int
    said: str

    def row(self) -> str:
        """Return the name, files tried, peak memory and outcome."""
        files, peak = (
            (re.findall(rf"stat::{name}:\s+(\d+)", self.said) or ["?"])[-1]
            for name in ("number_of_executed_units", "peak_rss_mb")
        )
        outcome = "a fault" if self.code else "no fault"
        return f"{self.name} | {files} | {peak} MB | {outcome}"


def fuzz(name: str, seconds: int) -> Ended:
    """Let a process try files of one kind."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, __file__, "--kind", name, str(seconds)],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        for path in pathlib.Path(folder).glob("*-*"):  # such as crash-HASH
            KEPT.mkdir(exist_ok=True)
            shutil.copy(path, KEPT / f"{name}-{path.name}")
    return Ended(name, done.returncode, done.stdout)


def run_kind(name: str, seconds: str) -> None:
    """Try files until the time is over, in this process and folder."""
    corpus, folder = pathlib.Path("corpus"), pathlib.Path("fuzzed")
    corpus.mkdir()
    folder.mkdir()
    sound, read = KINDS[name](folder)
    for i, content in enumerate(sound):
        (corpus / str(i)).write_bytes(content)

    def test_one(content: bytes) -> None:
        with contextlib.suppress(InputError):  # a sentence for people
            read(content)

    arguments = [sys.argv[0], str(corpus), f"-max_total_time={seconds}", *LIMITS]
    atheris.Setup(arguments, test_one)
    atheris.Fuzz()


def main() -> None:
    """Try the kinds, one after the other."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    print("reads | files tried | peak memory | outcome", flush=True)
    faults = 0
    for name in sys.argv[2:] or list(KINDS):
        ended = fuzz(name, seconds)
        print(ended.row(), flush=True)
        if ended.code:
            faults += 1
            print(ended.said[-3000:], flush=True)
    sys.exit(min(faults, 1))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--kind"]:
        run_kind(*sys.argv[2:])
    else:
        main()
