"""Feed broken files to all that reads files of strangers, guided by coverage.

    python tests/fuzzing.py [SECONDS [TARGET ...]]

Needs `pip install atheris`. Each target has SECONDS in a process of its own, which
starts from sound files. A file may be read, or refused by an `InputError`; another
exception, a crash, 20 seconds for one file or 2 GB of memory is a fault. It prints a
table, and ends with exit code 1 after a fault, whose file it keeps in fuzzed-files.
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
from collections.abc import Callable

import atheris

with (
    contextlib.redirect_stderr(io.StringIO()),  # the names of hundreds of modules
    atheris.instrument_imports(include=["cyclegan_tf", "PIL"]),
):
    from cyclegan_tf.beam.records import read_records
    from cyclegan_tf.cli.main import main as cyclegan
    from cyclegan_tf.images import read_image
    from cyclegan_tf.pretrained.find import read_network
    from cyclegan_tf.pretrained.keras2.files import read_h5
    from cyclegan_tf.pretrained.pytorch.files import read_state_dict, write_state_dict
    from cyclegan_tf.runs.run import Run

import exported
import h5py
import numpy as np
import tensorflow as tf
import tiny

from cyclegan_tf._shared.errors import InputError

SECONDS = 225  # eight targets in half an hour
# Larger files are no harder to read, and take longer to change.
LIMITS = (
    *("-timeout=20", "-rss_limit_mb=2048", "-max_len=65536", "-seed=1"),
    *("-print_final_stats=1", "-verbosity=0"),
)
KEPT = pathlib.Path("fuzzed-files")
FOLDER = pathlib.Path("fuzzed")  # in the temporary folder of the process
Read = Callable[[bytes], object]


def images(corpus: pathlib.Path) -> Read:
    """Return what reads an image, as `translate`, `train` and `serve` do."""
    for suffix in ("PNG", "JPEG", "BMP", "GIF", "WebP", "TIFF", "PPM"):
        (corpus / suffix).write_bytes(exported.encode(exported.photo(9, 7, 3), suffix))
    return read_image


def config(corpus: pathlib.Path) -> Read:
    """Return what reads the config.json of a run."""
    tiny.untrained_run(FOLDER)
    path = FOLDER / "config.json"
    (corpus / "config").write_bytes(path.read_bytes())

    def read(content: bytes) -> None:
        path.write_bytes(content)
        Run(FOLDER)

    return read


def by_path(corpus: pathlib.Path, file: pathlib.Path, read: Callable) -> Read:
    """Return what reads a file of the kind of a sound one."""
    (corpus / "sound").write_bytes(file.read_bytes())
    changed = FOLDER / f"changed{file.suffix}"

    def read_changed(content: bytes) -> None:
        changed.write_bytes(content)
        read(changed)

    return read_changed


def keras(corpus: pathlib.Path) -> Read:
    """Return what reads a generator of Keras 3."""
    FOLDER.mkdir()
    exported.two_layer_generator().save(FOLDER / "sound.keras")
    return by_path(corpus, FOLDER / "sound.keras", read_network)


def h5(corpus: pathlib.Path) -> Read:
    """Return what reads a model of Keras 2."""
    FOLDER.mkdir()
    with h5py.File(FOLDER / "sound.h5", "w") as file:
        file.attrs["layer_names"] = ["conv"]
        file.create_group("conv").attrs["weight_names"] = ["conv/kernel:0"]
        file["conv/conv/kernel:0"] = np.ones((3, 3, 3, 2), np.float32)
    return by_path(corpus, FOLDER / "sound.h5", read_h5)


def pytorch(corpus: pathlib.Path, suffix: str = ".pth") -> Read:
    """Return what reads a checkpoint of PyTorch."""
    FOLDER.mkdir()
    tensors = {"model.1.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)}
    write_state_dict(FOLDER / f"sound{suffix}", tensors)
    return by_path(corpus, FOLDER / f"sound{suffix}", read_state_dict)


def safetensors(corpus: pathlib.Path) -> Read:
    """Return what reads a checkpoint of safetensors."""
    return pytorch(corpus, ".safetensors")


def records(corpus: pathlib.Path) -> Read:
    """Return what reads the TFRecords of a Beam job."""
    FOLDER.mkdir()
    sound = FOLDER / "sound.tfrecord"
    with tf.io.TFRecordWriter(str(sound)) as writer:
        for content in (b"one", b"two"):
            writer.write(content)
    return by_path(corpus, sound, lambda path: list(read_records(path, "it")))


def image_bytes(corpus: pathlib.Path) -> Read:
    """Return what answers image files in TensorFlow Serving."""
    images(corpus)
    FOLDER.mkdir()
    exported.two_layer_generator().save(FOLDER / "g.keras")
    where = ("--for", "serving", "--out", FOLDER / "exported")
    if cyclegan(["export", *map(str, (FOLDER / "g.keras", *where))]):
        raise RuntimeError("the generator cannot be exported")
    (graph,) = (FOLDER / "exported").rglob("saved_model.pb")
    loaded = tf.saved_model.load(str(graph.parent))

    def read(content: bytes) -> None:
        try:
            exported.translate_files(loaded, [content])
        except tf.errors.InvalidArgumentError as e:
            raise InputError("refused") from e

    return read


TARGETS: dict[str, Callable[[pathlib.Path], Read]] = {
    target.__name__: target
    for target in (
        *(images, config, keras, h5, pytorch, safetensors, records, image_bytes),
    )
}


@dataclasses.dataclass
class Ended:
    """How a target ended: its name, exit code, and what it said."""

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
    """Let a process try files of one target."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, __file__, "--target", name, str(seconds)],
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


def run_target(name: str, seconds: str) -> None:
    """Try files until the time is over, in this process and folder."""
    corpus = pathlib.Path("corpus")
    corpus.mkdir()
    read = TARGETS[name](corpus)

    def test_one(content: bytes) -> None:
        with contextlib.suppress(InputError):  # a sentence for people
            read(content)

    arguments = [sys.argv[0], str(corpus), f"-max_total_time={seconds}", *LIMITS]
    atheris.Setup(arguments, test_one)
    atheris.Fuzz()


def main() -> None:
    """Try the targets, one after the other."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    print("reads | files tried | peak memory | outcome", flush=True)
    faults = 0
    for name in sys.argv[2:] or list(TARGETS):
        ended = fuzz(name, seconds)
        print(ended.row(), flush=True)
        if ended.code:
            faults += 1
            print(ended.said[-3000:], flush=True)
    sys.exit(min(faults, 1))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--target"]:
        run_target(*sys.argv[2:])
    else:
        main()
