"""Nearest-neighbour residuals along a sorted score (Abadie and Imbens 2006, eq. 14)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Gaps closer than this, relative to the largest distance, count as equal: on a grid such as
# 0.01, 0.02, ... two equal gaps differ in their last bit.
EQUAL_GAP = 1e-12


@dataclass(frozen=True)
class Matched:
    """The stretch of entries that each one and its neighbours take: ``first`` to before ``stop``.

    Both of shape ``(n,)``; they follow from the scores alone, whatever the values.
    """

    first: np.ndarray
    stop: np.ndarray


@dataclass(frozen=True)
class Neighbours:
    """Residuals of each row from its nearest neighbours.

    Parameters
    ----------
    residuals
        Shape ``(m, n)``: ``sqrt(J / (J + 1)) * (value - mean of the J neighbours)``, whose square
        is an unbiased estimate of the row's conditional variance.
    matched
        Whose values each residual takes.
    """

    residuals: np.ndarray
    matched: Matched


def match(distance: np.ndarray, matches: int = 3, count: np.ndarray | None = None) -> Matched:
    """At least ``matches`` nearest neighbours of each entry, all ties included.

    Parameters
    ----------
    distance
        Shape ``(n,)``, ascending.
    count
        Rows behind each entry, no distance standing twice; ``None`` when entries are rows.
    """
    n = distance.size
    if count is not None:
        edges = np.concatenate(([0], np.cumsum(count)))
        wanted = min(matches, int(edges[-1]) - 1)
        first, last = _nearest_groups(distance, edges[:-1], edges[1:], wanted)
        return Matched(first, last + 1)
    starts = np.flatnonzero(np.concatenate(([True], distance[1:] != distance[:-1])))
    ends = np.append(starts[1:], n)
    places = distance[starts]
    if starts.size == n and matches == 3 and n > 4:
        first, last = _nearest_three(places)
    else:
        first, last = _nearest_groups(places, starts, ends, min(matches, n - 1))
    low, high = starts[first], ends[last]
    if starts.size < n:
        sizes = ends - starts
        low, high = np.repeat(low, sizes), np.repeat(high, sizes)
    return Matched(low, high)


def match_again(
    stretch: Matched, distance: np.ndarray, matches: int, count: np.ndarray | None
) -> Matched:
    """The neighbours of entries whose stretches were found before those ahead were cut away.

    Only the first entries' stretches reach beyond the cut (``first`` is negative): these are
    matched anew among themselves and as many scores behind them as they can need.
    """
    torn = int(np.searchsorted(stretch.first, 0))
    if torn == 0:
        return stretch
    end = torn
    for _ in range(matches + 1):
        if end < distance.size:
            end = int(np.searchsorted(distance, distance[end], side="right"))
    edge = match(distance[:end], matches, None if count is None else count[:end])
    return Matched(
        np.concatenate((edge.first[:torn], stretch.first[torn:])),
        np.concatenate((edge.stop[:torn], stretch.stop[torn:])),
    )


def neighbour_residuals(
    distance: np.ndarray,
    values: np.ndarray,
    matches: int = 3,
    count: np.ndarray | None = None,
    spread: np.ndarray | None = None,
    matched: Matched | None = None,
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
    matched
        What :func:`match` finds, where it is known.
    """
    if count is not None and spread is not None:
        found = match(distance, matches, count) if matched is None else matched
        return Neighbours(_of_scores(values, count, spread, found), found)
    found = match(distance, matches) if matched is None else matched
    rows = found.stop - found.first
    others = np.maximum(rows - 1, 1)
    centred = values - values.mean(axis=1, keepdims=True)
    running = np.zeros((values.shape[0], distance.size + 1))
    np.cumsum(centred, axis=1, out=running[:, 1:])
    sums = running.take(found.stop, axis=1) - running.take(found.first, axis=1)
    residuals = np.sqrt(others / rows) * (centred - (sums - centred) / others)
    return Neighbours(residuals, found)


def _of_scores(
    values: np.ndarray, count: np.ndarray, spread: np.ndarray, found: Matched
) -> np.ndarray:
    """A row and its J neighbours are the rows of a stretch of scores, M = J + 1 in all.

    So its residual is ``sqrt(M / (M - 1)) * (value - mean of the stretch)``, and the squares of a
    score's rows add up from their mean and spread.
    """
    edges = np.concatenate(([0], np.cumsum(count)))
    rows = edges[found.stop] - edges[found.first]
    centred = values - (values @ count / edges[-1])[:, None]
    running = np.zeros((values.shape[0], count.size + 1))
    np.cumsum(centred * count, axis=1, out=running[:, 1:])
    stretch = (running[:, found.stop] - running[:, found.first]) / rows
    squares = (spread + count * (centred - stretch) ** 2) * rows / np.maximum(rows - 1, 1)
    return np.asarray(np.sqrt(squares) / count)


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
    short = ends - starts - 1 < wanted
    if wanted == 3 and count > 4:
        # Where no score stands twice among the three nearest, they are found at once.
        low, high = _nearest_three(places)
        alone = ends[high] - starts[low] == high - low + 1
        first[alone], last[alone] = low[alone], high[alone]
        short &= ~alone
    short = np.flatnonzero(short)
    while short.size:
        left = places[short] - padded[first[short]]
        right = padded[last[short] + 2] - places[short]
        first[short] -= left <= right + close
        last[short] += right <= left + close
        enough = ends[last[short]] - starts[first[short]] - 1 >= wanted
        short = short[~enough]
    return first, last
