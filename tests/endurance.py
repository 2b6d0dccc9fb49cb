"""Train 2,000 steps: do memory, open files or threads grow?

    python tests/endurance.py [EPOCHS]

`cyclegan train` at 32x32 with small networks, 100 steps an epoch, with validation,
scores, a sample picture and a checkpoint after each. It prints a row an epoch, and ends
with exit code 1 if the last epoch has more than the one after the warm-up: 5 % more
memory, or a file or thread.
"""

import pathlib
import subprocess
import sys
import tempfile
from typing import NamedTuple

import psutil
import tiny

EPOCHS = 20
STEPS = 100  # an epoch
WARM_UP = 0.25  # of the epochs
GROWTH = 1.05
SMALL = (
    *("--filters", "4", "--num-residual-blocks", "1", "--discriminator-filters", "4"),
    *("--load-size", "36", "--crop-size", "32", "--evaluate-every", "1"),
    *("--keep-best", "kid", "--ema", "0.99"),
)


class Usage(NamedTuple):
    """What a process holds: memory of its own in bytes, open files, threads."""

    memory: int
    files: int
    threads: int


def train(folder: pathlib.Path, epochs: int) -> list[Usage]:
    """Train; return what the process held after each epoch."""
    splits = ("trainA", "trainB", "testA", "testB")
    tiny.write_domains(folder / "data", STEPS, side=36, splits=splits)
    command = [sys.executable, "-m", "cyclegan_tf", "train", *SMALL]
    where = ("--data", folder / "data", "--run-dir", folder / "run")
    found = []
    with subprocess.Popen(
        [*command, *map(str, where), "--epochs", str(epochs)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        watched = psutil.Process(process.pid)
        for line in process.stdout:  # one an epoch
            if not line.startswith("epoch "):
                continue
            with watched.oneshot():
                found.append(
                    Usage(
                        watched.memory_full_info().uss,
                        watched.num_fds(),
                        watched.num_threads(),
                    )
                )
            memory, files, threads = found[-1]
            print(
                f"{len(found)} | {memory / 1e6:.0f} MB | {files} | {threads}",
                flush=True,
            )
    if process.returncode or len(found) != epochs:
        raise RuntimeError(f"the training ended with {process.returncode}")
    return found


def main() -> None:
    """Train, and compare the last epoch with the one after the warm-up."""
    epochs = int(sys.argv[1]) if len(sys.argv) > 1 else EPOCHS
    print("epoch | memory | open files | threads", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        found = train(pathlib.Path(folder), epochs)
    warm, last = found[int(WARM_UP * epochs)], found[-1]
    print(f"memory, last / after the warm-up | {last.memory / warm.memory:.3f}")
    has_grown = last.memory > GROWTH * warm.memory
    sys.exit(has_grown or last.files > warm.files or last.threads > warm.threads)


if __name__ == "__main__":
    main()
