"""Files of strangers with changed and missing bytes: read, or refused in a sentence."""

import os

import hypothesis
import pytest
from hypothesis import strategies as st
from strangers import KINDS

from cyclegan_tf._shared.errors import InputError


@pytest.fixture(scope="module", params=KINDS)
def kind(request, tmp_path_factory):
    return KINDS[request.param](tmp_path_factory.mktemp(request.param))


changes = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)),
    min_size=1,
    max_size=4,
)


@hypothesis.settings(
    max_examples=int(os.environ.get("CYCLEGAN_TF_EXAMPLES", 60)),
    deadline=None,
    derandomize="CYCLEGAN_TF_EXAMPLES" not in os.environ,
    database=None,
)
@hypothesis.given(
    changes=changes,
    kept=st.sampled_from([1, 1, 1, 0.0, 0.5, 0.97]),
    which=st.integers(0, 100),
)
def test_changed_and_missing_bytes(kind, changes, kept, which):
    content = bytearray(kind.sound[which % len(kind.sound)])
    for place, value in changes:
        content[int(place * len(content))] = value
    try:
        kind.read(bytes(content[: int(kept * len(content))]))
    except InputError as e:
        message = str(e)
        assert message.endswith((".", "refused")) and "\n" not in message


def test_sound_files_are_read(kind):
    for content in kind.sound:
        kind.read(content)
