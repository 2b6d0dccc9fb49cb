"""What all benchmarks share: how to compare, on which machine, and where it is kept.

A machine is never quite quiet. So what is compared is measured in turns, A B A B, and
divided turn by turn; medians and ranges of the ratios are what can be read elsewhere.
"""

import contextlib
import datetime
import importlib.metadata
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from cyclegan_tf._shared.tables import markdown_table

HERE = pathlib.Path(__file__).parent
RESULTS = HERE / "RESULTS.md"
# The names that are shown, and Keras's dtype policies.
PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
_PACKAGES = {"TensorFlow": "tensorflow", "Keras": "keras", "PyTorch": "torch"}
_ENVIRONMENT = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    # TensorFlow would take the whole GPU, where others have to train beside it.
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
}


class Contestant:
    """A process that does its work when it is asked to, and sleeps otherwise.

    Contestants live side by side, so that they can work in turns; but none is timed
    with the memory or the threads of another. See `contestant.py` for their side.

    Args:
        name: module and function in this folder that prepare the work, such as
            `"ours:training"`.
        options: what the function is called with.

    Attributes:
        folder: the benchmarks of the version that works.
        import_seconds: from the start of the process until the module is imported.
        build_seconds: until the work is prepared.
    """

    folder: pathlib.Path = HERE

    def __init__(self, name: str, **options: Any):
        self._name = name
        script = self.folder / "contestant.py"
        paths = [str(self.folder.parent), str(HERE), os.environ.get("PYTHONPATH", "")]
        with contextlib.ExitStack() as stack:
            self._complaints = stack.enter_context(tempfile.TemporaryFile("w+"))
            start = time.perf_counter()
            self._process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, script, name, json.dumps(options)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._complaints,
                    text=True,
                    env=os.environ
                    | _ENVIRONMENT
                    | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
                )
            )
            self._answer()
            imported = time.perf_counter()
            self._answer()
            self.import_seconds = imported - start
            self.build_seconds = time.perf_counter() - imported
            self._open = stack.pop_all()

    def run(self, *arguments: Any) -> dict[str, Any]:
        """Let it do its work once.

        Args:
            *arguments: what the work is called with.

        Returns:
            `"seconds"` it took, `"peak_bytes"` the process has held so far, and the
            `"result"`.
        """
        self._process.stdin.write(json.dumps(arguments) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def seconds(self, *arguments: Any) -> float:
        """Let it do its work once; return how long that took."""
        return self.run(*arguments)["seconds"]

    def close(self) -> None:
        """End the process, which has nothing to clear up."""
        self._process.kill()
        self._open.close()

    def __enter__(self) -> "Contestant":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answer(self) -> Any:
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._complaints.seek(0)
            raise RuntimeError(f"{self._name} ended:\n{self._complaints.read()}")
        return json.loads(line)


def run_python(*arguments: Any) -> str:
    """Run a new Python with some arguments; return the last line that it prints."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | _ENVIRONMENT,
    )
    if done.returncode:
        raise RuntimeError(f"Python ended with {done.returncode}:\n{done.stderr}")
    return (done.stdout.splitlines() or [""])[-1]


def in_turns(
    rounds: int, functions: Mapping[str, Callable[[], Any]]
) -> dict[str, list[Any]]:
    """Call functions in turns: A B A B.

    Args:
        rounds: int. How often each is called.
        functions: by name; they are called without arguments.

    Returns:
        What each has returned, by name, round by round.
    """
    results: dict[str, list[Any]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            results[name].append(function())
    return results


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> list[float]:
    """Divide what was measured in the same round."""
    return [a / b for a, b in zip(numerators, denominators, strict=True)]


def spread(values: Sequence[float], unit: str = "", digits: int = 2) -> str:
    """Write the median and the range; the value alone if there is but one."""
    if len(values) == 1:
        return f"{values[0]:.{digits}f}{unit}"
    middle = statistics.median(values)
    return (
        f"{middle:.{digits}f}{unit} ({min(values):.{digits}f} to "
        f"{max(values):.{digits}f})"
    )


def machine() -> str:
    """Describe the machine and what is installed; call it before it is busy."""
    parts = [
        _processor(),
        f"{os.cpu_count()} cores",
        f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB",
        *_gpus(),
        f"Python {platform.python_version()}",
        *(
            f"{title} {importlib.metadata.version(package)}"
            for title, package in _PACKAGES.items()
        ),
        f"load {os.getloadavg()[0]:.2f} before",
    ]
    return ", ".join(parts)


def append(
    title: str, described: str, text: str, *tables: Sequence[Sequence[str]]
) -> None:
    """Print a section, and append it to RESULTS.md.

    Args:
        title: without the date.
        described: the `machine`.
        text: what was measured, and how to read it.
        *tables: rows of text, the headings first.
    """
    script = pathlib.Path(sys.argv[0]).name
    command = " ".join(["python", f"benchmarks/{script}", *sys.argv[1:]])
    paragraph = textwrap.fill(
        f"`{command}`, {described}. {text}",
        88,
        break_on_hyphens=False,
        break_long_words=False,
    )
    section = "\n\n".join(
        [
            f"\n## {title}, {datetime.date.today()}",
            paragraph,
            *map(markdown_table, tables),
        ]
    )
    print(section, flush=True)
    with RESULTS.open("a") as file:
        file.write(f"{section}\n")


def random_images(size: int, batch_size: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return a batch of images of X, and of Y: float32 (batch, size, size, 3)."""
    random = np.random.default_rng(0)
    pair = random.uniform(-1, 1, (2, batch_size, size, size, 3)).astype(np.float32)
    return pair[0], pair[1]


def _processor() -> str:
    info = pathlib.Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _gpus() -> list[str]:
    if shutil.which("nvidia-smi") is None:
        return []
    query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True)
    return done.stdout.splitlines() if done.returncode == 0 else []
