"""What several test modules need."""

import os
import pathlib
import signal

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import pytest

# Shells let what they start in the background ignore Ctrl-C, and so do its processes,
# but some tests stop theirs by it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

SHARED = pathlib.Path(
    os.environ.get("CYCLEGAN_TF_SHARED", pathlib.Path(__file__).parents[2] / "shared")
)


# They take minutes each: begun last, one of them would run alone at the end.
LONGEST = {
    "test_train.py",
    "test_notebooks.py",
    "test_cyclegan.py",
    "test_devices.py",
    "test_reference_parity.py",
    "test_page.py",
}


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(scope="session")
def shared():
    """The folder of real photographs and reference runs that is not redistributed."""
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is absent: real data and reference runs are not shipped")
    return SHARED


@pytest.fixture(scope="session", autouse=True)
def two_processors():
    """Two logical devices, so that replicas can be tested on any machine."""
    import processes

    processes.two_processors()


@pytest.fixture
def float64():
    """Layers and losses in double precision: rounding hides no wrong formula."""
    import keras

    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


@pytest.fixture
def eagerly():
    """Trainings run without graphs: for a few steps tracing takes most of the time."""
    import tiny

    with tiny.eagerly():
        yield
