"""Read and write state dicts: PyTorch's `.pth` files, and `.safetensors` files.

A `.pth` file is a pickle and therefore untrusted. Only this module imports PyTorch, and
only when it reads or writes such a file; a `.safetensors` file needs no PyTorch.
"""

import pathlib
import re
import types
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from cyclegan_tf._shared.archives import check_claim, open_zip, reading
from cyclegan_tf._shared.errors import InputError, first_line
from cyclegan_tf._shared.extras import require_package
from cyclegan_tf._shared.files import replacing

STATE_DICT_SUFFIXES = (".pth", ".pt", ".safetensors")


def require_reader(path: pathlib.Path) -> None:
    """Check that the package that reads a file of this suffix is installed.

    Raises:
        InputError: if it is not.
    """
    if path.suffix == ".safetensors":
        _safetensors()
    else:
        _torch()


def read_state_dict(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Read the tensors of a state dict without executing anything in the file.

    Args:
        path: a file that `torch.save` wrote, of any version of PyTorch, or a
            `.safetensors` file. A training checkpoint may hold the state dict under
            any name (`"state_dict"`, `"model"`, `"netG"`, ...) beside other values.

    Returns:
        float32 arrays by key, in the order of the file. They may be views of the
        file; copy what must outlive it.

    Raises:
        InputError: if PyTorch or safetensors is needed but not installed, or the file
            is damaged, holds several state dicts or anything but dense tensors by
            key, or claims more data than its size.
    """
    if not path.is_file():
        raise InputError(f"There is no file {path}; check the name.")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    return _read_pickle(path)


def write_state_dict(path: pathlib.Path, state_dict: dict[str, np.ndarray]) -> None:
    """Write contiguous arrays in the format of the suffix.

    `torch.load(path, weights_only=True)` reads a `.pth` file, and
    `safetensors.torch.load_file(path)` a `.safetensors` file.

    Raises:
        InputError: if PyTorch or safetensors is needed but not installed.
    """
    if path.suffix == ".safetensors":
        save_file = _safetensors().save_file
        with replacing(path) as temporary:
            # Loaders of others want to know the framework whose layout it has.
            save_file(state_dict, temporary, metadata={"format": "pt"})
        return
    torch = _torch()
    tensors = {key: torch.from_numpy(array) for key, array in state_dict.items()}
    with replacing(path) as temporary:
        torch.save(tensors, temporary)


def _read_safetensors(path: pathlib.Path) -> dict[str, np.ndarray]:
    load_file = _safetensors().load_file
    with reading(path, "a safetensors file"):  # the library checks what it claims
        arrays = load_file(path)
        return {key: array.astype(np.float32) for key, array in arrays.items()}


def _read_pickle(path: pathlib.Path) -> dict[str, np.ndarray]:
    torch = _torch()
    try:
        if zipped := zipfile.is_zipfile(path):
            with open_zip(path):  # PyTorch opens it again
                pass
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except InputError:
        raise
    except Exception as e:  # a hostile file can raise anything inside the unpickler
        raise InputError(
            f"{path} cannot be read as a PyTorch state dict ({_reason(e)}); it is "
            "damaged, or holds more than tensors, which is unsafe to load: save "
            "network.state_dict() alone."
        ) from e
    if not isinstance(content, dict) or not content:
        raise InputError(
            f"{path} holds {_describe(content)} instead of tensors by name; save "
            "network.state_dict() with torch.save."
        )
    content = _unwrap(path, content)
    for key, tensor in content.items():
        plain = (
            isinstance(tensor, torch.Tensor)
            and tensor.layout == torch.strided
            and not tensor.is_quantized
            and tensor.device.type == "cpu"
        )
        if not isinstance(key, str) or not plain:
            raise InputError(
                f"{path} holds {_describe(tensor)} under {key!r} instead of a dense "
                "tensor; save network.state_dict() with torch.save."
            )
    # Tensors may repeat stored values, so a small file can claim any amount of memory.
    claimed = sum(tensor.numel() * tensor.element_size() for tensor in content.values())
    check_claim(path, claimed, "tensors")
    with reading(path, "a PyTorch state dict"):
        return {
            key: tensor.detach().to(torch.float32).numpy()
            for key, tensor in content.items()
        }


def _unwrap(path: pathlib.Path, content: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Return the only state dict inside a training checkpoint, or all of a plain one.

    The state of an optimizer is no candidate: its tensors lie a level deeper.
    """
    torch = _torch()
    inside = {
        key: value
        for key, value in content.items()
        if isinstance(value, dict)
        and any(isinstance(tensor, torch.Tensor) for tensor in value.values())
    }
    if len(inside) > 1:
        raise InputError(
            f"{path} holds several state dicts ({', '.join(map(repr, inside))}); save "
            "the one of a single network alone."
        )
    return next(iter(inside.values()), content)


def _reason(error: Exception) -> str:
    """Tell why PyTorch refuses a file, without its advice to load it unsafely."""
    message = str(error)
    if named := re.search(r"GLOBAL ([\w.]+)", message):
        return f"it names {named[1]}"
    if "weights_only" in message:
        return "PyTorch finds no plain state dict in it"
    return first_line(error)


def _torch() -> types.ModuleType:
    require_package("torch", "PyTorch", "reads and writes .pth files", "pytorch")
    import torch

    return torch


def _safetensors() -> types.ModuleType:
    use = "reads and writes .safetensors files"
    require_package("safetensors", "safetensors", use, "safetensors")
    import ml_dtypes  # noqa: F401 (teaches NumPy what bfloat16 is)
    import safetensors.numpy

    return safetensors.numpy


def _describe(value: object) -> str:
    return f"an object of type {type(value).__name__}" if value is not None else "None"
