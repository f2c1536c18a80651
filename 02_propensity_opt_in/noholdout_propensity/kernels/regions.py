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


def empty_regions(
    bins: Bins, treated: np.ndarray, score: np.ndarray, copies: np.ndarray | None = None
) -> list[Region]:
    """Disjoint boxes with an empty arm, largest first.

    Parameters
    ----------
    bins
        Covariates in bins.
    treated, score
        0/1, and the fitted chance of 1, shape ``(n,)``.
    copies
        Rows that each entry stands for, shape ``(n,)``; ``None`` when entries are rows.
    """
    search = _Search.of(bins, treated, score, copies)
    everyone = np.arange(treated.size, dtype=np.int32)
    search.split(everyone, search.histogram(everyone), {}, DEPTH)
    each = np.ones(treated.size) if copies is None else copies
    return sorted(search.found, key=lambda region: -round(float(each @ region.members)))


Box = dict[int, tuple[float, float]]


@dataclass(frozen=True)
class _Search:
    """What a search looks at, and the boxes that it found.

    Parameters
    ----------
    codes
        Twice the bin, and one more for a treated row; shape ``(k, n)``.
    edges, is_cut
        Of each covariate; and which bins are followed by one, shape ``(k, b - 1)``.
    """

    codes: np.ndarray
    edges: tuple[np.ndarray, ...]
    is_cut: np.ndarray
    score: np.ndarray
    found: list[Region]
    copies: np.ndarray | None

    @classmethod
    def of(
        cls, bins: Bins, treated: np.ndarray, score: np.ndarray, copies: np.ndarray | None
    ) -> _Search:
        cuts = np.array([edges.size for edges in bins.edges])
        widest = max(int(cuts.max()), 1)
        is_cut = np.arange(widest) < cuts[:, None]
        return cls(2 * bins.codes + treated.astype(np.uint8), bins.edges, is_cut, score, [], copies)

    def histogram(self, rows: np.ndarray) -> np.ndarray:
        """Adopters, rows and chances of opting in by column and bin, shape ``(3, k, b)``."""
        size = self.is_cut.shape[1] + 1
        chance = self.score.take(rows)
        each = None if self.copies is None else self.copies.take(rows)
        if each is not None:
            chance = each * chance
        whole = rows.size == self.score.size
        sums = np.empty((3, len(self.edges), size))
        for j, codes in enumerate(self.codes):
            code = (codes if whole else codes.take(rows)).astype(np.intp)
            counts = np.bincount(code, weights=each, minlength=2 * size)
            chances = np.bincount(code, weights=chance, minlength=2 * size)
            sums[0, j] = counts[1::2]
            np.add(counts[::2], counts[1::2], out=sums[1, j])
            np.add(chances[::2], chances[1::2], out=sums[2, j])
        return sums

    def split(self, rows: np.ndarray, sums: np.ndarray, box: Box, depth: int) -> None:
        """Look for a box where an arm is empty; cut it off, or halve the rows and look on."""
        totals = sums[:, 0].sum(axis=1)
        inside_all, n, chance_all = totals.tolist()
        if (
            min(n - chance_all, chance_all) < EXPECTED
            and max(inside_all, n - inside_all) < 2 * EXPECTED
        ):
            return
        # Adopters, rows and expected adopters at or below each cut, and above it.
        low = sums.cumsum(axis=2)[:, :, :-1]
        high = totals[:, None, None] - low
        hole = self._hole(low, high)
        if hole is not None:
            j, c, low_side, everybody, expected = hole
            below, above = self._parted(rows, j, c)
            ours, rest = (below, above) if low_side else (above, below)
            self._keep(ours, _tightened(box, j, self._cut(j, c), low_side), everybody, expected)
            other = _tightened(box, j, self._cut(j, c), not low_side)
            self.split(rest, sums - self.histogram(ours), other, depth)
            return
        if depth == 0:
            return
        valid = self.is_cut & (low[1] > 0) & (high[1] > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            gain = low[0] ** 2 / low[1] + high[0] ** 2 / high[1]
        gain = np.where(valid, gain, -np.inf) - inside_all**2 / n
        j, c = divmod(int(gain.argmax()), gain.shape[1])
        if not gain[j, c] > 0:
            return
        below, above = self._parted(rows, j, c)
        # The larger half's sums are what the smaller one leaves.
        if below.size <= above.size:
            below_sums = self.histogram(below)
            above_sums = sums - below_sums
        else:
            above_sums = self.histogram(above)
            below_sums = sums - above_sums
        cut = self._cut(j, c)
        self.split(below, below_sums, _tightened(box, j, cut, low_side=True), depth - 1)
        self.split(above, above_sums, _tightened(box, j, cut, low_side=False), depth - 1)

    def _hole(self, low: np.ndarray, high: np.ndarray) -> tuple[int, int, bool, bool, float] | None:
        """The largest side of a cut where all made one choice: column, cut, low side, all in."""
        # By side (low, high), kind (everybody in, nobody in), column, cut.
        pure = np.empty((2, 2, *self.is_cut.shape), dtype=bool)
        for found, (adopters, rows, chances) in zip(pure, (low, high), strict=True):
            np.logical_and(rows - adopters < 0.5, rows - chances >= EXPECTED, out=found[0])
            np.logical_and(adopters < 0.5, chances >= EXPECTED, out=found[1])
        pure &= self.is_cut
        if not pure.any():
            return None
        sides = np.stack([low, high])
        size = np.where(pure, sides[:, None, 1], -1.0).transpose(2, 0, 1, 3)
        j, side, kind, c = np.unravel_index(int(np.argmax(size)), size.shape)
        _, rows, chances = sides[side, :, j, c].tolist()
        return int(j), int(c), side == 0, kind == 0, rows - chances if kind == 0 else chances

    def _parted(self, rows: np.ndarray, j: int, c: int) -> tuple[np.ndarray, np.ndarray]:
        below = (self.codes[j].take(rows) >> 1) <= c
        return rows.take(np.flatnonzero(below)), rows.take(np.flatnonzero(~below))

    def _cut(self, j: int, c: int) -> float:
        return float(self.edges[j][c])

    def _keep(self, rows: np.ndarray, limits: Box, everybody: bool, expected: float) -> None:
        members = np.zeros(self.score.size, dtype=bool)
        members[rows] = True
        bounds = tuple((column, *span) for column, span in sorted(limits.items()))
        self.found.append(Region(bounds, members, everybody, expected))


def _tightened(box: Box, column: int, cut: float, low_side: bool) -> Box:
    low, high = box.get(column, (-np.inf, np.inf))
    span = (low, min(high, cut)) if low_side else (max(low, cut), high)
    return {**box, column: span}
