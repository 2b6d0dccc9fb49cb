"""What TensorFlow Addons saved just now computes the same here.

Run by `make test-addons`, which builds the models with the real library.
"""

import os
import pathlib

import numpy as np
import pytest

from cyclegan_tf.pretrained.read import read_network
from cyclegan_tf.pretrained.recognition import architecture_of

FOLDER = pathlib.Path(os.environ["ADDONS_MODELS"])
OURS = {"resnet": "resnet", "functional_resnet": "resnet", "discriminator": "patchgan"}


@pytest.mark.parametrize("suffix", [".h5", ".keras", ""], ids=["h5", "keras", "tf"])
@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.npz")))
def test_the_same_output(name, suffix):
    golden = np.load(FOLDER / f"{name}.npz")
    network = read_network(FOLDER / f"{name}{suffix}").network
    np.testing.assert_allclose(network(golden["x"]), golden["y"], rtol=0, atol=1e-4)
    architecture = architecture_of(network)
    assert (architecture and architecture.kind) == OURS.get(name)
