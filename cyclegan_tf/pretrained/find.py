"""Find the generators that a path or name stands for, for every command."""

import dataclasses
import pathlib
import re
from typing import Any

import keras

from cyclegan_tf._shared.archives import reading
from cyclegan_tf._shared.errors import InputError
from cyclegan_tf._shared.files import parse_json, versions_in
from cyclegan_tf.config.directions import DIRECTIONS
from cyclegan_tf.pretrained.keras3 import load_generator_file, read_facts
from cyclegan_tf.pretrained.read import keras_file
from cyclegan_tf.pretrained.zoo import did_you_mean, find_model
from cyclegan_tf.runs.run import Run, generator_file

_WORD_START = r"(?<!\w)"


@dataclasses.dataclass(frozen=True)
class StoredGenerator:
    """A generator that a path or name stands for.

    Attributes:
        direction: `"g"` (X to Y) or `"f"` (Y to X); `None` if the path does not say.
        path: a `.keras` file, or the SavedModel folder of `cyclegan export`.
        training_size: side in pixels of the images that it was trained on; `None` if
            nothing says.
        translates: what it turns into what, such as `"horse to zebra"`; `None` if
            nothing says.
    """

    direction: str | None
    path: pathlib.Path
    training_size: int | None = None
    translates: str | None = None

    @property
    def title(self) -> str:
        """Its title, such as `"G: horse to zebra"`."""
        if self.direction:
            return DIRECTIONS[self.direction].title(self.translates)
        return self.translates or "Translation"

    def load(self) -> keras.Model:
        """Load it; see `load_generator`."""
        if self.is_exported:
            raise InputError(
                f"{self.path} is a SavedModel, which is no Keras model; name the run "
                "or the .keras file that it was exported from."
            )
        return load_generator_file(self.path)

    def matches(self, direction: str) -> bool:
        """Whether a direction is its own: `"g"`, `"f"`, or what it translates.

        `horse2zebra` also matches a generator from *horses* to *zebras*.
        """
        if direction == self.direction:
            return True
        for middle in re.finditer("2| to ", direction):
            x, y = direction[: middle.start()], direction[middle.end() :]
            pattern = rf"{_WORD_START}{re.escape(x)}.* to .*{_WORD_START}{re.escape(y)}"
            if x and y and re.search(pattern, self.translates or "", re.IGNORECASE):
                return True
        return False

    def __str__(self) -> str:
        name = (self.translates or "").replace(" to ", "2")
        if self.direction and name:
            return f"{self.direction} ({name})"
        return self.direction or name or "one of unknown direction"

    @property
    def is_exported(self) -> bool:
        return self.path.is_dir()


def find_generators(source: pathlib.Path) -> list[StoredGenerator]:
    """Find the generators that a path or name stands for.

    Args:
        source: a run folder, a generator's `.keras` file, a folder with
            `generator_g.keras` and so on, a folder that `cyclegan export` wrote, one
            of its SavedModels, or the name of a model, which is downloaded if need be.

    Returns:
        At least one, G before F.

    Raises:
        InputError: if there is none, or a download fails.
    """
    if model := find_model(source):
        path = keras_file(model)
        return [StoredGenerator("g", path, model.training_size, model.translates)]
    if source.is_file() or (source / "saved_model.pb").is_file():
        directions = {"generator_g": "g", "generator_f": "f"}
        return [stored_generator(source, directions.get(source.stem))]
    found = generators_in(source) or _exported_in(source)
    if found:
        return found
    if not source.exists():
        advice = did_you_mean(str(source), "check the name, or see cyclegan models.")
        raise InputError(f"There is no file, folder or model {source}; {advice}")
    if Run.is_run(source):
        raise InputError(
            f"{source} has no generators yet; wait for the first checkpoint of its "
            "training."
        )
    raise InputError(
        f"{source} holds no generators; name a run, a generator's .keras file, or a "
        "folder that cyclegan import or cyclegan export (with its SavedModels) wrote."
    )


def choose_generator(
    source: pathlib.Path, direction: str | None = None
) -> StoredGenerator:
    """Find the generator of one direction.

    Args:
        source: as for `find_generators`.
        direction: `"g"` (X to Y), `"f"` (Y to X), or the names of the domains or their
            beginnings, such as `"horse2zebra"`. Defaults to the only generator, or G of
            two.

    Raises:
        InputError: if there is none, or `direction` stands for both.
    """
    found = find_generators(source)
    if direction is None:
        return found[0]
    matching = [generator for generator in found if generator.matches(direction)]
    if len(matching) == 1:
        return matching[0]
    if len(found) == 1 and found[0].direction is None and direction in DIRECTIONS:
        return found[0]  # a file that does not say which it is
    raise InputError(
        f"{source} has {'more than one' if matching else 'no'} generator of direction "
        f"{direction}; it has {' and '.join(map(str, found))}."
    )


def load_generator(
    source: str | pathlib.Path, direction: str | None = None
) -> keras.Model:
    """Load a generator.

    Args:
        source: as for `find_generators`, except for a SavedModel.
        direction: as for `choose_generator`.

    Returns:
        A functional model from float images (batch, height, width, channels) in
        [-1, 1] to images of the same size in [-1, 1].

    Raises:
        InputError: if there is no such generator, or a download fails.

    Example:
    ```python
    paint = cyclegan_tf.load_generator("pytorch:style_monet")
    ```
    """
    return choose_generator(pathlib.Path(source), direction).load()


def generators_in(folder: pathlib.Path) -> list[StoredGenerator]:
    """List the `generator_*.keras` in a folder, which need not exist."""
    return [
        stored_generator(path, direction)
        for direction in DIRECTIONS
        if (path := generator_file(folder, direction)).is_file()
    ]


def stored_generator(
    path: pathlib.Path, direction: str | None = None
) -> StoredGenerator:
    """Describe a generator by what its file, its run or its export says.

    Args:
        path: a file or a SavedModel.
        direction: what its name says of its direction.
    """
    if path.is_dir():
        folder = path.resolve().parent
        about = folder.with_name(f"{folder.name}.json")
        if about.is_file():
            return StoredGenerator(path=path, **_about_exported(about))
        return StoredGenerator(direction, path)
    _, size, translates = read_facts(path)
    # The first runs had no notes in their files.
    if None in (size, translates) and Run.is_run(path.parent):
        dataset = Run(path.parent).config.dataset
        size = size or dataset.training_size
        if direction:
            translates = translates or dataset.translates(direction)
    return StoredGenerator(direction, path, size, translates)


def _exported_in(folder: pathlib.Path) -> list[StoredGenerator]:
    """List the SavedModels of `cyclegan export`, by the JSON file of each."""
    if not (folder / "report.json").is_file():
        return []
    found = []
    for path in folder.glob("*.json"):
        if versions := versions_in(path.with_suffix("")):
            newest = versions[max(versions)]
            found.append(StoredGenerator(path=newest, **_about_exported(path)))
    return sorted(found, key=lambda generator: generator.direction == "f")


def _about_exported(path: pathlib.Path) -> dict[str, Any]:
    """Read what `cyclegan export` wrote about a generator: all but its path."""
    with reading(path, "what cyclegan export writes", "export again"):
        content = parse_json(path.read_text())
        return {
            "direction": content["direction"],
            "training_size": content.get("training_size"),
            "translates": content.get("translates"),
        }
