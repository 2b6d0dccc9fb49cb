"""Generators by name: our own, which come with the package, and those of others.

`models.json` is the table. A row with `models` is a family: its members differ only in
their file and in what they translate. A name never stands for other bytes: a better
model gets another name. Models of others are downloaded once.
"""

import contextlib
import dataclasses
import difflib
import functools
import hashlib
import os
import pathlib
import socket
import sys
from collections.abc import Callable, Iterator
from typing import Any

from cyclegan_tf._shared.errors import InputError, first_line
from cyclegan_tf._shared.files import parse_json, replacing, write_json

# Before a name, where a path of the same name would be taken.
PREFIX = "pretrained:"

_FOLDER = pathlib.Path(__file__).with_name("models")

# A server that sends nothing for this long, in seconds, has failed.
_PATIENCE = 30


@dataclasses.dataclass(frozen=True)
class ModelFile:
    """The file of one generator.

    Attributes:
        name: path below the folder of models.
        url: address to download it from; `None` if it comes with the package.
        sha256: hash in hexadecimal digits; `None` if it is not known before the first
            download.
        bytes: size; `None` if it is not known.
    """

    name: str
    url: str | None = None
    sha256: str | None = None
    bytes: int | None = None

    @property
    def path(self) -> pathlib.Path:
        """Where the file is, or will be after its download."""
        return (_FOLDER if self.url is None else download_folder()) / self.name


@dataclasses.dataclass(frozen=True)
class ModelScore:
    """What one metric says of a generator.

    Attributes:
        metric: name such as `"KID"`.
        translated: score of the translated test images.
        untranslated: score of the same images without translation.
        real: score of real test images of the target domain.
    """

    metric: str
    translated: float
    untranslated: float
    real: float


@dataclasses.dataclass(frozen=True)
class NamedModel:
    """A generator with a name.

    Attributes:
        name: the name to ask for.
        translates: what it turns into what, such as `"horse to zebra"`.
        file: its file.
        architecture: its architecture, in words.
        training_size: shorter side of the photographs it was trained on, in pixels.
        license_weights: license of the file.
        license_images: license or origin of the images it was trained on.
        made_by: who trained it, or the command that did.
        dataset: name of the training images among Hugging Face's data sets; `None` if
            they are not there.
        scores: what was measured.
        protocol: how it was measured.
        notes: what else to know, a sentence each.
    """

    name: str
    translates: str
    file: ModelFile
    architecture: str
    training_size: int
    license_weights: str
    license_images: str
    made_by: str
    dataset: str | None = None
    scores: tuple[ModelScore, ...] = ()
    protocol: str = ""
    notes: tuple[str, ...] = ()

    @property
    def is_ours(self) -> bool:
        return ":" not in self.name


@functools.cache
def models() -> dict[str, NamedModel]:
    """Return all models by name, our own first."""
    table = parse_json((_FOLDER / "models.json").read_text("utf-8"))
    return {
        model.name: model for name, row in table.items() for model in _models(name, row)
    }


def find_model(source: str | pathlib.Path) -> NamedModel | None:
    """Return the model that a source names; `None` if it is a path.

    Args:
        source: a name, which an existing path of the same name precedes, or
            `pretrained:` and a name.

    Raises:
        InputError: if there is no model of the name after `pretrained:`.
    """
    text = str(source)
    if text.startswith(PREFIX):
        return model_named(text.removeprefix(PREFIX))
    return None if pathlib.Path(text).exists() else models().get(text)


def model_named(name: str) -> NamedModel:
    """Return the model of a name.

    Raises:
        InputError: if there is none.
    """
    if name not in models():
        advice = did_you_mean(name, "cyclegan models --all lists them.")
        raise InputError(f"There is no model named {name!r}; {advice}")
    return models()[name]


def did_you_mean(name: str, otherwise: str) -> str:
    """Return the advice to use the most similar name, or else another advice."""
    similar = difflib.get_close_matches(name, models(), n=1)
    return f"did you mean {similar[0]}?" if similar else otherwise


def download(file: ModelFile, check: Callable[[pathlib.Path], object]) -> pathlib.Path:
    """Download a file, unless it is there; return its path.

    Args:
        file: a file with an address. If its hash is not published, the hash of the
            first download is recorded, and a later download must have it.
        check: reads a downloaded file; raises `InputError` if it is damaged.

    Raises:
        InputError: if the file cannot be downloaded, is damaged, or differs from what
            it was.
    """
    path = file.path
    if not path.is_file():
        with replacing(path) as temporary:
            _fetch(file, temporary)
            _check_hash(file, temporary)
            try:
                check(temporary)
            except InputError as e:
                raise InputError(str(e).replace(str(temporary), str(file.url))) from e
    found = _check_hash(file, path)
    if file.sha256 is None:
        write_json(_record(), {**_recorded(), file.name: found})
    return path


def download_folder() -> pathlib.Path:
    """Return the folder of downloaded models, inside Keras's own."""
    home = os.environ.get("KERAS_HOME") or pathlib.Path.home() / ".keras"
    return pathlib.Path(home, "cyclegan_tf").absolute()


def _models(name: str, row: dict[str, Any]) -> Iterator[NamedModel]:
    """Yield the model of a row of the table, or the models of a family."""
    family = row.pop("models", None)
    if family is None:
        file = ModelFile(**row.pop("file"))
        scores = tuple(ModelScore(**score) for score in row.pop("scores", ()))
        notes = tuple(row.pop("notes", ()))
        yield NamedModel(name, file=file, scores=scores, notes=notes, **row)
        return
    url = row.pop("url")
    for member, translates in family.items():
        file = ModelFile(f"{name}/{member}.pth", url.format(member))
        yield NamedModel(f"{name}:{member}", translates, file, **row)


def _fetch(file: ModelFile, path: pathlib.Path) -> None:
    import keras  # takes too long for the list of models

    try:
        # Standard output is for results. Keras shows a progress bar.
        with contextlib.redirect_stdout(sys.stderr), _patient():
            keras.utils.get_file(path.name, file.url, cache_subdir=str(path.parent))
    # Keras raises a plain Exception where an address does not answer.
    except Exception as e:
        reason = first_line(e).rpartition(" -- ")[2]  # before that is the address
        known = f", check its SHA-256 ({file.sha256})" if file.sha256 else ""
        raise InputError(
            f"{file.url} cannot be downloaded ({reason}); try again, or download it "
            f"elsewhere{known} and save it as {file.path}."
        ) from e


@contextlib.contextmanager
def _patient() -> Iterator[None]:
    """Time out silent connections; Keras would wait forever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _check_hash(file: ModelFile, path: pathlib.Path) -> str:
    with path.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    known = file.sha256 or _recorded().get(file.name, found)
    if found != known:
        source = "published" if file.sha256 else "that of the first download"
        raise InputError(
            f"{file.url} has the SHA-256 {found} instead of {known}, which is "
            f"{source}; remove {file.path} and try again."
        )
    return found


def _recorded() -> dict[str, str]:
    try:
        return dict(parse_json(_record().read_text("utf-8")))
    except (OSError, ValueError):
        return {}


def _record() -> pathlib.Path:
    return download_folder() / "downloaded.json"
