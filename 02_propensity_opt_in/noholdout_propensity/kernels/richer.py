"""A richer specification of the same models, to see whether the answer leans on the form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noholdout_propensity.kernels.designs import BlockDesign, Design, stored
from noholdout_propensity.kernels.sums import weighted_gram

MOST_ADDED = 60
ROWS_A_COLUMN = 10  # of the smaller arm, for each column of the richer design
UNEXPLAINED = 1e-6  # share of a term's variance that the columns before it must leave
PLAIN = 1e-3  # far enough above it that rounding can't matter


@dataclass(frozen=True)
class RicherDesign(BlockDesign):
    """A design with squares and products of its columns, made block by block as it is used.

    Parameters
    ----------
    base
        Shape ``(n, k)``, the first column constant.
    left, right
        Columns whose product each added term is, shape ``(m,)``.
    centre, scale
        Each term's mean and standard deviation, shape ``(m,)``.
    """

    base: Design
    left: np.ndarray
    right: np.ndarray
    centre: np.ndarray
    scale: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        return self.base.shape[0], self.base.shape[1] + self.left.size

    def __getitem__(self, rows: slice) -> np.ndarray:
        base = self.base[rows]
        block = np.empty((base.shape[0], self.shape[1]), order="F")
        k = base.shape[1]
        block[:, :k] = base
        terms = block.T[k:]
        for term, a, b in zip(terms, self.left, self.right, strict=True):
            np.multiply(base[:, a], base[:, b], out=term)
        _standardise(terms, self.centre, self.scale)
        return block


def _standardise(terms: np.ndarray, centre: np.ndarray, scale: np.ndarray) -> None:
    """In place, each of shape ``(n,)``."""
    for term, mean, spread in zip(terms, centre.tolist(), scale.tolist(), strict=True):
        if mean != 0:
            term -= mean
        if spread != 1:
            term /= spread


@dataclass(frozen=True)
class Richer:
    """A design ``(n, k + m)`` with ``m`` terms added, and the products of its columns ``Z' Z``."""

    design: Design
    gram: np.ndarray


def richer_design(design: Design, smallest_arm: int) -> Richer | None:
    """The design with squares and pairwise products added, standardised.

    Squares come first; products are left out when both don't fit. ``None`` when nothing can be
    added for the number of rows in the smaller arm. The design's first column is the constant.
    """
    room = min(MOST_ADDED, smallest_arm // ROWS_A_COLUMN - design.shape[1])
    k = design.shape[1]
    first = design[:500]
    squares = [(j, j) for j in range(1, k) if np.unique(first[:, j]).size > 2]
    products = [(i, j) for i in range(1, k) for j in range(i + 1, k)]
    chosen = squares + products if len(squares) + len(products) <= room else squares
    if not chosen or len(chosen) > room:
        return None
    left, right = np.array(chosen).T
    n, m = design.shape[0], left.size
    raw = stored(RicherDesign(design, left, right, np.zeros(m), np.ones(m)))
    # The first column is constant, so that this holds sums, squares and products of all terms.
    gram = weighted_gram(raw, np.ones(n)) / n
    centre = gram[0, k:].copy()
    scale = np.sqrt(np.maximum(np.diag(gram)[k:] - centre**2, 0.0))
    keep = _news(gram, k, scale)
    if not keep:
        return None
    places = [*range(k), *(k + j for j in keep)]
    centre, scale = centre[keep], scale[keep]
    shift, stretch = np.append(np.zeros(k), centre), np.append(np.ones(k), scale)
    sums = gram[0, places]
    gram = gram[np.ix_(places, places)] - np.outer(shift, sums) - np.outer(sums, shift)
    gram += np.outer(shift, shift)
    gram *= n / np.outer(stretch, stretch)
    if not isinstance(raw, np.ndarray):
        return Richer(RicherDesign(design, left[keep], right[keep], centre, scale), gram)
    columns = raw.T if len(keep) == m else raw.T[places]
    _standardise(columns[k:], centre, scale)
    return Richer(columns.T, gram)


def _news(gram: np.ndarray, k: int, scale: np.ndarray) -> list[int]:
    """The terms that the base columns and the terms kept before don't explain already."""
    if _all_news(gram, k, scale):
        return list(range(scale.size))
    kept: list[int] = []
    for j in np.flatnonzero(scale > 1e-6):
        others = [*range(k), *(k + i for i in kept)]
        cross = gram[others, k + j]
        explained = cross @ np.linalg.lstsq(gram[np.ix_(others, others)], cross, rcond=None)[0]
        if gram[k + j, k + j] - explained > UNEXPLAINED * scale[j] ** 2:
            kept.append(int(j))
    return kept


def _all_news(gram: np.ndarray, k: int, scale: np.ndarray) -> bool:
    """Whether every term is plainly new: a squared pivot is what the columns before it leave."""
    try:
        pivots = np.diag(np.linalg.cholesky(gram))[k:] ** 2
    except np.linalg.LinAlgError:
        return False
    return bool((scale > 1e-6).all() and (pivots > PLAIN * scale**2).all())
