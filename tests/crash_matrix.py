"""Stop each command at random moments, and run it again: is anything lost?

    python tests/crash_matrix.py [MOMENTS [COMMAND ...]]
    python tests/crash_matrix.py --two [MOMENTS [COMMAND ...]]
    sudo python tests/crash_matrix.py --full-disk [MOMENTS [COMMAND ...]]

A stop is SIGKILL, SIGTERM or Ctrl-C, in turn, after a random part of the time that the
command takes undisturbed; or the same command, started a second time at such a moment;
or a disk that is read-only (the first one) or full after a random part of what it
writes. Then no file may be half written under its final name, what is said holds no
traceback, and the same command (a training: `--resume`) ends with the files of an
undisturbed one, bit by bit, and no others. It prints a table, and ends with exit code
1 if anything was lost.
"""

import collections
import contextlib
import hashlib
import itertools
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from typing import NamedTuple

import exported as saved
import h5py
import tensorflow as tf
import tiny
from processes import Program

import cyclegan_tf
from cyclegan_tf._shared.files import versions_in

PHOTOGRAPHS = pathlib.Path(cyclegan_tf.__file__).parent / "photographs"
MOMENTS = 50
IMAGES = 6
PIXELS = saved.encode(saved.photo(12, 16, 3))
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
SMALL = (
    *("--filters", "2", "--num-residual-blocks", "1", "--discriminator-filters", "2"),
    *("--num-layers", "1", "--pool-size", "3", "--load-size", "20"),
    *("--crop-size", "16", "--constant-epochs", "2", "--decay-epochs", "2"),
)


class Command(NamedTuple):
    """A command that writes the folder it is called with.

    `arguments` and `again` return the arguments of the first call and of the one after
    the stop; `contents` what is compared, by the name of each file.
    """

    arguments: Callable[[pathlib.Path], list[str]]
    again: Callable[[pathlib.Path], list[str]]
    contents: Callable[[pathlib.Path], dict[str, str]]


def main() -> None:
    """Try the commands."""
    arguments = sys.argv[1:]
    try_command = try_signals
    if arguments[:1] in (["--full-disk"], ["--two"]):
        try_command = try_full_disks if arguments[0] == "--full-disk" else try_two
        arguments = arguments[1:]
    moments = int(arguments[0]) if arguments else MOMENTS
    chosen = arguments[1:] or list(COMMANDS)
    print("command | undisturbed | stops | not stopped | lost", flush=True)
    lost = 0
    for name in chosen:
        with tempfile.TemporaryDirectory() as folder:
            lost += try_command(name, COMMANDS[name], moments, pathlib.Path(folder))
    sys.exit(min(lost, 1))


class Undisturbed(NamedTuple):
    """How long a command takes, what it writes, and how many bytes that is."""

    seconds: float
    contents: dict[str, str]
    size: int

    @classmethod
    def run(cls, command: Command, folder: pathlib.Path) -> "Undisturbed":
        """Run a command; the first time, what it imports later is not loaded yet."""
        run(folder / "log", command.arguments(folder / "warm"))
        start = time.monotonic()
        whole = folder / "whole"
        run(folder / "log", command.arguments(whole))
        seconds = time.monotonic() - start
        size = sum(path.stat().st_size for path in whole.rglob("*"))
        return cls(seconds, command.contents(whole), size)


def try_signals(name: str, command: Command, moments: int, folder: pathlib.Path) -> int:
    """Stop a command at so many moments; print a row; return how often it lost."""
    undisturbed = Undisturbed.run(command, folder)
    random_part = random.Random(0)
    ended: collections.Counter[str] = collections.Counter()
    lost = 0
    for i in range(moments):
        number = SIGNALS[i % len(SIGNALS)]
        out, log = folder / "stopped", folder / f"log-{i}"
        program = Program(log, *command.arguments(out))
        after = random_part.uniform(0, undisturbed.seconds)
        program.process.join(after)
        if program.is_running:
            program.send(number)
            ended[number.name] += 1
        else:
            ended["before"] += 1
        program.process.join()
        lost += is_lost(command, out, log, undisturbed, f"{number.name}, {after:.2f} s")
        shutil.rmtree(out)
    stops = ", ".join(f"{ended[number.name]} {number.name}" for number in SIGNALS)
    print_row(name, undisturbed, stops, ended["before"], lost)
    return lost


def try_two(name: str, command: Command, moments: int, folder: pathlib.Path) -> int:
    """Start a command twice for one folder so many times; as `try_signals`."""
    undisturbed = Undisturbed.run(command, folder)
    random_part = random.Random(0)
    refused = lost = 0
    for i in range(moments):
        out, log, log_of_second = (
            folder / part for part in ("stopped", f"log-{i}", f"second-{i}")
        )
        first = Program(log, *command.arguments(out))
        after = random_part.uniform(0, undisturbed.seconds)
        first.process.join(after)
        code, said = Program(log_of_second, *command.arguments(out)).end()
        first_code, _ = first.end()
        codes = sorted([first_code, code])
        refused += codes == [0, 2]
        if codes not in ([0, 0], [0, 2]) or "Traceback" in said:
            print(f"{after:.2f} s: exit codes {first_code} and {code}\n{said[-2000:]}")
            lost += 1
        lost += is_lost(command, out, log, undisturbed, f"a second one, {after:.2f} s")
        shutil.rmtree(out)
    print_row(name, undisturbed, f"{refused} refused", moments - refused, lost)
    return lost


def try_full_disks(
    name: str, command: Command, moments: int, folder: pathlib.Path
) -> int:
    """Give a command too little disk so many times, then enough; as `try_signals`."""
    undisturbed = Undisturbed.run(command, folder)
    random_part = random.Random(0)
    full = lost = 0
    for i in range(moments):
        size = int(random_part.uniform(1, undisturbed.size)) if i else 0
        out, log = folder / "stopped", folder / f"log-{i}"
        out.mkdir()
        with small_disk(out, size) as grow:
            program = Program(log, *command.arguments(out))
            code, _ = program.end()
            full += code != 0
            grow()
            lost += is_lost(command, out, log, undisturbed, f"{size} bytes")
        out.rmdir()
    print_row(name, undisturbed, f"{full} full disks", moments - full, lost)
    return lost


@contextlib.contextmanager
def small_disk(out: pathlib.Path, size: int) -> Iterator[Callable[[], None]]:
    """Make a folder a disk of so many bytes, or read-only; yield what mends it."""
    where, options = str(out), f"size={size}" if size else "ro"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "disk", where], check=True)
    enough = ["mount", "-o", "remount,rw,size=1G", where]
    try:
        yield lambda: subprocess.run(enough, check=True)
    finally:
        subprocess.run(["umount", where], check=True)


def is_lost(
    command: Command,
    out: pathlib.Path,
    log: pathlib.Path,
    undisturbed: Undisturbed,
    stop: str,
) -> bool:
    """Look at what a stop has left, run the command again, and print the faults."""
    expected = undisturbed.contents
    said = log.read_text() if log.exists() else ""  # or it had not even begun
    faults = ["a traceback"] if "Traceback" in said else []
    faults += half_written(out, command.contents, expected)
    again = command.again if out.exists() else command.arguments
    run(log.with_name("log"), again(out))
    found = command.contents(out)
    faults += [
        f"{path} differs" for path in expected if found.get(path) != expected[path]
    ]
    faults += [f"{path} is left" for path in found if path not in expected]
    if faults:
        print(f"{stop}: {faults}\n{said[-2000:]}", flush=True)
    return bool(faults)


def print_row(
    name: str, undisturbed: Undisturbed, stops: str, before: int, lost: int
) -> None:
    """Print what became of a command."""
    seconds = f"{undisturbed.seconds:.1f} s"
    print(name, seconds, stops, before, lost, sep=" | ", flush=True)


def run(log: pathlib.Path, arguments: list[str]) -> None:
    """Run a command that must succeed."""
    log.unlink(missing_ok=True)
    code, said = Program(log, *arguments).end()
    if code:
        raise RuntimeError(f"{arguments} ended with {code}:\n{said}")


def half_written(
    out: pathlib.Path,
    contents: Callable[[pathlib.Path], dict[str, str]],
    expected: dict[str, str],
) -> list[str]:
    """List the files that have a final name, but not their final contents."""
    if not out.exists():
        return []
    try:
        found = contents(out)
    except (OSError, KeyError, zipfile.BadZipFile) as e:
        return [f"unreadable: {type(e).__name__}: {e}"]
    return [
        f"{path} is half written"
        for path, content in found.items()
        if path in expected and content != expected[path] and path not in GROWING
    ]


# Files that grow by whole lines, or are replaced after each epoch.
GROWING = {
    *("manifest.csv", "generator_g.keras", "generator_f.keras", "newest checkpoint"),
}


def files(out: pathlib.Path) -> dict[str, str]:
    """Return a hash of each file; the manifest names the folder, which is another."""
    return {
        str(path.relative_to(out)): hashlib.sha256(
            path.read_bytes().replace(bytes(out), b"OUT")
        ).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }


def generators(out: pathlib.Path) -> dict[str, str]:
    """Return a hash of the weights of the final generators and newest checkpoint."""
    found = {path.name: weights(path) for path in out.glob("generator_*.keras")}
    checkpoints = sorted(out.glob("checkpoints/step-*"))
    if checkpoints:
        found["newest checkpoint"] = weights(checkpoints[-1] / "model.keras")
    return found


def weights(path: pathlib.Path) -> str:
    """Return a hash of the weights in a `.keras` file, whatever their file's dates."""
    digest = hashlib.sha256()
    arrays = {}
    with (
        zipfile.ZipFile(path) as archive,
        archive.open("model.weights.h5") as stream,
        h5py.File(stream) as file,
    ):
        file.visititems(lambda name, item: arrays.update({name: item}))
        for name in sorted(arrays):
            if isinstance(arrays[name], h5py.Dataset):
                digest.update(name.encode())
                digest.update(arrays[name][()].tobytes())
    return digest.hexdigest()


def train(out: pathlib.Path) -> list[str]:
    """Train four epochs of six images."""
    data = out.parent / "data"
    if not data.exists():
        splits = ("trainA", "trainB", "testA", "testB")
        tiny.write_domains(data, IMAGES, splits=splits)
    return [
        *("train", "--data", str(data), "--run-dir", str(out), "--deterministic"),
        *("--checkpoint-minutes", "0", "--evaluate-every", "2", *SMALL),
    ]


def resume(out: pathlib.Path) -> list[str]:
    """Go on, or begin where nothing was kept."""
    is_kept = (out / "config.json").exists()
    if not is_kept:
        return train(out)
    return ["train", "--resume", str(out), "--checkpoint-minutes", "0"]


def translate(out: pathlib.Path) -> list[str]:
    """Translate the photographs of the package."""
    photographs = map(str, sorted(PHOTOGRAPHS.glob("*.jpg")))
    return [
        "translate",
        "photo2monet",
        *photographs,
        "--size",
        "128",
        "--out",
        str(out),
    ]


def export(out: pathlib.Path) -> list[str]:
    """Export for servers and phones, over what is there."""
    generator = out.parent / "g.keras"
    if not generator.exists():
        saved.two_layer_generator().save(generator)
    return [
        *("export", str(generator), "--formats", "savedmodel", "litert"),
        *("--variants", "float16", "--overwrite", "--out", str(out)),
    ]


def translate_beam(out: pathlib.Path) -> list[str]:
    """Translate them by Beam's own runner."""
    return [
        *("translate-beam", "photo2monet", str(PHOTOGRAPHS / "*.jpg")),
        *("--size", "128", "--out", str(out)),
    ]


def exported(out: pathlib.Path) -> dict[str, str]:
    """Return a hash of each LiteRT file, and of what a SavedModel translates.

    Of all other files the names alone, for reports hold times. Each `--overwrite` gives
    a SavedModel the next number, and removes the one before.
    """
    models = {folder: versions_in(folder) for folder in out.glob("[!.]*")}
    found = {
        name: content if name.endswith(".tflite") else ""
        for name, content in files(out).items()
        if pathlib.Path(out, *pathlib.Path(name).parts[:2])
        not in itertools.chain.from_iterable(map(dict.values, models.values()))
    }
    for folder, versions in models.items():
        if versions:
            *_, newest = versions.values()
            (image,) = saved.translate_files(tf.saved_model.load(str(newest)), [PIXELS])
            found[folder.name] = hashlib.sha256(image.tobytes()).hexdigest()
            found[f"{len(versions)} versions of {folder.name}"] = ""
    return found


def translated_by_beam(out: pathlib.Path) -> dict[str, str]:
    """Return a hash of each file but the manifest, which says what was there before."""
    return {k: v for k, v in files(out).items() if k != "manifest.jsonl"}


COMMANDS = {
    "train": Command(train, resume, generators),
    "translate": Command(translate, translate, files),
    "translate-beam": Command(translate_beam, translate_beam, translated_by_beam),
    "export": Command(export, export, exported),
}


if __name__ == "__main__":
    main()
