"""Boxes of the covariates in which one arm has nobody, though the score says it should.

A smooth score hides a hole: it interpolates a chance of opting in where in truth there was none.
A shallow tree looks for boxes where everybody made the same choice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noholdout_propensity.kernels.balance import Bins

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


def empty_regions(bins: Bins, treated: np.ndarray, score: np.ndarray) -> list[Region]:
    """Disjoint boxes with an empty arm, largest first.

    Parameters
    ----------
    bins
        Covariates in bins.
    treated, score
        0/1, and the fitted chance of 1, shape ``(n,)``.
    """
    found: list[Region] = []
    # Bin and arm in one code: controls in even places, treated rows in odd ones.
    coded = Bins(2 * bins.codes + treated.astype(np.uint8), bins.edges)
    everyone = np.arange(treated.size, dtype=np.int32)
    _search(coded, score, everyone, {}, DEPTH, found)
    return sorted(found, key=lambda region: -int(region.members.sum()))


@dataclass(frozen=True)
class _Hole:
    rows: int
    column: int
    cut: int
    low_side: bool
    everybody: bool
    expected: float


def _search(
    bins: Bins,
    score: np.ndarray,
    rows: np.ndarray,
    box: dict[int, tuple[float, float]],
    depth: int,
    found: list[Region],
) -> None:
    e = score[rows]
    n, inside_all = float(rows.size), float((bins.codes[0, rows] & 1).sum())
    chance_all = float(e.sum())
    if (
        min(n - chance_all, chance_all) < EXPECTED
        and max(inside_all, n - inside_all) < 2 * EXPECTED
    ):
        return
    best_gain, best = 0.0, None
    hole: _Hole | None = None
    for j, cuts in enumerate(bins.edges):
        if cuts.size == 0:
            continue
        code = bins.codes[j, rows].astype(np.intp)
        size = cuts.size + 1
        pairs = np.bincount(code, minlength=2 * size).reshape(size, 2)
        inside = np.cumsum(pairs[:, 1])[:-1].astype(float)
        count = inside + np.cumsum(pairs[:, 0])[:-1]
        expected_in = np.bincount(code, weights=e, minlength=2 * size).reshape(size, 2)
        chance = np.cumsum(expected_in.sum(axis=1))[:-1]
        rest = n - count
        for low_side, (m, m1, e1) in (
            (True, (count, inside, chance)),
            (False, (rest, inside_all - inside, chance_all - chance)),
        ):
            for everybody, absent, expected in (
                (True, m - m1, m - e1),
                (False, m1, e1),
            ):
                pure = (absent < 0.5) & (expected >= EXPECTED)
                if pure.any():
                    c = int(np.argmax(np.where(pure, m, 0)))
                    if hole is None or m[c] > hole.rows:
                        hole = _Hole(int(m[c]), j, c, low_side, everybody, float(expected[c]))
        valid = (count > 0) & (rest > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            gain = inside**2 / count + (inside_all - inside) ** 2 / rest
        gain = np.where(valid, gain, -np.inf) - inside_all**2 / n
        c = int(np.argmax(gain))
        if gain[c] > best_gain:
            best_gain, best = float(gain[c]), (j, c)
    if hole is not None:
        j, c, low_side = hole.column, hole.cut, hole.low_side
        within = ((bins.codes[j, rows] >> 1) <= c) == low_side
        members = np.zeros(score.size, dtype=bool)
        members[rows[within]] = True
        limits = _tightened(box, j, float(bins.edges[j][c]), low_side)
        bounds = tuple((column, *span) for column, span in sorted(limits.items()))
        found.append(Region(bounds, members, hole.everybody, hole.expected))
        other = _tightened(box, j, float(bins.edges[j][c]), not low_side)
        _search(bins, score, rows[~within], other, depth, found)
        return
    if best is None or depth == 0:
        return
    j, c = best
    for low_side in (True, False):
        within = ((bins.codes[j, rows] >> 1) <= c) == low_side
        limits = _tightened(box, j, float(bins.edges[j][c]), low_side)
        _search(bins, score, rows[within], limits, depth - 1, found)


def _tightened(
    box: dict[int, tuple[float, float]], column: int, cut: float, low_side: bool
) -> dict[int, tuple[float, float]]:
    low, high = box.get(column, (-np.inf, np.inf))
    span = (low, min(high, cut)) if low_side else (max(low, cut), high)
    return {**box, column: span}
