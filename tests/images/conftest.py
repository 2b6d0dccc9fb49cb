"""A photograph to read and write."""

import numpy as np
import pytest


@pytest.fixture
def photo():
    """A smooth color gradient that lossy formats preserve."""
    rows, columns = np.mgrid[:24, :36]
    return np.stack([rows * 10, columns * 7, 250 - rows * 5], axis=-1).astype(np.uint8)
