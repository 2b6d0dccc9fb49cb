"""Which precision a machine trains fastest in without losing by it."""

import pathlib
from typing import Literal

import tensorflow as tf

Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]

# Units of a processor that multiply bfloat16 twice as fast as float32 or faster.
_PROCESSOR_UNITS = {"avx512_bf16", "amx_bf16"}
# The first GPUs of NVIDIA with such units (Ampere).
_COMPUTE_CAPABILITY = (8, 0)


def fastest_precision() -> Precision:
    """Return `"mixed_bfloat16"` where the hardware multiplies it, else `"float32"`.

    That is on a processor with AVX-512 BF16 or AMX, where Linux names its flags, and
    on GPUs of NVIDIA from compute capability 8.0. Elsewhere bfloat16 is emulated,
    slower than float32. bfloat16 has the range of float32, so that, unlike float16, it
    needs no loss scaling.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        fast = all(
            tf.config.experimental.get_device_details(gpu).get(
                "compute_capability", (0, 0)
            )
            >= _COMPUTE_CAPABILITY
            for gpu in gpus
        )
    else:
        fast = bool(_processor_flags() & _PROCESSOR_UNITS)
    return "mixed_bfloat16" if fast else "float32"


def _processor_flags() -> set[str]:
    path = pathlib.Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    flags = (line for line in lines if line.startswith("flags"))
    return set(next(flags, "").split())
