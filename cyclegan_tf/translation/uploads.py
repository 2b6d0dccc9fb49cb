"""The folder of what visitors of `cyclegan serve` upload."""

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterator

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf._shared.files import locked, remove

_PREFIX = "cyclegan-uploads-"
_VARIABLE = "GRADIO_TEMP_DIR"  # where Gradio puts them


@contextlib.contextmanager
def private_uploads() -> Iterator[None]:
    """Let uploads go to a folder that only this user can read, and remove it.

    Folders that servers of this user left when they were killed are removed, too.
    """
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as name:
        folder = pathlib.Path(name)
        with locked(folder, "serving", "port"):
            _remove_left_beside(folder)
            before = os.environ.get(_VARIABLE)
            os.environ[_VARIABLE] = name
            try:
                yield
            finally:
                os.environ.pop(_VARIABLE)
                if before is not None:
                    os.environ[_VARIABLE] = before


def _remove_left_beside(folder: pathlib.Path) -> None:
    user = folder.stat().st_uid
    for other in folder.parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError, InputError):  # InputError: it is in use
            if other.lstat().st_uid != user or other.is_symlink():
                continue
            with locked(other, "serving", "port"):
                remove(other)
