"""Parse arguments to options, with a short help and advice for misspelled words."""

import dataclasses
import difflib
import inspect
import re
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

import docstring_parser
import tyro

from cyclegan_tf._shared.errors import InputError

# Other names of choices, too different in spelling to be found by similarity.
_OTHER_WORDS = {"tflite": "litert", "tf": "savedmodel", "saved_model": "savedmodel"}

_CHOICES = tyro.constructors.ConstructorRegistry()


class _UnknownChoiceError(Exception):
    """No `ValueError`, which tyro would catch. Its arguments: a word, the choices."""


def parse(
    options: type,
    first: Sequence[str],
    arguments: Sequence[str],
    prog: str,
    default: Any,
) -> Any:
    """Parse the arguments of a command.

    Args:
        options: dataclass of the options, or of groups of options; no two options have
            the same name.
        first: names of the options that come first in the help, except for positional
            ones; none if all do.
        arguments: those after the verb.
        prog: the command in the help.
        default: instance of `options`, or `None`.

    Returns:
        An instance of `options`.

    Raises:
        InputError: if a word is none of the choices of its option.
        SystemExit: after the help or another mistake, which are printed.
    """
    try:
        parsed: Any = tyro.cli(
            _arranged(options, first, default),
            description=(inspect.getdoc(options) or "").partition("\nAttributes:")[0],
            args=arguments,
            prog=prog,
            config=(tyro.conf.OmitArgPrefixes,),
            registry=_CHOICES,
        )
    except _UnknownChoiceError as e:
        word, choices = e.args
        raise no_such_choice(_flag_of(word, arguments), word, choices) from None
    values: dict[str, Any] = {}
    for name, value in vars(parsed).items():
        values.update(vars(value) if dataclasses.is_dataclass(value) else {name: value})
    return _restored(options, default, values)


def no_such_choice(flag: str, word: str, choices: Iterable[str]) -> InputError:
    """Return the error for a word that is none of the choices of a flag."""
    advice = did_you_mean(word, choices, f"choose from {', '.join(choices)}.")
    return InputError(f"{flag} cannot be {word!r}; {advice}")


def as_flags(message: str) -> str:
    """Turn the arguments that a message names in backticks into flags.

    `crop_size` becomes --crop-size, `batch_size=4` --batch-size 4, `overwrite=True`
    --overwrite and `flip=False` --no-flip.
    """

    def flag(match: re.Match[str]) -> str:
        name, value = match[1].replace("_", "-"), match[2]
        if value == "False":
            return f"--no-{name}"
        return f"--{name}" if value in (None, "True") else f"--{name} {value}"

    return re.sub(r"`([a-z][a-z0-9_]*)(?:=([^`]*))?`", flag, message)


def did_you_mean(word: str, known: Iterable[str], otherwise: str) -> str:
    """Return the advice to use the most similar known word, or else another advice."""
    known = list(known)
    similar = difflib.get_close_matches(word, known, n=1)
    if _OTHER_WORDS.get(word) in known:
        similar = [_OTHER_WORDS[word]]
    return f"did you mean {similar[0]}?" if similar else otherwise


@_CHOICES.primitive_rule
def _choice(
    type_info: tyro.constructors.PrimitiveTypeInfo,
) -> tyro.constructors.PrimitiveConstructorSpec[Any] | None:
    """Read a `Literal`, with advice for any other word."""
    if typing.get_origin(type_info.type) is not Literal:
        return None
    choices = {str(choice): choice for choice in typing.get_args(type_info.type)}

    def instance_from_str(words: list[str]) -> Any:
        if words[0] not in choices:
            raise _UnknownChoiceError(words[0], list(choices))
        return choices[words[0]]

    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="{" + ",".join(choices) + "}",
        instance_from_str=instance_from_str,
        is_instance=lambda value: value in choices.values(),
        str_from_instance=lambda value: [str(value)],
    )


def _flag_of(word: str, arguments: Sequence[str]) -> str:
    """Return the flag that a word was given to, which may have had several words."""
    flag = ""
    for argument in arguments:
        name, _, value = argument.partition("=")
        flag = name if argument.startswith("--") else flag
        if flag and word in (argument, value):
            return flag
    return flag


def _arranged(options: type, first: Sequence[str], default: Any) -> type:
    """Make a dataclass of the first options, and one inside it for each other group."""
    sections: dict[str, list[tuple[str, Any, Any]]] = {"": [], "more": []}
    for group, name, hint, value in _options(options, default):
        if not first or name in first or tyro.conf.Positional in hint.__metadata__:
            group = ""
        item = (name, hint, dataclasses.field(default=value))
        sections.setdefault(group, []).append(item)
    fields = sections.pop("")
    fields.sort(key=lambda item: first.index(item[0]) if item[0] in first else -1)
    for i, (group, items) in enumerate(sections.items()):
        if not items:
            continue
        section = dataclasses.make_dataclass("Section", items, kw_only=True)
        hint = Annotated[section, tyro.conf.arg(name=group)]
        fields.append((f"section_{i}", hint, dataclasses.field()))
    return dataclasses.make_dataclass("Arranged", fields, kw_only=True)


def _options(
    options: type, default: Any, group: str = "more"
) -> Iterator[tuple[str, str, Any, Any]]:
    """Yield the group, name, type with help, and default of each option."""
    hints, helps = typing.get_type_hints(options, include_extras=True), _helps(options)
    for field in dataclasses.fields(options):
        name, value = field.name, getattr(default, field.name, field.default)
        if dataclasses.is_dataclass(value):
            yield from _options(type(value), value, f"more: {name}")
        else:
            help_text = tyro.conf.arg(help=helps[name])
            value = tyro.MISSING if value is dataclasses.MISSING else value
            yield group, name, Annotated[hints[name], help_text], value


def _helps(options: type) -> dict[str, str]:
    """Read the text of each option in the docstrings of a dataclass and its bases."""
    docstrings = [base.__doc__ for base in reversed(options.__mro__) if base.__doc__]
    return {
        attribute.args[-1]: " ".join((attribute.description or "").split())
        for docstring in docstrings
        for attribute in docstring_parser.google.parse(docstring).meta
    }


def _restored(options: type, default: Any, values: Mapping[str, Any]) -> Any:
    """Make an instance of a dataclass from the values of all its options."""
    arguments = {}
    for field in dataclasses.fields(options):
        group = getattr(default, field.name, None)
        arguments[field.name] = (
            _restored(type(group), group, values)
            if dataclasses.is_dataclass(group)
            else values[field.name]
        )
    return options(**arguments)
