"""Nearest neighbours on a score, ties averaged, without a neighbour-by-neighbour list.

On one dimension the matches of a row are a window of the sorted pool, so that means, counts and
covariances over matches are differences of cumulative sums: O(n log n) time, O(n) memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noholdout_propensity.kernels.designs import blocks

TIE = 1e-10  # scores closer than this are one score: rounding differs from row to row


@dataclass(frozen=True)
class Windows:
    """Matches of each query row as a window of the sorted pool.

    Parameters
    ----------
    order
        Indices that sort the pool, shape ``(m,)``.
    low, high
        Each query's window, ``order[low:high]``; empty when nothing lies within the caliper.
    """

    order: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def count(self) -> np.ndarray:
        """Matches of each query (ties included), shape ``(q,)``."""
        return self.high - self.low

    def sums(self, pool_values: np.ndarray) -> np.ndarray:
        """Sum of the pool's values ``(m,)`` over each query's matches, ``(q,)``."""
        total = np.zeros(pool_values.size + 1)
        np.cumsum(pool_values[self.order], out=total[1:])
        sums = np.empty(self.low.size)
        for rows in blocks(sums.size):
            np.subtract(total[self.high[rows]], total[self.low[rows]], out=sums[rows])
        return sums

    def spread(self, query_values: np.ndarray) -> np.ndarray:
        """Sum of the values of the queries that each pool row is a match of, ``(m,)``."""
        size = self.order.size + 1
        changes = np.zeros(size)
        for rows in blocks(self.low.size):
            values = query_values[rows]
            changes += np.bincount(self.low[rows], weights=values, minlength=size)
            changes -= np.bincount(self.high[rows], weights=values, minlength=size)
        sums = np.cumsum(changes, out=changes)[:-1]
        # A cumulative sum of additions and subtractions leaves rounding where nothing is left.
        sums[np.abs(sums) < 1e-9] = 0.0
        spread = np.empty(self.order.size)
        spread[self.order] = sums
        return spread


def nearest_windows(
    query: np.ndarray, pool: np.ndarray, ratio: int, caliper: float | None = None
) -> Windows:
    """The ``ratio`` nearest pool rows of each query, and every row tied with the last of them."""
    order = np.argsort(pool, kind="stable")
    ordered = pool[order]
    size = ordered.size
    ratio = min(ratio, size)
    kind = np.int32 if size < 2**31 else np.int64
    low, high = np.empty(query.size, dtype=kind), np.empty(query.size, dtype=kind)
    for rows in blocks(query.size):
        low[rows], high[rows] = _window(query[rows], ordered, ratio, caliper)
    return Windows(order.astype(kind), low, high)


def _window(
    query: np.ndarray, ordered: np.ndarray, ratio: int, caliper: float | None
) -> tuple[np.ndarray, np.ndarray]:
    size = ordered.size
    position = np.searchsorted(ordered, query)
    distance = np.full(query.size, np.inf)
    for back in range(ratio + 1):
        first = position - back
        valid = (first >= 0) & (first + ratio <= size)
        first = np.where(valid, first, 0)
        reach = np.maximum(query - ordered[first], ordered[first + ratio - 1] - query)
        np.minimum(distance, np.where(valid, reach, np.inf), out=distance)
    allowed = distance + TIE
    if caliper is not None:
        allowed = np.minimum(allowed, caliper + TIE)
    low = np.searchsorted(ordered, query - allowed, side="left")
    high = np.searchsorted(ordered, query + allowed, side="right")
    return low, np.maximum(high, low)
