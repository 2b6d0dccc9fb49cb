"""What TensorFlow says while it is imported, without what does not matter."""

import os
import signal
import subprocess
import sys

import pytest

from cyclegan_tf._shared import quiet

HARDWARE = [
    b"WARNING: All log messages before absl::InitializeLog() is called are written",
    b"I0000 util.cc:153] oneDNN custom operations are on. You may see slightly",
    b"I0000 cpu_feature_guard.cc:227] This TensorFlow binary is optimized to use",
    b"To enable the following instructions: AVX2 FMA, in other operations, rebuild",
    b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.",
]
GPU = [
    b"I0000 cudart_stub.cc:31] Could not find cuda drivers on your machine",
    b"E0000 cuda_platform.cc:52] failed call to cuInit: INTERNAL: CUDA error: Fail",
]
MATTERS = [
    b"F0000 The TensorFlow library was compiled to use AVX instructions",
    b"E0000 something else went wrong",
]

# A TensorFlow that complains when it is imported and when it looks for devices.
TENSORFLOW = f"""
import os
os.write(2, {b"".join(line + b"%c" % 10 for line in HARDWARE)!r})
class config:
    def list_physical_devices():
        os.write(2, b"cpu_feature_guard")
        os.write(2, b" again%cIt matters%c" % (10, 10))
def get_logger():
    import logging
    logger = logging.getLogger("tensorflow")
    logger.level = logger.level or logging.INFO  # as in a notebook
    return logger
"""


def test_of_gpus_it_speaks_where_there_is_one():
    lines = HARDWARE + MATTERS + GPU
    assert list(quiet.without_noise(lines, has_gpu=False)) == MATTERS
    assert list(quiet.without_noise(lines, has_gpu=True)) == MATTERS + GPU


def run(tmp_path, script, level=None):
    (tmp_path / "tensorflow.py").write_text(TENSORFLOW)
    path = os.pathsep.join([str(tmp_path), *sys.path])
    env = {**os.environ, "PYTHONPATH": path}
    env.pop("TF_CPP_MIN_LOG_LEVEL", None)
    return subprocess.run(
        [sys.executable, "-c", script],
        env=env | ({"TF_CPP_MIN_LOG_LEVEL": level} if level else {}),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("level", [None, "2", "0"])
def test_only_the_import_is_filtered(tmp_path, level):
    script = """
import os, cyclegan_tf
cyclegan_tf.quiet_tensorflow()
import tensorflow
os.write(2, b"oneDNN later")
assert tensorflow.__loader__ is tensorflow.__spec__.loader
print(os.environ["TF_CPP_MIN_LOG_LEVEL"], tensorflow.get_logger().level)
"""
    result = run(tmp_path, script, level)
    assert result.returncode == 0, result.stderr
    said = "2 30" if level != "0" else "0 20"  # warnings, or all that it says itself
    assert result.stdout.strip() == said
    if level == "0":
        assert "oneDNN custom operations" in result.stderr
    else:
        assert result.stderr == "It matters\noneDNN later"


def test_last_words_are_heard(tmp_path):
    script = """
import os
from cyclegan_tf._shared import quiet
with quiet.quiet_stderr():
    os.write(2, b"oneDNN is on\\nThis processor lacks AVX\\n")
    os.abort()
"""
    result = run(tmp_path, script)
    assert result.returncode == -signal.SIGABRT
    assert result.stderr == "This processor lacks AVX\n"
