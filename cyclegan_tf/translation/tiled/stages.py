"""A generator cut into stages, each of which sees only a few pixels around its own.

An instance norm gives out its first pixel only after it has seen the last one: it needs
the mean and the variance of its whole input map. So the network is cut in front of each
norm. A stage computes its maps tile by tile; when it has been over the whole image, the
statistics that the next stage begins with are known. `tiled_translator.py` runs them.
"""

import dataclasses
import statistics
from collections.abc import Iterable
from typing import Any

import keras

from cyclegan_tf._shared.errors import InputError


@dataclasses.dataclass(frozen=True)
class FeatureMap:
    """A tensor (1, height, width, channels) between two layers.

    Attributes:
        name: of the tensor.
        channels: of it.
        scale: pixels of the image to one of its pixels, along a side.
    """

    name: str
    channels: int
    scale: int

    @property
    def numbers_per_pixel(self) -> float:
        """How many numbers it has for each pixel of the image."""
        return self.channels / self.scale**2


@dataclasses.dataclass(frozen=True)
class Norm:
    """One instance norm.

    Attributes:
        input: name of the map whose statistics it needs.
        mean: name of the tensor (1, 1, 1, channels) of the means.
        variance: name of that of the biased variances.
    """

    input: str
    mean: str
    variance: str


@dataclasses.dataclass(frozen=True)
class Stage:
    """A part of the network that needs no statistics but those of earlier stages.

    Attributes:
        model: from the maps `reads` and then the tensors `statistics`, in this order,
            to the maps `computes`.
        reads: what earlier stages kept; the image is the first map of all.
        statistics: names of the means and variances that it needs.
        computes: the maps it computes; the last stage the translation alone.
        kept: the maps that later stages read, of this stage or earlier ones.
        norm: the one whose statistics are known after it; `None` in the last stage.
        halo: pixels of the image that the reads must have around a tile.
    """

    model: keras.Model
    reads: tuple[FeatureMap, ...]
    statistics: tuple[str, ...]
    computes: tuple[FeatureMap, ...]
    kept: frozenset[FeatureMap]
    norm: Norm | None
    halo: int


def split_into_stages(model: keras.Model) -> list[Stage]:
    """Cut a network in front of each instance norm.

    The maps that cross a cut are kept for the next stage, unless they are at least
    twice as large as those that cross the median cut: those of the outermost layers
    would decide how much room all of them need, and are soon computed again.

    Args:
        model: what `inference_model` returned.

    Returns:
        The stages, in the order in which to run them; one more than there are norms.

    Raises:
        InputError: if there is a layer that cannot be computed in tiles.
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
        # An operation that is called twice would have other inputs the second time.
        for layer in model.get_config()["layers"]:
            if len(layer["inbound_nodes"]) > 1:
                raise refused(layer["name"], layer["class_name"])
        source = model.inputs[0]
        self.operations = [
            operation
            for operation in model.operations
            if not isinstance(operation, keras.layers.InputLayer)
        ]
        self.tensors = {source.name: source}
        self.producers: dict[str, Any] = {}
        self.consumers: dict[str, list[Any]] = {}
        for operation in self.operations:
            self.tensors[operation.output.name] = operation.output
            self.producers[operation.output.name] = operation
            for name in inputs_of(operation):
                self.consumers.setdefault(name, []).append(operation)
        self.image = FeatureMap(source.name, source.shape[-1], 1)
        self.maps = {source.name: self.image}
        self.norms: list[Norm] = []
        self.averages: set[str] = set()
        for operation in self.operations:
            if type(operation).__name__ == "Mean":
                self._add_average(operation)
            else:
                self._add_map(operation)
        if len(self.averages) != 2 * len(self.norms):
            raise refused("mean", "Mean")
        self.output = self.maps[model.outputs[0].name]

    def ancestors(
        self, names: Iterable[str], known: Iterable[str] = ()
    ) -> frozenset[str]:
        """Name the tensors that some are computed from, themselves included."""
        found: set[str] = set()
        left = list(names)
        while left:
            name = left.pop()
            if name not in found and name not in known:
                found.add(name)
                if name in self.producers:
                    left.extend(inputs_of(self.producers[name]))
        return frozenset(found)

    def needed_after(self, done: frozenset[str]) -> frozenset[FeatureMap]:
        """Return the maps among the computed ones that something later takes."""
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
        """Put together what computes some maps from those that are available."""
        outputs = sorted(computes, key=lambda map: map.name)
        known = {map.name for map in available} | self.averages
        needed = self.ancestors([map.name for map in outputs], known)
        steps = [step for step in self.operations if step.output.name in needed]
        used = {name for step in steps for name in inputs_of(step)}
        reads = sorted(
            (map for map in available if map.name in used), key=lambda map: map.name
        )
        averages = sorted(self.averages & used)
        margins = dict.fromkeys(known, 0)
        for step in steps:
            margin = max(margins[name] for name in inputs_of(step))
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

    def _add_map(self, operation: Any) -> None:
        """Find the scale of the map that an operation gives out."""
        scales = {
            self.maps[name].scale for name in inputs_of(operation) if name in self.maps
        }
        if not scales:
            return  # numbers for each channel, made of statistics
        down, up = rates(operation)
        if len(scales) > 1 or min(scales) * down % up:
            raise refused(operation.name, type(operation).__name__)
        output = operation.output
        self.maps[output.name] = FeatureMap(
            output.name, output.shape[-1], min(scales) * down // up
        )

    def _add_average(self, operation: Any) -> None:
        """Find out whether it is the variance of an instance norm, or else the mean."""
        (averaged,) = inputs_of(operation)
        if tuple(operation.axis) != (1, 2) or not operation.keepdims:
            raise refused(operation.name, "Mean")
        self.averages.add(operation.output.name)
        factors = self._made_by("Multiply", averaged)
        if len(factors) == 2 and len(set(factors)) == 1:
            difference = self._made_by("Subtract", factors[0])
            for mean in self.averages.intersection(difference[1:]):
                if inputs_of(self.producers[mean]) == difference[:1]:
                    self.norms.append(Norm(difference[0], mean, operation.output.name))

    def _made_by(self, kind: str, name: str) -> list[str]:
        """Name what a tensor was computed from, if by an operation of that kind."""
        operation = self.producers.get(name)
        return inputs_of(operation) if type(operation).__name__ == kind else []


# By class name, as `keras.ops` in a functional model are objects of private classes.
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
        "ReLU",
        "Relu",
        "Rsqrt",
        "Sigmoid",
        "SpatialDropout2D",
        "Subtract",
        "Tanh",
    }
)


_CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


def inputs_of(operation: Any) -> list[str]:
    """Name the tensors that a layer or one of the `keras.ops` was called with."""
    return [tensor.name for tensor in keras.tree.flatten(operation.input)]


def rates(operation: Any) -> tuple[int, int]:
    """Return by how much an operation divides and multiplies the sides.

    Args:
        operation: a layer or one of the `keras.ops` in a model that `inference_model`
            returned.

    Raises:
        InputError: if it is not known here.
    """
    kind = type(operation).__name__
    if isinstance(operation, _CONVOLUTIONS):
        return max(operation.strides), 1
    if isinstance(operation, keras.layers.Conv2DTranspose):
        return 1, max(operation.strides)
    if kind == "Resize":
        return 1, max(operation.factors)
    if kind in _POINTWISE | {"Pad", "ZeroPadding2D", "Cropping2D"}:
        return 1, 1
    raise refused(operation.name, kind)


def margin_after(operation: Any, margin: int) -> int:
    """Return how many pixels at the border are not those of the whole image.

    Where an image has been cut into tiles, an operation sees the padding of its own
    instead of the neighbouring tile.

    Args:
        operation: one that `rates` knows.
        margin: int. So many pixels at the border of its input are not.

    Returns:
        So many of its output are not, or fewer.
    """
    if isinstance(operation, keras.layers.Conv2DTranspose):
        stride = max(operation.strides)
        return max(margin * stride + _extent(operation) - stride, 0)
    if isinstance(operation, _CONVOLUTIONS):
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
    """Say that an operation is not known here."""
    return InputError(
        f"The generator's {name} ({kind}) cannot be computed in tiles; translate "
        "without them."
    )


def _extent(convolution: Any) -> int:
    """Pixels from the first to the last that one output pixel sees."""
    return (max(convolution.kernel_size) - 1) * max(convolution.dilation_rate) + 1
