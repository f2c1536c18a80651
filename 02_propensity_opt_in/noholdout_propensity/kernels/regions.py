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
class _Histogram:
    """By column and bin: rows that opted in, all rows, and the chances of all rows; ``(k, b)``."""

    inside: np.ndarray
    count: np.ndarray
    chance: np.ndarray

    def __sub__(self, other: _Histogram) -> _Histogram:
        return _Histogram(
            self.inside - other.inside, self.count - other.count, self.chance - other.chance
        )


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

    def histogram(self, rows: np.ndarray) -> _Histogram:
        """Sums by column and bin over some rows."""
        size = self.is_cut.shape[1] + 1
        chance = self.score.take(rows)
        each = None if self.copies is None else self.copies.take(rows)
        if each is not None:
            chance = each * chance
        whole = rows.size == self.score.size
        shape = (len(self.edges), size, 2)
        counts, chances = np.empty(shape), np.empty(shape)
        for j, codes in enumerate(self.codes):
            code = (codes if whole else codes.take(rows)).astype(np.intp)
            counts[j].flat = np.bincount(code, weights=each, minlength=2 * size)
            chances[j].flat = np.bincount(code, weights=chance, minlength=2 * size)
        return _Histogram(counts[:, :, 1], counts.sum(axis=2), chances.sum(axis=2))

    def split(self, rows: np.ndarray, sums: _Histogram, box: Box, depth: int) -> None:
        """Look for a box where an arm is empty; cut it off, or halve the rows and look on."""
        n, inside_all = float(sums.count[0].sum()), float(sums.inside[0].sum())
        chance_all = float(sums.chance[0].sum())
        if (
            min(n - chance_all, chance_all) < EXPECTED
            and max(inside_all, n - inside_all) < 2 * EXPECTED
        ):
            return
        # Rows, adopters and expected adopters at or below each cut.
        inside, count, chance = (
            np.cumsum(part, axis=1)[:, :-1] for part in (sums.inside, sums.count, sums.chance)
        )
        hole = self._hole(n, inside_all, chance_all, inside, count, chance)
        if hole is not None:
            j, c, low_side, everybody, expected = hole
            low, high = self._parted(rows, j, c)
            ours, rest = (low, high) if low_side else (high, low)
            self._keep(ours, _tightened(box, j, self._cut(j, c), low_side), everybody, expected)
            other = _tightened(box, j, self._cut(j, c), not low_side)
            self.split(rest, sums - self.histogram(ours), other, depth)
            return
        if depth == 0:
            return
        remaining = n - count
        with np.errstate(divide="ignore", invalid="ignore"):
            gain = inside**2 / count + (inside_all - inside) ** 2 / remaining
        valid = self.is_cut & (count > 0) & (remaining > 0)
        gain = np.where(valid, gain, -np.inf) - inside_all**2 / n
        j, c = divmod(int(np.argmax(gain)), gain.shape[1])
        if not gain[j, c] > 0:
            return
        low, high = self._parted(rows, j, c)
        # The larger half's sums are what the smaller one leaves.
        if low.size <= high.size:
            low_sums = self.histogram(low)
            high_sums = sums - low_sums
        else:
            high_sums = self.histogram(high)
            low_sums = sums - high_sums
        cut = self._cut(j, c)
        self.split(low, low_sums, _tightened(box, j, cut, low_side=True), depth - 1)
        self.split(high, high_sums, _tightened(box, j, cut, low_side=False), depth - 1)

    def _hole(
        self,
        n: float,
        inside_all: float,
        chance_all: float,
        inside: np.ndarray,
        count: np.ndarray,
        chance: np.ndarray,
    ) -> tuple[int, int, bool, bool, float] | None:
        """The largest side of a cut where all made one choice: column, cut, low side, all in."""
        rows = np.stack([count, n - count], axis=1)
        adopters = np.stack([inside, inside_all - inside], axis=1)
        chances = np.stack([chance, chance_all - chance], axis=1)
        # By column, side (low, high), kind (everybody in, nobody in), cut.
        absent = np.stack([rows - adopters, adopters], axis=2)
        expected = np.stack([rows - chances, chances], axis=2)
        pure = (absent < 0.5) & (expected >= EXPECTED) & self.is_cut[:, None, None, :]
        if not pure.any():
            return None
        size = np.where(pure, rows[:, :, None, :], -1.0)
        j, side, kind, c = np.unravel_index(int(np.argmax(size)), size.shape)
        return int(j), int(c), side == 0, kind == 0, float(expected[j, side, kind, c])

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
