"""Hide what TensorFlow and LiteRT print about hardware that this machine lacks.

Their C++ code prints some of these lines before it reads any setting. So the standard
error of this process goes through a filter while TensorFlow is imported and looks for
devices, and while LiteRT prepares a model. The filter is this module, run as a program
of its own: it still passes on the last message if TensorFlow aborts this process.
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
    """Let TensorFlow, from its import on, print only what matters.

    Call this before TensorFlow is imported; the command line does. It hides messages of
    the C++ code below errors, and without an NVIDIA GPU also the errors about GPUs.
    TF_CPP_MIN_LOG_LEVEL=0 or 1 in the environment shows everything.
    """
    if os.environ.setdefault(_LEVEL, "2") not in _EVERYTHING:
        sys.meta_path.insert(0, _QuietImport())


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Pass the standard error of this process through the filter below.

    TF_CPP_MIN_LOG_LEVEL=0 or 1 in the environment shows everything.
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
