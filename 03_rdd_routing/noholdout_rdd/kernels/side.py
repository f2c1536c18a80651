"""The rows on one side of a cutoff, nearest first."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from noholdout_rdd.kernels.neighbours import (
    Matched,
    Neighbours,
    match,
    match_again,
    neighbour_residuals,
)

Kernel = Literal["triangular", "uniform", "epanechnikov"]

MATCHES = 3


@dataclass(frozen=True)
class Side:
    """The rows on one side of the cutoff, nearest first.

    An entry is a row or, with ``count``, all rows of one score: then its value is their mean, and
    everything here is what the rows themselves would give.

    Parameters
    ----------
    distance
        Shape ``(n,)``: absolute distance to the cutoff, ascending.
    values
        Shape ``(m, n)``: the outcome, then the treatment and covariates where used.
    weights
        Sampling weights, shape ``(n,)``, or ``None``.
    clusters
        Cluster codes, shape ``(n,)``, or ``None``.
    count, spread
        Rows behind each entry, and their sum of squared deviations of ``values[0]`` from its
        mean, shape ``(n,)``; ``None`` when entries are rows. Not with several values, weights or
        clusters, and no distance stands twice.
    matched
        Neighbours found so far, by stretch of entries; sides that differ in values alone share it.
    """

    distance: np.ndarray
    values: np.ndarray
    weights: np.ndarray | None = None
    clusters: np.ndarray | None = None
    count: np.ndarray | None = None
    spread: np.ndarray | None = None
    matched: dict[tuple[bool, int, int], Matched] = field(default_factory=dict, repr=False)

    @property
    def n(self) -> int:
        """Number of entries."""
        return int(self.distance.size)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.n if self.count is None else int(self.edges[-1])

    @cached_property
    def edges(self) -> np.ndarray:
        """Rows nearer than each entry, and behind all of them, shape ``(n + 1,)``."""
        if self.count is None:
            return np.arange(self.n + 1)
        return np.concatenate(([0], np.cumsum(self.count)))

    def rows_in(self, n: int) -> int:
        """Rows behind the ``n`` nearest entries."""
        return n if self.count is None else int(self.edges[n])

    def entry_of(self, row: int) -> int:
        """The entry that holds a row, both counted from 0."""
        return row if self.count is None else int(np.searchsorted(self.edges, row, "right")) - 1

    def quantile(self, share: float) -> float:
        """The distance within which ``share`` of the rows lie, linear between two rows."""
        place = (self.rows - 1) * share
        low = int(place)
        near, far = (self.distance[self.entry_of(min(k, self.rows - 1))] for k in (low, low + 1))
        return float(near + (far - near) * (place - low))

    def each(self, n: int) -> np.ndarray:
        """Rows behind each of the ``n`` nearest entries as floats."""
        return np.ones(n) if self.count is None else self.count[:n].astype(float)

    def scatter(self, n: int) -> np.ndarray:
        """Squared deviations behind each of the ``n`` nearest entries; zeros for rows."""
        return np.zeros(n) if self.spread is None else self.spread[:n]

    def beyond(self, k: int, distance: np.ndarray | None = None) -> Side:
        """The entries from the ``k``-th on; with other distances where given."""
        found = self.neighbours.matched
        stretch = Matched(found.first[k:] - k, found.stop[k:] - k)
        return self._part(
            slice(k, None), self.distance[k:] if distance is None else distance, stretch
        )

    def mirrored(self, k: int, distance: np.ndarray) -> Side:
        """The ``k`` nearest entries, the last of them first, with their other distances."""
        found = self.neighbours.matched
        stretch = Matched((k - found.stop[:k])[::-1], (k - found.first[:k])[::-1])
        return self._part(slice(k - 1, None, -1) if k else slice(0, 0), distance, stretch)

    def _part(self, chosen: slice, distance: np.ndarray, stretch: Matched) -> Side:
        """Some of the entries; most of them keep the neighbours that they have in the whole."""

        def cut(values: np.ndarray | None) -> np.ndarray | None:
            return None if values is None else values[chosen]

        part = Side(
            distance,
            self.values[:, chosen],
            cut(self.weights),
            cut(self.clusters),
            cut(self.count),
            cut(self.spread),
        )
        summed = part.count is not None and part.spread is not None
        kept = match_again(stretch, distance, MATCHES, part.count if summed else None)
        part.matched[summed, 0, part.n] = kept
        return part

    @cached_property
    def by_score(self) -> Side:
        """All rows of one score as one entry; weights and clusters left out."""
        if self.different.size == self.n:
            return self
        code = np.cumsum(self._new_score) - 1
        y, each = self.values[0], self.each(self.n)
        count = np.bincount(code, weights=each)
        mean = np.bincount(code, weights=each * y) / count
        around = each * (y - mean[code]) ** 2 + self.scatter(self.n)
        spread = np.bincount(code, weights=around)
        return Side(self.different, mean[None], None, None, count.astype(np.int64), spread)

    @cached_property
    def _new_score(self) -> np.ndarray:
        """Where a distance differs from the one before, shape ``(n,)``."""
        first = np.empty(self.n, dtype=bool)
        first[:1] = True
        np.not_equal(self.distance[1:], self.distance[:-1], out=first[1:])
        return first

    @cached_property
    def different(self) -> np.ndarray:
        """The different distances, ascending."""
        return self.distance if self._new_score.all() else self.distance[self._new_score]

    @cached_property
    def rows_of_score(self) -> np.ndarray:
        """Rows behind each of the different distances."""
        if self.count is not None:
            return self.count
        return np.diff(np.append(np.flatnonzero(self._new_score), self.n))

    @cached_property
    def run_starts(self) -> np.ndarray:
        """Index of the first row with each row's distance, shape ``(n,)``."""
        rows = np.arange(self.n)
        if self.different.size == self.n:
            return rows
        return np.maximum.accumulate(np.where(self._new_score, rows, 0))

    @cached_property
    def run_ends(self) -> np.ndarray:
        """One past the last row with each row's distance, shape ``(n,)``."""
        if self.different.size == self.n:
            return np.arange(1, self.n + 1)
        starts = np.flatnonzero(self._new_score)
        ends = np.append(starts[1:], self.n)
        return np.repeat(ends, ends - starts)

    @cached_property
    def neighbours(self) -> Neighbours:
        """Neighbour residuals with all rows of the side at hand."""
        return self._residuals(0, self.n)

    def _residuals(self, start: int, stop: int) -> Neighbours:
        """Neighbour residuals of a stretch with only its own entries at hand."""
        place = slice(start, stop)
        count = spread = None
        if self.count is not None and self.spread is not None:
            count, spread = self.count[place], self.spread[place]
        distance, key = self.distance[place], (count is not None, start, stop)
        if key not in self.matched:
            self.matched[key] = match(distance, MATCHES, count)
        values = self.values[:, place]
        return neighbour_residuals(distance, values, MATCHES, count, spread, self.matched[key])

    def with_values(self, values: np.ndarray, spread: np.ndarray | None = None) -> Side:
        """The same entries with other values, shape ``(m, n)``, and their ``spread``."""
        return Side(
            self.distance, values, self.weights, self.clusters, self.count, spread, self.matched
        )

    def within(self, bandwidth: float, kernel: Kernel) -> int:
        """How many entries get a positive kernel weight."""
        edge: Literal["left", "right"] = "right" if kernel == "uniform" else "left"
        return int(np.searchsorted(self.distance, bandwidth, side=edge))

    def noise(self, n: int) -> np.ndarray:
        """Neighbour residuals with only the ``n`` nearest entries at hand, shape ``(m, n)``.

        Only rows near the far edge lose neighbours, so only those are matched again.
        """
        whole = self.neighbours
        if n == self.n:
            return whole.residuals
        cut = int(np.searchsorted(whole.matched.stop[:n], n, side="right"))
        if cut >= n:
            return whole.residuals[:, :n]
        start = cut
        for _ in range(MATCHES + 1):  # a row needs at most that many scores to its left
            if start == 0:
                break
            start = int(np.searchsorted(self.distance, self.distance[start - 1]))
        edge = self._residuals(start, n)
        return np.concatenate((whole.residuals[:, :cut], edge.residuals[:, cut - start :]), axis=1)
