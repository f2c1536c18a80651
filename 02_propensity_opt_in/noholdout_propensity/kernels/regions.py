"""Boxes of the covariates in which one arm has nobody, though the score says it should.

A smooth score hides a hole: it interpolates a chance of opting in where in truth there was none.
A shallow tree looks for boxes where everybody made the same choice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BINS = 32
DEPTH = 4
EXPECTED = 15.0  # absent rows that the score expected: chance exp(-15) over thousands of boxes


@dataclass(frozen=True)
class Region:
    """A box where one arm is empty.

    Parameters
    ----------
    bounds
        Of each covariate that limits the box: (column, low, high), low < value <= high.
    members
        Rows in the box, shape ``(n,)`` booleans.
    everybody_in
        True where all opted in, False where nobody did.
    expected
        How many rows of the empty arm the score expected.
    """

    bounds: tuple[tuple[int, float, float], ...]
    members: np.ndarray
    everybody_in: bool
    expected: float


def empty_regions(values: np.ndarray, treated: np.ndarray, score: np.ndarray) -> list[Region]:
    """Disjoint boxes with an empty arm, largest first.

    Parameters
    ----------
    values
        Covariates, shape ``(n, k)``.
    treated, score
        0/1, and the fitted chance of 1, shape ``(n,)``.
    """
    edges = [_edges(column) for column in values.T]
    bins = np.column_stack(
        [np.searchsorted(e, column, side="left") for e, column in zip(edges, values.T, strict=True)]
    ).astype(np.int32)
    found: list[Region] = []
    everyone = np.arange(treated.size)
    _search(bins, edges, treated, score, everyone, {}, DEPTH, found)
    return sorted(found, key=lambda region: -int(region.members.sum()))


def _edges(column: np.ndarray) -> np.ndarray:
    distinct = np.unique(column)
    if distinct.size <= BINS:
        return distinct[:-1].astype(float)
    return np.unique(np.quantile(column, np.arange(1, BINS) / BINS))


def _search(
    bins: np.ndarray,
    edges: list[np.ndarray],
    treated: np.ndarray,
    score: np.ndarray,
    rows: np.ndarray,
    box: dict[int, tuple[float, float]],
    depth: int,
    found: list[Region],
) -> None:
    d, e = treated[rows], score[rows]
    if min((1 - e).sum(), e.sum()) < EXPECTED and max(d.sum(), (1 - d).sum()) < 2 * EXPECTED:
        return
    best_gain, best = 0.0, None
    best_size, hole = 0, None
    for j, cuts in enumerate(edges):
        if cuts.size == 0:
            continue
        code = bins[rows, j]
        size = cuts.size + 1
        count = np.cumsum(np.bincount(code, minlength=size))[:-1].astype(float)
        inside = np.cumsum(np.bincount(code, weights=d, minlength=size))[:-1]
        chance = np.cumsum(np.bincount(code, weights=e, minlength=size))[:-1]
        for low_side in (True, False):
            n = count if low_side else rows.size - count
            n1 = inside if low_side else d.sum() - inside
            e1 = chance if low_side else e.sum() - chance
            for everybody in (True, False):
                absent = n - n1 if everybody else n1
                expected = n - e1 if everybody else e1
                pure = (absent < 0.5) & (expected >= EXPECTED)
                if pure.any():
                    c = int(np.argmax(np.where(pure, n, 0)))
                    if n[c] > best_size:
                        best_size, hole = int(n[c]), (j, c, low_side, everybody, float(expected[c]))
        rest = rows.size - count
        valid = (count > 0) & (rest > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            gain = inside**2 / count + (d.sum() - inside) ** 2 / rest
        gain = np.where(valid, gain, -np.inf) - d.sum() ** 2 / rows.size
        c = int(np.argmax(gain))
        if gain[c] > best_gain:
            best_gain, best = float(gain[c]), (j, c)
    if hole is not None:
        j, c, low_side, everybody, expected_count = hole
        within = (bins[rows, j] <= c) == low_side
        members = np.zeros(treated.size, dtype=bool)
        members[rows[within]] = True
        limits = _tightened(box, j, float(edges[j][c]), low_side)
        bounds = tuple((column, *span) for column, span in sorted(limits.items()))
        found.append(Region(bounds, members, everybody, expected_count))
        other = _tightened(box, j, float(edges[j][c]), not low_side)
        _search(bins, edges, treated, score, rows[~within], other, depth, found)
        return
    if best is None or depth == 0:
        return
    j, c = best
    for low_side in (True, False):
        within = (bins[rows, j] <= c) == low_side
        limits = _tightened(box, j, float(edges[j][c]), low_side)
        _search(bins, edges, treated, score, rows[within], limits, depth - 1, found)


def _tightened(
    box: dict[int, tuple[float, float]], column: int, cut: float, low_side: bool
) -> dict[int, tuple[float, float]]:
    low, high = box.get(column, (-np.inf, np.inf))
    span = (low, min(high, cut)) if low_side else (max(low, cut), high)
    return {**box, column: span}
