"""Packages that only some tasks need: the extras of pyproject.toml."""

import importlib.util

from cyclegan_tf._shared.errors import InputError


def require_package(package: str, name: str, use: str, extra: str) -> None:
    """Check that a package is installed, without importing it.

    Args:
        package: import name.
        name: name in the message.
        use: what it does here, such as `"reads and writes .pth files"`.
        extra: the extra of cyclegan_tf that installs it.

    Raises:
        InputError: if it is not installed.
    """
    if importlib.util.find_spec(package) is None:
        raise InputError(
            f"{name}, which {use}, is not installed; install it with "
            f"pip install 'cyclegan_tf[{extra}]'."
        )
