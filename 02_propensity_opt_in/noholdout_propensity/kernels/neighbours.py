"""Matches of each row: on a score or in several dimensions, with or without replacement."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from noholdout_propensity.kernels.nearest import nearest_windows

TIE = 1e-9  # Mahalanobis distances closer than this are one distance
SAME = 1e-10  # scores closer than this are one score
FETCH = 8  # neighbours asked for at once when some are taken already


@dataclass(frozen=True)
class Matches:
    """Who serves whom.

    Parameters
    ----------
    found
        Whether a target row has a match, shape ``(q,)``.
    imputed
        The mean of its matches' outcomes, ``nan`` without one, shape ``(q,)``.
    share, share_squared
        Of each pool row: the sum over the rows that it serves of its share in their matches, and
        of that share squared, shape ``(m,)``.
    partner
        Without replacement, one pool row a target row and round, -1 for none, ``(q, rounds)``.
    """

    found: np.ndarray
    imputed: np.ndarray
    share: np.ndarray
    share_squared: np.ndarray
    partner: np.ndarray | None = None


def on_score(
    query: np.ndarray, pool: np.ndarray, outcome: np.ndarray, ratio: int, caliper: float | None
) -> Matches:
    """With replacement on one dimension, ties averaged. ``outcome`` belongs to the pool."""
    windows = nearest_windows(query, pool, ratio, caliper)
    count = windows.count
    found = count > 0
    imputed = windows.sums(outcome)
    part = found / np.maximum(count, 1)
    imputed *= part
    imputed[~found] = np.nan
    share = windows.spread(part)
    part *= part
    return Matches(found, imputed, share, windows.spread(part))


def in_space(
    query: np.ndarray, pool: np.ndarray, outcome: np.ndarray, ratio: int, caliper: float | None
) -> Matches:
    """With replacement in several dimensions (already whitened), ties averaged."""
    places = Places(pool, outcome)
    row, place = places.reach(query, min(ratio, pool.shape[0]), caliper)
    total = np.bincount(row, weights=places.count[place], minlength=query.shape[0])
    found = total > 0
    size = np.maximum(total, 1)
    sums = np.bincount(row, weights=places.sums[place], minlength=query.shape[0])
    imputed = np.where(found, sums / size, np.nan)
    points = places.count.size
    share = np.bincount(place, weights=1 / size[row], minlength=points)
    share_squared = np.bincount(place, weights=1 / size[row] ** 2, minlength=points)
    return Matches(found, imputed, share[places.inverse], share_squared[places.inverse])


class Places:
    """The pool's distinct points with their counts and outcome sums.

    Rows at one place are one point of the tree, so that ties cost nothing.
    """

    def __init__(self, pool: np.ndarray, outcome: np.ndarray) -> None:
        points, inverse, count = np.unique(pool, axis=0, return_inverse=True, return_counts=True)
        self.inverse = inverse.ravel()
        self.count = count
        self.sums = np.bincount(self.inverse, weights=outcome, minlength=count.size)
        self.squares = np.bincount(self.inverse, weights=outcome**2, minlength=count.size)
        self.points = points
        self.tree = cKDTree(points)

    def reach(
        self, query: np.ndarray, ratio: int, caliper: float | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Each query's places with its nearest rows and those tied with them, as pairs.

        The first array names the query, the second the place.
        """
        asked = min(ratio + 1, self.count.size)
        distance, index = self.tree.query(query, k=asked)
        distance = np.asarray(distance).reshape(query.shape[0], asked)
        index = np.asarray(index).reshape(query.shape[0], asked)
        enough = np.argmax(np.cumsum(self.count[index], axis=1) >= ratio, axis=1)
        radius = distance[np.arange(query.shape[0]), enough] + TIE
        if caliper is not None:
            radius = np.minimum(radius, caliper + TIE)
        inside = distance <= radius[:, None]
        # When even the last place fetched is inside, more may be tied with it.
        open_end = inside[:, -1] & (asked < self.count.size)
        inside[open_end] = False
        row, column = np.nonzero(inside)
        rows, places = [row], [index[row, column]]
        for i in np.flatnonzero(open_end):
            chosen = np.array(self.tree.query_ball_point(query[i], radius[i]), dtype=np.int64)
            rows.append(np.full(chosen.size, i))
            places.append(chosen)
        return np.concatenate(rows), np.concatenate(places)


def local_variance(points: np.ndarray, outcome: np.ndarray, neighbours: int) -> np.ndarray:
    """Variance of the outcome among each row's nearest rows, itself included, shape ``(n,)``."""
    places = Places(points, outcome)
    # Rows at one place have one neighbourhood.
    row, place = places.reach(places.points, min(neighbours, points.shape[0]), None)
    size, total, square = (
        np.bincount(row, weights=values[place], minlength=places.count.size)
        for values in (places.count, places.sums, places.squares)
    )
    variance = np.maximum(square / size - (total / size) ** 2, 0.0) * size / np.maximum(size - 1, 1)
    return np.asarray(variance[places.inverse])


def local_mean(
    query: np.ndarray, pool: np.ndarray, outcome: np.ndarray, neighbours: int
) -> np.ndarray:
    """Mean outcome among each query's nearest pool rows, shape ``(q,)``."""
    return in_space(query, pool, outcome, neighbours, None).imputed


def taken_on_score(
    query: np.ndarray, pool: np.ndarray, outcome: np.ndarray, ratio: int, caliper: float | None
) -> Matches:
    """Without replacement on a score: highest score first, ties to the earlier row of the data.

    Each round gives every target row one more of the nearest free pool rows.
    """
    order = np.argsort(pool, kind="stable")
    ordered = pool[order]
    size = ordered.size
    right = list(range(size + 1))  # next free place at or after; size is none
    left = list(range(-1, size))  # left[i + 1]: next free place at or before i; -1 is none
    turn = np.argsort(-query, kind="stable").tolist()
    start, targets = np.searchsorted(ordered, query).tolist(), query.tolist()
    reach = np.inf if caliper is None else caliper
    partner = np.full((query.size, ratio), -1, dtype=np.int64)
    values = ordered.tolist()
    for round_ in range(ratio):
        for i in turn:
            target = targets[i]
            up = _find(right, start[i])
            down = _find_back(left, start[i] - 1)
            if up == size and down < 0:
                break  # nobody is free any more
            gap_up = values[up] - target if up < size else np.inf
            gap_down = target - values[down] if down >= 0 else np.inf
            if min(gap_up, gap_down) > reach + SAME:
                continue
            place = up
            if gap_down <= gap_up + SAME:
                # Among equal scores below, the first row of the data that is free.
                lowest = _find(right, bisect_left(values, values[down]))
                if gap_down < gap_up - SAME or order[lowest] < order[up]:
                    place = lowest
            partner[i, round_] = order[place]
            right[place] = place + 1
            left[place + 1] = place - 1
    return _paired(partner, outcome, pool.shape[0])


def _find(parent: list[int], place: int) -> int:
    root = place
    while parent[root] != root:
        root = parent[root]
    while parent[place] != root:
        parent[place], place = root, parent[place]
    return root


def _find_back(parent: list[int], place: int) -> int:
    root = place
    while root >= 0 and parent[root + 1] != root:
        root = parent[root + 1]
    while place > root and parent[place + 1] != root:
        parent[place + 1], place = root, parent[place + 1]
    return root


def taken_in_space(
    query: np.ndarray,
    pool: np.ndarray,
    outcome: np.ndarray,
    ratio: int,
    caliper: float | None,
    priority: np.ndarray,
) -> Matches:
    """Without replacement in several dimensions: highest priority first, ties to the earlier row.

    Parameters
    ----------
    priority
        Target rows choose in falling order of it (the score), shape ``(q,)``.
    """
    tree = cKDTree(pool)
    size = pool.shape[0]
    free = np.ones(size, dtype=bool)
    turn = np.argsort(-priority, kind="stable")
    reach = np.inf if caliper is None else caliper + TIE
    asked = np.full(query.shape[0], min(FETCH, size))
    distances, indices = tree.query(query, k=int(asked[0]))
    distances = np.asarray(distances).reshape(query.shape[0], -1)
    indices = np.asarray(indices).reshape(query.shape[0], -1)
    partner = np.full((query.shape[0], ratio), -1, dtype=np.int64)
    for round_ in range(ratio):
        for i in turn.tolist():
            distance, index = distances[i], indices[i]
            open_ = free[index] & (distance <= reach)
            # Fetch on while no free row is known, or further ones may be tied with the nearest.
            while index.size < size and distance[-1] <= reach:
                if open_.any() and distance[open_].min() < distance[-1] - TIE:
                    break
                distance, index = tree.query(query[i], k=min(4 * index.size, size))
                open_ = free[index] & (distance <= reach)
            if not open_.any():
                continue
            nearest = distance[open_].min()
            place = int(index[open_ & (distance <= nearest + TIE)].min())
            partner[i, round_] = place
            free[place] = False
    return _paired(partner, outcome, size)


def _paired(partner: np.ndarray, outcome: np.ndarray, size: int) -> Matches:
    count = (partner >= 0).sum(axis=1)
    found = count > 0
    values = np.where(partner >= 0, outcome[np.maximum(partner, 0)], 0.0)
    imputed = np.where(found, values.sum(axis=1) / np.maximum(count, 1), np.nan)
    share, share_squared = np.zeros(size), np.zeros(size)
    rows, rounds = np.nonzero(partner >= 0)
    np.add.at(share, partner[rows, rounds], 1 / count[rows])
    np.add.at(share_squared, partner[rows, rounds], 1 / count[rows] ** 2)
    return Matches(found, imputed, share, share_squared, partner)
