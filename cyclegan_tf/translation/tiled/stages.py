"""A generator cut into stages, each of which can run tile by tile.

An instance norm needs the mean and the variance of its whole input map before it can
output a pixel. So the network is cut before each norm. A stage computes its maps tile
by tile; after the last tile, the statistics for the next stage are known.
`translator.py` runs the stages.
"""

import dataclasses
import statistics
from collections.abc import Iterable
from typing import Any

import keras

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.models.networks.graph import inputs_of, operations
from cyclegan_tf.translation.inference import Moments


@dataclasses.dataclass(frozen=True)
class FeatureMap:
    """A tensor (1, height, width, channels) between two layers.

    `scale` is the number of image pixels per pixel of the map, along a side.
    """

    name: str
    channels: int
    scale: int

    @property
    def numbers_per_pixel(self) -> float:
        """The numbers in the map per pixel of the image."""
        return self.channels / self.scale**2


@dataclasses.dataclass(frozen=True)
class Norm:
    """One instance norm.

    Attributes:
        input: name of the map that it normalizes.
        mean: name of the tensor (1, 1, 1, channels) of means.
        variance: name of the tensor (1, 1, 1, channels) of biased variances.
    """

    input: str
    mean: str
    variance: str


@dataclasses.dataclass(frozen=True)
class Stage:
    """A part of the network that needs only the statistics of earlier stages.

    Attributes:
        model: from the maps `reads`, then the tensors `statistics`, to the maps
            `computes`.
        reads: maps that earlier stages kept, or the image.
        statistics: names of the means and variances that it takes.
        computes: the maps that it computes; in the last stage, the translation.
        kept: the maps of this or earlier stages that later stages read.
        norm: the norm whose statistics it completes; `None` in the last stage.
        halo: pixels of the image that `reads` must cover around a tile.
    """

    model: keras.Model
    reads: tuple[FeatureMap, ...]
    statistics: tuple[str, ...]
    computes: tuple[FeatureMap, ...]
    kept: frozenset[FeatureMap]
    norm: Norm | None
    halo: int


def split_into_stages(model: keras.Model) -> list[Stage]:
    """Cut a network before each instance norm.

    The maps that cross a cut are kept for the next stage, unless they are at least
    twice as large as those that cross the median cut: the maps of the outermost layers
    would determine the disk space, and are cheap to recompute.

    Args:
        model: what `inference_model` returned.

    Returns:
        The stages in running order, one more than norms.

    Raises:
        InputError: if a layer cannot be computed in tiles.
    """
    graph = _Graph(model)
    done: frozenset[str] = frozenset()
    cuts = []
    for norm in graph.norms:
        done |= graph.ancestors([norm.input])
        cuts.append(graph.needed_after(done))
    sizes = [sum(map.numbers_per_pixel for map in cut) for cut in cuts]
    limit = 2 * statistics.median(sizes) if sizes else 0.0

    stages = []
    kept = frozenset({graph.image})
    for norm, cut, size in zip(graph.norms, cuts, sizes):
        available = kept
        if size < limit:
            kept = cut
            computes = cut - available
        else:
            computes = frozenset({graph.maps[norm.input]})
        stages.append(graph.stage(available, computes, kept, norm))
    stages.append(graph.stage(kept, {graph.output}, frozenset(), None))
    return stages


class _Graph:
    """The operations of a functional model, and the maps between them."""

    def __init__(self, model: keras.Model):
        # An operation that is called twice has other inputs the second time.
        for layer in model.get_config()["layers"]:
            if len(layer["inbound_nodes"]) > 1:
                raise refused(layer["name"], layer["class_name"])
        source = model.inputs[0]
        self.operations: list[Any] = []
        self.norms: list[Norm] = []
        self.tensors = {source.name: source}
        self.producers: dict[str, Any] = {}
        self.consumers: dict[str, list[Any]] = {}
        self.image = FeatureMap(source.name, source.shape[-1], 1)
        self.maps = {source.name: self.image}
        for operation in operations(model):
            if isinstance(operation, Moments):
                self._add_norm(operation)
            else:
                self._add_map(operation)
        self.averages = {
            name for norm in self.norms for name in (norm.mean, norm.variance)
        }
        self.output = self.maps[model.outputs[0].name]

    def ancestors(
        self, names: Iterable[str], known: Iterable[str] = ()
    ) -> frozenset[str]:
        """Name the given tensors and all that they are computed from."""
        found: set[str] = set()
        left = list(names)
        while left:
            name = left.pop()
            if name not in found and name not in known:
                found.add(name)
                if name in self.producers:
                    left.extend(input_names(self.producers[name]))
        return frozenset(found)

    def needed_after(self, done: frozenset[str]) -> frozenset[FeatureMap]:
        """Return the computed maps that later operations take."""
        return frozenset(
            map
            for name, map in self.maps.items()
            if name in done
            and any(user.output.name not in done for user in self.consumers[name])
        )

    def stage(
        self,
        available: frozenset[FeatureMap],
        computes: Iterable[FeatureMap],
        kept: frozenset[FeatureMap],
        norm: Norm | None,
    ) -> Stage:
        """Build the stage that computes some maps from the available ones."""
        outputs = sorted(computes, key=lambda map: map.name)
        known = {map.name for map in available} | self.averages
        needed = self.ancestors([map.name for map in outputs], known)
        steps = [step for step in self.operations if step.output.name in needed]
        used = {name for step in steps for name in input_names(step)}
        reads = sorted(
            (map for map in available if map.name in used), key=lambda map: map.name
        )
        averages = sorted(self.averages & used)
        margins = dict.fromkeys(known, 0)
        for step in steps:
            margin = max(margins[name] for name in input_names(step))
            margins[step.output.name] = margin_after(step, margin)
        inputs = [*(map.name for map in reads), *averages]
        return Stage(
            keras.Model(
                [self.tensors[name] for name in inputs],
                [self.tensors[map.name] for map in outputs],
            ),
            tuple(reads),
            tuple(averages),
            tuple(outputs),
            kept,
            norm,
            max(margins[map.name] * map.scale for map in outputs),
        )

    def _add_norm(self, moments: Moments) -> None:
        (source,) = input_names(moments)
        if source == self.image.name:  # a stage before it would compute nothing
            raise refused(moments.name, "a norm of the image itself")
        mean, variance = moments.output
        self.tensors |= {mean.name: mean, variance.name: variance}
        self.norms.append(Norm(source, mean.name, variance.name))

    def _add_map(self, operation: Any) -> None:
        """Add the output map of an operation, with its scale."""
        names = input_names(operation)
        scales = {self.maps[name].scale for name in names if name in self.maps}
        down, up = rates(operation)
        if len(scales) != 1 or min(scales) * down % up:
            raise refused(operation.name, type(operation).__name__)
        output = operation.output
        self.operations.append(operation)
        self.tensors[output.name] = output
        self.producers[output.name] = operation
        for name in names:
            self.consumers.setdefault(name, []).append(operation)
        self.maps[output.name] = FeatureMap(
            output.name, output.shape[-1], min(scales) * down // up
        )


# By class name, because `keras.ops` in a functional model are of private classes.
_POINTWISE = frozenset(
    {
        "Activation",
        "Add",
        "BatchNormalization",
        "Cast",
        "Concatenate",
        "Dropout",
        "GaussianNoise",
        "LeakyRelu",
        "Multiply",
        "Normalize",
        "ReLU",
        "Relu",
        "Sigmoid",
        "SpatialDropout2D",
        "Subtract",
        "Tanh",
    }
)


_WINDOWS = (
    keras.layers.AveragePooling2D,
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
)


def input_names(operation: Any) -> list[str]:
    """Name the input tensors of an operation."""
    return [tensor.name for tensor in inputs_of(operation)]


def rates(operation: Any) -> tuple[int, int]:
    """Return the factors by which an operation divides and multiplies the sides.

    Raises:
        InputError: if the operation is unknown.
    """
    kind = type(operation).__name__
    if isinstance(operation, _WINDOWS):
        return max(operation.strides), 1
    if isinstance(operation, keras.layers.Conv2DTranspose):
        return 1, max(operation.strides)
    if kind == "Resize":
        return 1, max(operation.factors)
    if kind in _POINTWISE | {"Pad", "ZeroPadding2D", "Cropping2D"}:
        return 1, 1
    raise refused(operation.name, kind)


def margin_after(operation: Any, margin: int) -> int:
    """Return how many border pixels of an operation's output are wrong in a tile.

    At the border of a tile, an operation sees its own padding instead of the
    neighboring tile.

    Args:
        operation: one that `rates` knows.
        margin: int. Wrong pixels at the border of its input.

    Returns:
        int. An upper bound.
    """
    if isinstance(operation, keras.layers.Conv2DTranspose):
        stride = max(operation.strides)
        return max(margin * stride + _extent(operation) - stride, 0)
    if isinstance(operation, _WINDOWS):
        if operation.padding == "same":
            margin += _extent(operation) // 2
        return -(-margin // max(operation.strides))
    kind = type(operation).__name__
    if kind == "Resize":
        between = 0 if operation.interpolation == "nearest" else 1
        return (margin + between) * max(operation.factors)
    if kind == "Pad":
        return margin + max(max(sides) for sides in operation.pad_width[1:3])
    if kind == "ZeroPadding2D":
        return margin + max(max(sides) for sides in operation.padding)
    if kind == "Cropping2D":
        return max(margin - min(min(sides) for sides in operation.cropping), 0)
    return margin


def refused(name: str, kind: str) -> InputError:
    """Return the error for an operation that cannot be computed in tiles."""
    return InputError(
        f"The generator's {name} ({kind}) does not support tiling; leave out `tile`."
    )


def _extent(operation: Any) -> int:
    """Return the width of the window that one output pixel sees."""
    if isinstance(operation, keras.layers.AveragePooling2D):
        return max(operation.pool_size)
    return (max(operation.kernel_size) - 1) * max(operation.dilation_rate) + 1
