"""TensorFlow and LiteRT without lines about hardware, most of it not in this machine.

They write them in C++, some before they read any setting, so they are taken out of the
process's standard error while TensorFlow is imported and looks for devices, and while
LiteRT prepares a model. As a program, this module copies its input without them: a
process of its own, so that the last words of a TensorFlow that aborts are not lost.
"""

import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import pathlib
import re
import subprocess
import sys
import types
from collections.abc import Iterable, Iterator, Sequence

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_EVERYTHING = ("0", "1")

# About this machine's processor, and about logging itself.
_NOISE = (
    rb"absl::InitializeLog|oneDNN|cpu_feature_guard|To enable the following instr"
    rb"|^INFO: Created TensorFlow Lite"
)
# Without an NVIDIA GPU; with one, they say why it is not used.
_NOISE_WITHOUT_GPU = rb"cudart_stub|cuda_platform|cuInit|cuda_executor|TensorRT"
_NVIDIA_DEVICES = ("/dev/nvidiactl", "/dev/dxg")


class _QuietImport(importlib.abc.MetaPathFinder):
    """Filters standard error once, when TensorFlow is imported."""

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,
        target: types.ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        if name != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec and spec.loader:
            spec.loader = _QuietLoader(spec.loader)
        return spec


class _QuietLoader(importlib.abc.Loader):
    def __init__(self, loader: importlib.abc.Loader):
        self.loader = loader

    def exec_module(self, module: types.ModuleType) -> None:
        assert module.__spec__ is not None
        module.__loader__ = module.__spec__.loader = self.loader
        with quiet_stderr():
            self.loader.exec_module(module)
            module.config.list_physical_devices()  # It complains here, too.
        # In a notebook TensorFlow also tells of each file that it writes.
        module.get_logger().setLevel("WARNING")


def quiet_tensorflow() -> None:
    """Let TensorFlow, once it is imported, say only what matters.

    Call this before TensorFlow is imported; the command line does. Messages of
    TensorFlow's C++ code below warnings are off, and what it says of GPUs is left out
    where there is no NVIDIA GPU. With TF_CPP_MIN_LOG_LEVEL=0 or 1 in the environment
    everything stays.
    """
    if os.environ.setdefault(_LEVEL, "2") not in _EVERYTHING:
        sys.meta_path.insert(0, _QuietImport())


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Pass the standard error of this process through the filter below.

    With TF_CPP_MIN_LOG_LEVEL=0 or 1 in the environment everything stays.
    """
    if os.environ.get(_LEVEL) in _EVERYTHING:
        yield
        return
    with subprocess.Popen(
        [sys.executable, "-I", "-S", __file__],
        stdin=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for this process only.
    ) as process:
        assert process.stdin is not None
        stderr = os.dup(2)
        os.dup2(process.stdin.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def without_noise(lines: Iterable[bytes], has_gpu: bool) -> Iterator[bytes]:
    """Return the lines that matter on a machine with or without an NVIDIA GPU."""
    noise = _NOISE if has_gpu else _NOISE + b"|" + _NOISE_WITHOUT_GPU
    return (line for line in lines if not re.search(noise, line))


if __name__ == "__main__":
    has_gpu = any(pathlib.Path(device).exists() for device in _NVIDIA_DEVICES)
    for line in without_noise(sys.stdin.buffer, has_gpu):
        sys.stderr.buffer.write(line)
        sys.stderr.buffer.flush()
