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
from cyclegan_tf.models.networks.graph import inputs_of, operations
from cyclegan_tf.translation.inference import Moments


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
        """Name the tensors that some are computed from, themselves included."""
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
        """Find the scale of the map that an operation puts out."""
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
        "Normalize",
        "ReLU",
        "Relu",
        "Sigmoid",
        "SpatialDropout2D",
        "Subtract",
        "Tanh",
    }
)


_CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


def input_names(operation: Any) -> list[str]:
    """Name the tensors that a layer or one of the `keras.ops` was called with."""
    return [tensor.name for tensor in inputs_of(operation)]


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
