"""Read and write PyTorch's `.pth` files, which are pickles and therefore untrusted.

Only this module imports PyTorch, and only when it reads or writes such a file.
"""

import pathlib
import types
import zipfile

import numpy as np

from cyclegan_tf._shared.errors import InputError, first_line
from cyclegan_tf._shared.extras import require_package
from cyclegan_tf._shared.files import check_not_compressed, replacing


def read_state_dict(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Read the tensors of a state dict without executing anything in the file.

    Args:
        path: a file that `torch.save` wrote, of any version of PyTorch.

    Returns:
        float32 arrays by key, in the order of the file. They may be views of the
        file; copy what must outlive it.

    Raises:
        InputError: if PyTorch is not installed, or the file is damaged, holds anything
            but dense tensors by key, or claims more data than its size.
    """
    torch = _torch()
    if not path.is_file():
        raise InputError(f"There is no file {path}; check the name.")
    size = path.stat().st_size
    is_zip = zipfile.is_zipfile(path)
    try:
        if is_zip:
            check_not_compressed(path)  # PyTorch never compresses
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except InputError:
        raise
    except Exception as e:  # a hostile file can raise anything inside the unpickler
        raise InputError(
            f"{path} cannot be read as a PyTorch state dict ({first_line(e)}); it is "
            "damaged, or holds more than tensors, which is unsafe to load."
        ) from e
    if not isinstance(content, dict) or not content:
        raise InputError(
            f"{path} holds {_describe(content)} instead of tensors by name; save "
            "network.state_dict() with torch.save."
        )
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
    if claimed > size:
        raise InputError(
            f"{path} has {size} bytes, but its tensors claim {claimed}; it is damaged "
            "or made to fill the memory."
        )
    return {
        key: tensor.detach().to(torch.float32).numpy()
        for key, tensor in content.items()
    }


def write_state_dict(path: pathlib.Path, state_dict: dict[str, np.ndarray]) -> None:
    """Write contiguous arrays that `torch.load(path, weights_only=True)` reads.

    Raises:
        InputError: if PyTorch is not installed.
    """
    torch = _torch()
    tensors = {key: torch.from_numpy(array) for key, array in state_dict.items()}
    with replacing(path) as temporary:
        torch.save(tensors, temporary)


def _torch() -> types.ModuleType:
    require_package("torch", "PyTorch", "reads and writes .pth files", "pytorch")
    import torch

    return torch


def _describe(value: object) -> str:
    return f"an object of type {type(value).__name__}" if value is not None else "None"
