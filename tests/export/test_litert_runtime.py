"""Running LiteRT files, without TensorFlow."""

import importlib.util
import os
import subprocess
import sys

import exported
import pytest

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.export.litert import convert
from cyclegan_tf.export.litert_runtime import cpu_only_operations, require_litert


def test_the_extra_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'cyclegan_tf\[litert\]'"):
        require_litert()


def test_what_the_gpu_takes():
    operations = {"CONV_2D": 3, "MIRROR_PAD": 1, "SHAPE": 2}
    assert cpu_only_operations(operations, "float16") == ["SHAPE"]
    assert cpu_only_operations(operations, "int16x8") == sorted(operations)


@pytest.mark.parametrize(("level", "lines"), [("2", 0), ("0", 1)])
def test_litert_keeps_what_it_computes_with_to_itself(level, lines, tmp_path):
    path = tmp_path / "g.tflite"
    path.write_bytes(convert(exported.two_layer_generator(), "float32", (8, 8)))
    script = """
import pathlib, sys, numpy
from cyclegan_tf.export.litert_runtime import LiteRTModel
LiteRTModel(pathlib.Path(sys.argv[1]))(numpy.zeros((1, 8, 8, 3), "float32"))
"""
    result = subprocess.run(
        [sys.executable, "-c", script, path],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": level},
        check=True,
        capture_output=True,
        text=True,
    )
    assert result.stderr.count("INFO: Created TensorFlow Lite") == lines


def test_tensorflow_is_not_imported():
    script = "import sys, cyclegan_tf.export.litert_runtime\n"
    script += "import ai_edge_litert.interpreter\n"
    script += "assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
