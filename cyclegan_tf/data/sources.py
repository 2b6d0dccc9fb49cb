"""Where images come from: folders, file lists, TensorFlow Datasets, the demo.

The public data sets name their folders trainA and trainB; A is domain X and B is domain
Y. This module decodes nothing.
"""

import codecs
import hashlib
import pathlib
import threading
import time
import typing
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple, TypeAlias

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.data.demo import demo_images
from cyclegan_tf.images.folders import find_images
from cyclegan_tf.images.pixels import Image

# TensorFlow Datasets also looks here for data sets that it has prepared.
_TFDS_STORE = "https://storage.googleapis.com/tfds-data"

_ADVICE = (
    "check the network, or give a folder of your own images as `data=FOLDER`, or the "
    "folder of a prepared data set as `data_dir`."
)


class Source(NamedTuple):
    """An image before it is decoded: a name and a path, file content or array.

    `half` names the half of a file that holds a pair side by side.
    """

    name: str
    content: pathlib.Path | bytes | Image
    half: Literal["left", "right"] | None = None

    def columns(self, width: int) -> slice:
        """Return the columns that are the image. Of an odd width, the right has more.

        Reference:
            The aligned data sets of the authors' PyTorch code.
        """
        middle = width // 2
        return {
            None: slice(0, width),
            "left": slice(0, middle),
            "right": slice(middle, width),
        }[self.half]


FolderSources: TypeAlias = tuple[pathlib.Path, list[Source]]


def find_sources(
    data: str, split: str, data_dir: pathlib.Path | None = None
) -> list[Source]:
    """List the images of one split of a data set.

    Args:
        data: a folder, `"tfds:NAME"` or `"demo"`.
        split: `"trainA"`, `"trainB"`, `"testA"` or `"testB"`. In a folder it is a
            folder of images, searched with its subfolders in natural order, or a
            text file such as `trainA.txt` with one path per line, relative to it.
        data_dir: where TensorFlow Datasets keeps its data.

    Returns:
        The images in order; none if a test split does not exist.

    Raises:
        InputError: if the data set or a training split does not exist or is empty.
    """
    if data == "demo":
        return _demo_sources(split)
    if data.startswith("tfds:"):
        return _tfds_sources(data.removeprefix("tfds:"), split, data_dir)
    return _folder_sources(pathlib.Path(data), split)


def split_folder(folder: pathlib.Path, split: str) -> list[Source]:
    """List the training or test images of a folder that has no such splits.

    Test images are the tenth, at least two, whose names have the smallest hashes. So a
    pair of equal names stays together, and new images move few others.

    Args:
        folder: a folder of images, searched with its subfolders.
        split: `"train"` or `"test"`.

    Returns:
        The images in natural order. Of fewer than four, at most half are for tests.

    Raises:
        InputError: if there is no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}; check the name.")
    paths = find_images(folder)
    if not paths:
        raise _no_images(folder)

    def place(path: pathlib.Path) -> bytes:
        name = path.relative_to(folder).with_suffix("").as_posix()
        return hashlib.sha256(name.encode(errors="surrogateescape")).digest()

    count = min(max(len(paths) // 10, 2), len(paths) // 2)
    kept = set(sorted(paths, key=place)[:count])
    return [
        Source(str(path), path) for path in paths if (path in kept) == (split == "test")
    ]


def match_pairs(
    x: FolderSources, y: FolderSources
) -> tuple[list[Source], list[Source]]:
    """Pair the images of two folders by name, whatever their suffixes.

    Args:
        x: a folder and its images.
        y: the other folder and its images.

    Raises:
        InputError: if an image has no partner, or two have the same.
    """
    by_name_x, by_name_y = _by_name(x, y[0]), _by_name(y, x[0])
    for name in by_name_x.keys() ^ by_name_y.keys():
        here, there = (x, y) if name in by_name_x else (y, x)
        raise InputError(
            f"{name} of {here[0]} has no partner in {there[0]}; give both images of a "
            "pair the same name."
        )
    return list(by_name_x.values()), [by_name_y[name] for name in by_name_x]


def _by_name(
    folder_sources: FolderSources, partners: pathlib.Path
) -> dict[str, Source]:
    folder, sources = folder_sources
    by_name: dict[str, Source] = {}
    for source in sources:
        other = by_name.setdefault(_name_of(source, folder), source)
        if other.name != source.name:
            raise InputError(
                f"{other.name} and {source.name} have the same partner in {partners}; "
                "give them different names, or remove one."
            )
    return by_name


def find_pairs(data: str, split: str) -> tuple[list[Source], list[Source]]:
    """List the pairs of one split of a data set.

    Args:
        data: a folder or `"demo"`. In a folder, images of trainA and trainB (testA and
            testB) are pairs if their names are equal but for the suffix; or a folder
            `train` (`test`) holds files with A on the left and B on the right.
        split: `"train"` or `"test"`.

    Returns:
        The images of A and of B, in the same order; none if a test split does not
        exist.

    Raises:
        InputError: if the data set or its training pairs do not exist, an image has
            no partner, or two have the same.
    """
    if data == "demo":
        a, b = (_demo_sources(split + domain, paired=True) for domain in "AB")
        return a, b
    if data.startswith("tfds:"):
        raise InputError(
            f"{data} has no pairs, because TensorFlow Datasets shuffles each domain by "
            "itself; name the extracted download as a folder instead."
        )
    root = pathlib.Path(data)
    if is_side_by_side(data, split):
        paths = find_images(root / split)
        if not paths and split == "train":
            raise _no_images(root / split)
        left, right = (
            [Source(f"{path} ({half})", path, half) for path in paths]
            for half in typing.get_args(Literal["left", "right"])
        )
        return left, right
    in_a, in_b = (
        (root / f"{split}{domain}", _folder_sources(root, f"{split}{domain}"))
        for domain in "AB"
    )
    return match_pairs(in_a, in_b)


def is_side_by_side(data: str, split: str) -> bool:
    """Return whether each file of a split, such as `"train"`, holds a pair."""
    root = pathlib.Path(data)
    return (root / split).is_dir() and not (root / f"{split}A").exists()


def _demo_sources(split: str, paired: bool = False) -> list[Source]:
    images = demo_images(split, paired)
    return [Source(f"{split}/{i:04d}.png", image) for i, image in enumerate(images)]


def _name_of(source: Source, folder: pathlib.Path) -> str:
    path = pathlib.Path(source.name)
    path = path.relative_to(folder) if path.is_relative_to(folder) else path
    return str(path.with_suffix(""))


def _no_images(place: pathlib.Path) -> InputError:
    return InputError(
        f"There are no images in {place}; put JPEG, PNG, BMP, GIF, WebP or TIFF files "
        "there."
    )


def _folder_sources(root: pathlib.Path, split: str) -> list[Source]:
    folder, file_list = root / split, root / f"{split}.txt"
    if not root.is_dir():
        raise InputError(
            f"There is no folder {root}; `data` takes a folder with trainA and trainB, "
            "tfds:NAME or demo."
        )
    if folder.is_dir():
        paths = find_images(folder)
    elif file_list.is_file():
        lines = _decoded(file_list.read_bytes()).splitlines()
        paths = [root / line.strip() for line in lines if line.strip()]
    elif split.startswith("test"):
        return []
    else:
        raise InputError(
            f"{root} has no folder {split} and no file {split}.txt; put the images of "
            f"domain {'X' if split.endswith('A') else 'Y'} there."
        )
    if not paths and split.startswith("train"):
        raise _no_images(folder if folder.is_dir() else file_list)
    return [Source(str(path), path) for path in paths]


def _decoded(text: bytes) -> str:
    """Decode a list in UTF-8, UTF-16 with its mark, or else Latin-1."""
    if text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return text.decode("utf-16")
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError:
        return text.decode("latin-1")


def is_at_hand(data: str, data_dir: pathlib.Path | None = None) -> bool:
    """Return whether a data set can be read without a download.

    Raises:
        InputError: if TensorFlow Datasets has none of that name, or would download it
            but no server answers.
    """
    if not data.startswith("tfds:"):
        return True
    return _is_prepared(_tfds_builder(data.removeprefix("tfds:"), data_dir))


def _tfds_builder(name: str, data_dir: pathlib.Path | None) -> Any:
    import tensorflow_datasets as tfds

    dataset_name, _, config_name = name.partition("/")
    try:
        configs = sorted(tfds.builder_cls(dataset_name).builder_configs)
    except (tfds.core.DatasetNotFoundError, ValueError):
        raise InputError(
            f"TensorFlow Datasets has no data set {dataset_name!r}; did you mean "
            "tfds:cycle_gan/horse2zebra?"
        ) from None
    if config_name not in configs:
        raise InputError(
            f"tfds:{dataset_name} has no config {config_name!r}; choose one of "
            f"{', '.join(configs)}."
        )
    builder = tfds.builder(name, data_dir=data_dir)
    urls = [*builder.url_infos, _TFDS_STORE]
    if not _is_prepared(builder) and not _any_server_answers(urls):
        raise InputError(
            f"TensorFlow Datasets must download {name}, but its server does not "
            f"answer; {_ADVICE}"
        )
    return builder


def _is_prepared(builder: Any) -> bool:
    # `builder.is_prepared` warns of a folder that is not there.
    return bool((builder.data_path / "dataset_info.json").exists())


def _tfds_sources(name: str, split: str, data_dir: pathlib.Path | None) -> list[Source]:
    """Read the encoded images of a TFDS split; download and prepare it if needed."""
    import tensorflow_datasets as tfds

    builder = _tfds_builder(name, data_dir)
    try:
        builder.download_and_prepare()
    except (OSError, tfds.download.DownloadError) as e:
        raise InputError(
            f"TensorFlow Datasets cannot prepare {name} ({e}); {_ADVICE}"
        ) from e
    if split not in builder.info.splits:
        if split.startswith("test"):
            return []
        raise InputError(
            f"tfds:{name} has no split {split!r}, only {', '.join(builder.info.splits)}"
            "; choose a config of tfds:cycle_gan."
        )
    examples = builder.as_dataset(
        split=split, decoders={"image": tfds.decode.SkipDecoding()}
    )
    return [
        Source(f"{split}/{i:04d}.jpg", example["image"])
        for i, example in enumerate(examples.as_numpy_iterator())
    ]


def _any_server_answers(urls: Iterable[str], seconds: float = 5.0) -> bool:
    """Return whether a server answers soon: TensorFlow Datasets tries for minutes."""
    servers = {urllib.parse.urljoin(url, "/") for url in urls}
    answered: list[str] = []

    def ask(url: str) -> None:
        request = urllib.request.Request(url, method="HEAD")
        try:
            urllib.request.urlopen(request, timeout=seconds).close()
        except urllib.error.HTTPError:
            pass  # This is an answer, too.
        except OSError:
            return
        answered.append(url)

    # In threads, as looking for the address of a server takes no time limit.
    threads = [threading.Thread(target=ask, args=[url], daemon=True) for url in servers]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return bool(answered)
