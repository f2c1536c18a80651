"""Sums over rows from which every linear model of an arm follows, in one pass over the data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

BLOCK = 16_384  # rows at a time: the products of a block stay in the processor's cache


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


@dataclass(frozen=True)
class ArmSums:
    """Weighted sums of one arm.

    Parameters
    ----------
    gram
        ``Z' W Z`` of the design, shape ``(k, k)``.
    cross
        ``Z' W y``, shape ``(k,)``.
    square
        ``y' W y``.
    """

    gram: np.ndarray
    cross: np.ndarray
    square: float

    def __add__(self, other: ArmSums) -> ArmSums:
        return ArmSums(self.gram + other.gram, self.cross + other.cross, self.square + other.square)

    def __sub__(self, other: ArmSums) -> ArmSums:
        return ArmSums(self.gram - other.gram, self.cross - other.cross, self.square - other.square)


def blocks(n: int) -> Iterator[slice]:
    """Slices of at most ``BLOCK`` rows that cover ``n``."""
    for start in range(0, n, BLOCK):
        yield slice(start, min(start + BLOCK, n))


def weighted_gram(design: Design, weights: np.ndarray) -> np.ndarray:
    """``Z' W Z``, shape ``(k, k)``, without a second copy of the design."""
    total = np.zeros((design.shape[1], design.shape[1]))
    for rows in blocks(design.shape[0]):
        part = design[rows]
        total += part.T @ (part * weights[rows, None])
    return total


def design_sums(design: Design, outcome: np.ndarray, weights: np.ndarray) -> ArmSums:
    """The sums of the rows of positive weight."""
    cross = np.asarray(design.T @ (weights * outcome))
    return ArmSums(weighted_gram(design, weights), cross, float(weights @ outcome**2))


def arm_sums(
    design: Design, outcome: np.ndarray, treated: np.ndarray, rows: np.ndarray
) -> tuple[ArmSums, ArmSums]:
    """The treated and the control arm's sums under row weights."""
    inside = design_sums(design, outcome, rows * treated)
    return inside, design_sums(design, outcome, rows * (1 - treated))
