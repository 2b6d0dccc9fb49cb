"""Convert options to JSON and back."""

import dataclasses
import pathlib
import types
import typing
from typing import Any, Literal

from cyclegan_tf._shared.errors import InputError


def to_dict(config: Any) -> dict[str, Any]:
    """Return a configuration as JSON-serializable nested dicts."""
    return typing.cast(dict[str, Any], _plain(dataclasses.asdict(config)))


def from_dict(cls: type, values: dict[str, Any]) -> Any:
    """Build a configuration from nested dicts.

    Args:
        cls: a dataclass of `cyclegan_tf.config.options`.
        values: as `to_dict` returned them; missing fields take their defaults.

    Raises:
        InputError: if a key is unknown, a required key is missing, or a value has the
            wrong type.
    """
    fields = typing.get_type_hints(cls)
    unknown = sorted(values.keys() - fields.keys())
    if unknown:
        raise InputError(
            f"The configuration has the unknown option {unknown[0]!r}; use the version "
            "of cyclegan_tf that wrote it."
        )
    try:
        return cls(
            **{
                name: _typed(name, fields[name], value)
                for name, value in values.items()
            }
        )
    except TypeError as e:
        raise InputError(f"The configuration is incomplete ({e}).") from None


def _typed(name: str, expected: Any, value: Any) -> Any:
    """Check a JSON value, and convert it to the type of its field."""
    if name == "objective":
        expected = _objective_of(expected, value)
    if dataclasses.is_dataclass(expected):
        return from_dict(typing.cast(type, expected), value)
    if typing.get_origin(expected) is Literal:
        valid = value in typing.get_args(expected)
    elif typing.get_origin(expected) is tuple:
        valid = isinstance(value, list | tuple) and all(type(n) is int for n in value)
        value = tuple(value) if valid else value
    else:
        choices = typing.get_args(expected) or (expected,)
        if pathlib.Path in choices and isinstance(value, str):
            value = pathlib.Path(value)
        if float in choices and type(value) is int:
            value = float(value)
        valid = type(value) in choices or isinstance(
            value, tuple(c for c in choices if c in (pathlib.Path, types.NoneType))
        )
    if not valid:
        raise InputError(
            f"The configuration's {name} cannot be {value!r}; expected {expected}."
        )
    return value


def _objective_of(objectives: Any, value: dict[str, Any]) -> Any:
    """Return the dataclass of a method."""
    by_method = {cls.method: cls for cls in typing.get_args(objectives)}
    method = value.get("method", "cyclegan")
    if method not in by_method:
        raise InputError(
            f"The configuration's method cannot be {method!r}; use the version of "
            "cyclegan_tf that wrote it."
        )
    return by_method[method]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return str(value) if isinstance(value, pathlib.Path) else value
