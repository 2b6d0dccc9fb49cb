"""When bfloat16 is worth it."""

import pytest
import tensorflow as tf

from cyclegan_tf.training import precision


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"avx512f", "avx512_bf16"}, "mixed_bfloat16"),
        ({"avx512f", "amx_bf16"}, "mixed_bfloat16"),
        ({"avx512f"}, "float32"),
        (set(), "float32"),
    ],
)
def test_processors(flags, expected, monkeypatch):
    monkeypatch.setattr(precision, "_processor_flags", lambda: flags)
    assert precision.fastest_precision() == expected


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ([(9, 0)], "mixed_bfloat16"),
        ([(8, 0), (7, 5)], "float32"),
        ([None], "float32"),
    ],
)
def test_gpus(capabilities, expected, monkeypatch):
    monkeypatch.setattr(
        tf.config, "list_physical_devices", lambda kind: list(capabilities)
    )
    monkeypatch.setattr(
        tf.config.experimental,
        "get_device_details",
        lambda gpu: {"compute_capability": gpu} if gpu else {},
    )
    assert precision.fastest_precision() == expected


def test_the_flags_of_this_processor_are_read():
    if not precision.pathlib.Path("/proc/cpuinfo").exists():
        pytest.skip("only Linux names the flags of its processor there")
    text = precision.pathlib.Path("/proc/cpuinfo").read_text()
    assert ("avx2" in precision._processor_flags()) == (" avx2 " in text)
