"""Designs that are made block by block as they are used, and stored while they are small."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

BLOCK = 16_384  # rows at a time: what a pass makes of them is small beside the data
STORED = 2_000_000  # entries: below it a design is stored, above it made anew in each pass


class Transposed(Protocol):
    """A transposed design: multiplies a value a row, ``(n,)``, into ``(k,)``."""

    def __matmul__(self, other: np.ndarray, /) -> np.ndarray: ...


class Design(Protocol):
    """What a model asks of a design: an array ``(n, k)``, or one that is made block by block."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def T(self) -> Transposed: ...

    def __matmul__(self, other: np.ndarray, /) -> np.ndarray: ...

    def __getitem__(self, rows: slice, /) -> np.ndarray: ...


def blocks(n: int, size: int = BLOCK) -> Iterator[slice]:
    """Slices of at most ``size`` rows that cover ``n``."""
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def stored(design: Design) -> Design:
    """The design as an array, column by column in memory, unless it is large."""
    n, k = design.shape
    return design[:] if n * k <= STORED else design


class BlockDesign:
    """Products of a design whose rows are made by slices."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        raise NotImplementedError

    def __getitem__(self, rows: slice) -> np.ndarray:
        raise NotImplementedError

    @property
    def T(self) -> _Transposed:
        """The transpose, for products with one value a row."""
        return _Transposed(self)

    def __matmul__(self, coefficients: np.ndarray) -> np.ndarray:
        out = np.empty(self.shape[0])
        for rows in blocks(self.shape[0]):
            out[rows] = self[rows] @ coefficients
        return out


@dataclass(frozen=True)
class _Transposed:
    design: BlockDesign

    def __matmul__(self, values: np.ndarray) -> np.ndarray:
        out = np.zeros(self.design.shape[1])
        for rows in blocks(self.design.shape[0]):
            out += self.design[rows].T @ values[rows]
        return out


@dataclass(frozen=True)
class Columns(BlockDesign):
    """Arrays ``(n,)`` side by side."""

    columns: tuple[np.ndarray, ...]

    @property
    def shape(self) -> tuple[int, int]:
        return self.columns[0].size, len(self.columns)

    def __getitem__(self, rows: slice) -> np.ndarray:
        # Joined as rows of the transpose, so that each column is contiguous.
        return np.array([column[rows] for column in self.columns]).T


@dataclass(frozen=True)
class StandardisedDesign(BlockDesign):
    """A constant and columns at mean 0 and variance 1: estimates don't depend on units.

    Parameters
    ----------
    rows
        Their number.
    columns
        Shape ``(n,)`` each, as they were measured.
    centre, scale
        Each column's mean and standard deviation.
    """

    rows: int
    columns: tuple[np.ndarray, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows, len(self.columns) + 1

    def __getitem__(self, rows: slice) -> np.ndarray:
        count = len(range(*rows.indices(self.rows)))
        block = np.empty((count, self.shape[1]), order="F")
        block[:, 0] = 1.0
        parts = zip(self.columns, self.centre, self.scale, strict=True)
        for j, (column, centre, scale) in enumerate(parts, start=1):
            np.subtract(column[rows], centre, out=block[:, j])
            block[:, j] /= scale
        return block
