"""Read the tensors of a PyTorch checkpoint without PyTorch, which is a big download.

Nothing is executed: the unpickler knows the three names that a state dict of
float32 tensors needs, and refuses any other.
"""

import collections
import pickle
import zipfile

import numpy as np


def read_state_dict(path):
    """Return the arrays of a `.pth` file of float32 tensors by key."""
    with zipfile.ZipFile(path) as archive:
        root = archive.namelist()[0].split("/")[0]

        class Unpickler(pickle.Unpickler):
            def find_class(self, module, name):
                known = {
                    ("collections", "OrderedDict"): collections.OrderedDict,
                    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
                    ("torch", "FloatStorage"): "float32",
                }
                if (module, name) not in known:
                    raise pickle.UnpicklingError(f"unexpected {module}.{name}")
                return known[module, name]

            def persistent_load(self, identifier):
                _, dtype, key, *_ = identifier
                return np.frombuffer(archive.read(f"{root}/data/{key}"), dtype)

        with archive.open(f"{root}/data.pkl") as file:
            return dict(Unpickler(file).load())


def _rebuild_tensor(storage, offset, size, stride, *_):
    strides = [step * storage.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(storage[offset:], size, strides).copy()
