"""Packages that only some tasks need: the extras of pyproject.toml."""

import importlib.util

from cyclegan_tf._shared.errors import InputError


def require_package(package: str, name: str, use: str, extra: str) -> None:
    """Check that a package is there, before any work is done; it is not imported.

    Args:
        package: what is imported.
        name: what people call it.
        use: what it does here, or what needs it: the end of "..., which ...".
        extra: that installs it.

    Raises:
        InputError: if it is not installed.
    """
    if importlib.util.find_spec(package) is None:
        raise InputError(
            f"{name} is not installed, which {use}; install it with "
            f"pip install 'cyclegan_tf[{extra}]'."
        )
