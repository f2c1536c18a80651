"""Nearest-neighbour residuals along a sorted score (Abadie and Imbens 2006, eq. 14)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Gaps closer than this, relative to the largest distance, count as equal: on a grid such as
# 0.01, 0.02, ... two equal gaps differ in their last bit.
EQUAL_GAP = 1e-12


@dataclass(frozen=True)
class Neighbours:
    """Residuals of each row from its nearest neighbours.

    Parameters
    ----------
    residuals
        Shape ``(m, n)``: ``sqrt(J / (J + 1)) * (value - mean of the J neighbours)``, whose square
        is an unbiased estimate of the row's conditional variance.
    reach
        Shape ``(n,)``: index of the last entry that each one's neighbours include.
    """

    residuals: np.ndarray
    reach: np.ndarray


def neighbour_residuals(
    distance: np.ndarray,
    values: np.ndarray,
    matches: int = 3,
    count: np.ndarray | None = None,
    spread: np.ndarray | None = None,
) -> Neighbours:
    """Residuals from at least ``matches`` nearest neighbours, all ties included.

    Parameters
    ----------
    distance
        Shape ``(n,)``, ascending.
    values
        Shape ``(m, n)``.
    count, spread
        Rows behind each entry (a score of its own) and their sum of squared deviations from its
        mean; the residual is then the root of the rows' sum of squares, over their number.
    """
    n = distance.size
    if count is not None and spread is not None:
        return _of_scores(distance, values, matches, count, spread)
    starts = np.flatnonzero(np.concatenate(([True], distance[1:] != distance[:-1])))
    ends = np.append(starts[1:], n)
    places = distance[starts]
    if starts.size == n and matches == 3 and n > 4:
        first, last = _nearest_three(places)
    else:
        first, last = _nearest_groups(places, starts, ends, min(matches, n - 1))
    rows = ends[last] - starts[first]
    others = np.maximum(rows - 1, 1)
    centred = values - values.mean(axis=1, keepdims=True)
    running = np.concatenate((np.zeros((values.shape[0], 1)), np.cumsum(centred, axis=1)), axis=1)
    sums = running[:, ends[last]] - running[:, starts[first]]
    scale = np.sqrt(others / rows)
    reach = ends[last] - 1
    if starts.size < n:
        sizes = ends - starts
        sums, others = np.repeat(sums, sizes, axis=1), np.repeat(others, sizes)
        scale, reach = np.repeat(scale, sizes), np.repeat(reach, sizes)
    residuals = scale * (centred - (sums - centred) / others)
    return Neighbours(residuals, reach)


def _of_scores(
    distance: np.ndarray,
    values: np.ndarray,
    matches: int,
    count: np.ndarray,
    spread: np.ndarray,
) -> Neighbours:
    """A row and its J neighbours are the rows of a stretch of scores, M = J + 1 in all.

    So its residual is ``sqrt(M / (M - 1)) * (value - mean of the stretch)``, and the squares of a
    score's rows add up from their mean and spread.
    """
    edges = np.concatenate(([0], np.cumsum(count)))
    first, last = _nearest_groups(distance, edges[:-1], edges[1:], min(matches, edges[-1] - 1))
    rows = edges[last + 1] - edges[first]
    centred = values - (values @ count / edges[-1])[:, None]
    running = np.zeros((values.shape[0], distance.size + 1))
    np.cumsum(centred * count, axis=1, out=running[:, 1:])
    stretch = (running[:, last + 1] - running[:, first]) / rows
    squares = (spread + count * (centred - stretch) ** 2) * rows / np.maximum(rows - 1, 1)
    return Neighbours(np.sqrt(squares) / count, last)


def _nearest_three(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As :func:`_nearest_groups` for three matches and rows whose scores all differ.

    The k-th row to the left is among the three nearest when it is no farther than the (4-k)-th to
    the right.
    """
    n = places.size
    close = _close(places)
    gaps = [np.subtract(places[k:], places[:-k]) for k in (1, 2, 3)]
    before = np.zeros(n, dtype=np.int64)
    after = np.zeros(n, dtype=np.int64)
    for k in (1, 2, 3):
        left, right = gaps[k - 1], gaps[3 - k]
        # Rows k to n - (4 - k) - 1 have both neighbours; at the ends the missing one is infinite.
        both = slice(k, n - (4 - k))
        to_left, to_right = left[: n - 4], right[k:]
        before[both] += to_left <= to_right + close
        after[both] += to_right <= to_left + close
        before[n - (4 - k) :] += 1
        after[:k] += 1
    rows = np.arange(n)
    return rows - before, rows + after


def _close(places: np.ndarray) -> float:
    """Gaps that differ by less than this are equal."""
    return EQUAL_GAP * max(abs(float(places[0])), abs(float(places[-1])))


def _nearest_groups(
    places: np.ndarray, starts: np.ndarray, ends: np.ndarray, wanted: int
) -> tuple[np.ndarray, np.ndarray]:
    """First and last group (rows of one score) of each group's neighbourhood."""
    count = places.size
    first, last = np.arange(count), np.arange(count)
    padded = np.concatenate(([-np.inf], places, [np.inf]))
    close = _close(places)
    short = np.flatnonzero(ends - starts - 1 < wanted)
    while short.size:
        left = places[short] - padded[first[short]]
        right = padded[last[short] + 2] - places[short]
        first[short] -= left <= right + close
        last[short] += right <= left + close
        enough = ends[last[short]] - starts[first[short]] - 1 >= wanted
        short = short[~enough]
    return first, last
