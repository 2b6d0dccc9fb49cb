"""Pixel arrays in files, their tiles, and statistics of them part by part."""

import dataclasses
import pathlib
from collections.abc import Iterator

import numpy as np


@dataclasses.dataclass(frozen=True)
class Box:
    """A rectangle of pixels, half-open: rows [top, bottom), columns [left, right)."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Slices of rows and columns."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def grown(self, pixels: int, bounds: "Box") -> "Box":
        """Return the box with `pixels` added on every side, clipped to `bounds`."""
        return Box(
            max(self.top - pixels, bounds.top),
            max(self.left - pixels, bounds.left),
            min(self.bottom + pixels, bounds.bottom),
            min(self.right + pixels, bounds.right),
        )

    def relative_to(self, other: "Box") -> "Box":
        """Return the box in coordinates of another box's top left corner."""
        return Box(
            self.top - other.top,
            self.left - other.left,
            self.bottom - other.top,
            self.right - other.left,
        )

    def at_scale(self, scale: int) -> "Box":
        """Return the box in a smaller map; the factor must divide its sides."""
        return Box(*(side // scale for side in dataclasses.astuple(self)))

    def tiles(self, side: int) -> Iterator["Box"]:
        """Cut the box into squares, row by row; the last ones may be smaller."""
        for top in range(self.top, self.bottom, side):
            for left in range(self.left, self.right, side):
                yield Box(
                    top,
                    left,
                    min(top + side, self.bottom),
                    min(left + side, self.right),
                )


@dataclasses.dataclass(frozen=True)
class RasterFile:
    """An array (height, width, channels) in a file, read and written by rectangles.

    The file holds the bytes of the array in C order. It is not mapped into memory, so
    that a full disk raises an `OSError` instead of killing the process.

    Attributes:
        path: the file; the first write creates it.
        shape: (height, width, channels).
        dtype: name of NumPy's type.
    """

    path: pathlib.Path
    shape: tuple[int, int, int]
    dtype: str

    def __getitem__(self, part: tuple[slice, slice]) -> np.ndarray:
        """Read rows and columns, given by slices with starts and stops."""
        rows, columns = part
        values = np.empty(
            (rows.stop - rows.start, columns.stop - columns.start, self.shape[2]),
            self.dtype,
        )
        with self.path.open("rb", buffering=0) as file:
            for i in range(len(values)):
                file.seek(self._offset(rows.start + i, columns.start))
                if file.readinto(values[i]) != values[i].nbytes:
                    raise OSError(f"{self.path} is shorter than an image {self.shape}")
        return values

    def __setitem__(self, part: tuple[slice, slice], values: np.ndarray) -> None:
        """Write rows and columns, given by slices with starts and stops."""
        rows, columns = part
        values = np.ascontiguousarray(values, self.dtype)
        self.path.touch()
        with self.path.open("r+b") as file:
            for i in range(len(values)):
                file.seek(self._offset(rows.start + i, columns.start))
                file.write(values[i].data)

    def _offset(self, row: int, column: int) -> int:
        _, width, channels = self.shape
        return (row * width + column) * channels * np.dtype(self.dtype).itemsize


class Moments:
    """Mean and variance of each channel of a map, computed part by part."""

    def __init__(self) -> None:
        self._count = 0
        self._mean = np.float64(0)
        self._deviation = np.float64(0)

    def add(self, values: np.ndarray) -> None:
        """Add a part of the map.

        Args:
            values: float32 array (height, width, channels).

        Reference:
            Chan et al., 1979, Updating Formulae and a Pairwise Algorithm for Computing
            Sample Variances, equation 2.1.
        """
        count = values.shape[0] * values.shape[1]
        mean = values.mean(axis=(0, 1), dtype=np.float64)
        centered = values - mean.astype(np.float32)
        rounding = centered.mean(axis=(0, 1), dtype=np.float64)
        squares = np.square(centered).sum(axis=(0, 1), dtype=np.float64)
        total = self._count + count
        difference = mean - self._mean
        self._deviation += (
            squares
            - count * np.square(rounding)
            + np.square(difference) * self._count * count / total
        )
        self._mean += difference * count / total
        self._count = total

    @property
    def mean(self) -> np.ndarray:
        """float32 array (1, 1, 1, channels)."""
        return self._mean.astype(np.float32).reshape(1, 1, 1, -1)

    @property
    def variance(self) -> np.ndarray:
        """float32 array (1, 1, 1, channels), the biased variance."""
        return (self._deviation / self._count).astype(np.float32).reshape(1, 1, 1, -1)
