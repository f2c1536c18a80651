"""Covariate balance between the arms, before and after weighting or matching."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from noholdout_propensity.kernels.designs import blocks
from noholdout_propensity.kernels.weighting import Estimand

BINS = 32
MOST_WHOLE = 4096  # whole numbers within a range of that many are counted, not sorted
HEAD = 64  # rows that most often tell already that a column isn't of a kind


@dataclass(frozen=True)
class Balance:
    """Balance of each covariate, every array of shape ``(k,)``.

    Parameters
    ----------
    smd
        Standardised mean difference: treated minus control, over ``scale``.
    variance_ratio
        Treated over control variance; ``nan`` for a 0/1 covariate, whose mean says it all.
    ks
        Largest gap between the two (weighted) distribution functions.
    ecdf
        Mean gap between them over the covariate's distinct values.
    """

    smd: np.ndarray
    variance_ratio: np.ndarray
    ks: np.ndarray
    ecdf: np.ndarray


@dataclass(frozen=True)
class Bins:
    """Covariates in at most 32 bins.

    Parameters
    ----------
    codes
        Shape ``(k, n)``: how many edges lie below the value.
    edges
        Of each covariate, shape ``(b,)``; a value equal to an edge lies below it.
    """

    codes: np.ndarray
    edges: tuple[np.ndarray, ...]


def balance(
    values: Sequence[np.ndarray],
    treated: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    estimand: Estimand,
    copies: np.ndarray | None = None,
) -> tuple[Balance, Balance, Bins]:
    """Balance under the row weights before and after, and the covariates in bins.

    The SMDs' denominators are the treated SD for ATT and otherwise the pooled SD of both arms,
    always before balancing, so that a difference can't shrink through its denominator. Each
    column is sorted (or counted) once, for both distribution functions and the bins.

    Parameters
    ----------
    values
        One covariate each, shape ``(n,)``.
    before, after
        Sampling weights, and the balancing weights times them, shape ``(n,)``.
    copies
        Rows that each entry stands for, shape ``(n,)``; ``None`` when entries are rows.
    """
    k = len(values)
    sides = [_Side.of(treated, weights, copies) for weights in (before, after)]
    found = [np.empty((4, k)) for _ in sides]
    codes = np.empty((k, treated.size), dtype=np.uint8)
    edges = []
    for j, column in enumerate(values):
        binary = is_binary(column)
        moments = _moments(column, treated, sides, binary)
        (_, variance1), (_, variance0) = moments[0]
        # A variance of nothing may round to less.
        scale = np.sqrt(max(variance1 if estimand == "att" else (variance1 + variance0) / 2, 0.0))
        gaps, codes[j], cuts = _scan(column, [side.signed for side in sides], binary, copies)
        edges.append(cuts)
        for out, (treated_side, control_side), gap in zip(found, moments, gaps, strict=True):
            out[:, j] = (*_compared(treated_side, control_side, scale, binary), *gap)
    return Balance(*found[0]), Balance(*found[1]), Bins(codes, tuple(edges))


def is_binary(column: np.ndarray) -> bool:
    """Whether a column holds only 0 and 1."""
    parts = (column[:HEAD], column)
    return all(bool(((part == 0) | (part == 1)).all()) for part in parts)


@dataclass(frozen=True)
class _Side:
    """Each row's share of its arm's weight, negative for controls.

    ``factors`` are ``S^2 / (S^2 - sum w^2)`` with S the sum of an arm's weights, n / (n - 1) for
    equal weights; treated first.
    """

    signed: np.ndarray
    factors: tuple[float, float]

    @classmethod
    def of(cls, treated: np.ndarray, weights: np.ndarray, copies: np.ndarray | None) -> _Side:
        signed = np.zeros(treated.size)
        factors = []
        for arm, sign in ((treated, 1.0), (1 - treated, -1.0)):
            own = weights * arm
            total = float(own.sum())
            square = float(own @ (own if copies is None else own / copies))
            factors.append(total**2 / (total**2 - square) if total**2 > square else np.nan)
            own *= sign / total
            signed += own
        return cls(signed, (factors[0], factors[1]))


def _compared(
    treated: tuple[float, float], control: tuple[float, float], scale: float, binary: bool
) -> tuple[float, float]:
    gap = treated[0] - control[0]
    if scale > 0:
        smd = gap / scale
    else:
        smd = 0.0 if abs(gap) < 1e-12 else np.inf * gap
    undefined = binary or not control[1] > 0
    return smd, np.nan if undefined else treated[1] / control[1]


def _moments(
    column: np.ndarray, treated: np.ndarray, sides: list[_Side], binary: bool
) -> list[list[tuple[float, float]]]:
    """Weighted mean and variance in each arm, before and after.

    A 0/1 column's variance is ``p (1 - p)``; another's is unbiased.
    """
    # From one centre near all the means, so that squares keep their digits.
    centre = 0.0 if binary else float(column.mean())
    # By side: means and mean squares of the treated, and what the controls' are below them.
    sums = np.zeros((len(sides), 2, 2))
    for rows in blocks(column.size):
        apart = column[rows] - centre
        values = apart, apart**2
        for total, side in zip(sums, sides, strict=True):
            signed = side.signed[rows]
            inside = signed * treated[rows]
            total += [[part @ value for value in values] for part in (inside, signed)]
    found: list[list[tuple[float, float]]] = []
    for (inside, gap), side in zip(sums, sides, strict=True):
        pair = []
        for (mean, square), factor in zip((inside, inside - gap), side.factors, strict=True):
            spread = float(square - mean**2)
            pair.append((centre + float(mean), spread if binary else max(spread, 0.0) * factor))
        found.append(pair)
    return found


def _scan(
    column: np.ndarray, signed: list[np.ndarray], binary: bool, copies: np.ndarray | None
) -> tuple[list[tuple[float, float]], np.ndarray, np.ndarray]:
    """Gaps of the distribution functions, bin codes and edges of one column."""
    if binary:
        gaps = [abs(float(weights @ column)) for weights in signed]
        above = column > 0
        cut = np.zeros(1) if above.any() and not above.all() else np.empty(0)
        return [(gap, gap) for gap in gaps], above.astype(np.uint8), cut
    whole = _whole_numbers(column)
    if whole is not None:
        return _scan_whole(whole, float(column.min()), signed, copies)
    order = np.argsort(column)
    ordered = column[order]
    last = np.append(ordered[1:] != ordered[:-1], True)
    distinct = int(last.sum())
    places = None if distinct == last.size else np.flatnonzero(last)
    if distinct <= BINS:
        edges = ordered[last][:-1]
    elif copies is None:
        edges = _quantiles(ordered)
    else:
        edges = _quantiles(_Repeated(ordered[last], np.rint(np.cumsum(copies[order])[last])))
    ends = np.concatenate([[0], np.searchsorted(ordered, edges, side="right"), [column.size]])
    codes = np.empty(column.size, dtype=np.uint8)
    codes[order] = np.repeat(np.arange(edges.size + 1, dtype=np.uint8), np.diff(ends))
    del ordered, last
    return [distribution_gap(weights[order], places) for weights in signed], codes, edges


def _whole_numbers(column: np.ndarray) -> np.ndarray | None:
    """The values as whole numbers from 0, where few are possible; ``None`` otherwise."""
    if not (column[:HEAD] == np.rint(column[:HEAD])).all():
        return None
    low = float(column.min())
    if float(column.max()) - low >= MOST_WHOLE or not (column == np.rint(column)).all():
        return None
    return (column - low).astype(np.int64)


def _scan_whole(
    whole: np.ndarray, lowest: float, signed: list[np.ndarray], copies: np.ndarray | None
) -> tuple[list[tuple[float, float]], np.ndarray, np.ndarray]:
    """``_scan`` of whole numbers from 0: sums by value take the place of a sort."""
    counts = np.bincount(whole, weights=copies)
    present = np.flatnonzero(counts)
    found = [
        distribution_gap(np.bincount(whole, weights=weights)[present], None) for weights in signed
    ]
    values = lowest + present
    if present.size <= BINS:
        edges = values[:-1]
    else:
        edges = _quantiles(_Repeated(values, np.rint(np.cumsum(counts[present]))))
    code = np.zeros(counts.size, dtype=np.uint8)
    code[present] = np.searchsorted(edges, values, side="left")
    return found, code[whole], edges


@dataclass(frozen=True)
class _Repeated:
    """Sorted values, each up to its cumulated count, as if written out."""

    values: np.ndarray
    ends: np.ndarray

    @property
    def size(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, places: np.ndarray) -> np.ndarray:
        return np.asarray(self.values[np.searchsorted(self.ends, places, side="right")])


def distribution_gap(signed: np.ndarray, last: np.ndarray | None) -> tuple[float, float]:
    """Largest and mean gap between the arms' weighted distribution functions.

    Parameters
    ----------
    signed
        Each row's share of its arm's weight, negative for controls, in the column's order;
        overwritten.
    last
        Places of the last row with each value; ``None`` where all values differ.
    """
    gaps = np.cumsum(signed, out=signed)
    if last is not None:
        gaps = gaps[last]
    np.abs(gaps, out=gaps)
    return float(gaps.max()), float(gaps.mean())


def _quantiles(ordered: np.ndarray | _Repeated) -> np.ndarray:
    """Edges of equally full bins, interpolated between the two nearest rows."""
    place = (ordered.size - 1) * np.arange(1, BINS) / BINS
    low = np.floor(place).astype(np.int64)
    step = ordered[np.minimum(low + 1, ordered.size - 1)] - ordered[low]
    return np.unique(ordered[low] + (place - low) * step)


def effective_size(weights: np.ndarray, copies: np.ndarray | float = 1.0) -> float:
    """Kish's effective sample size ``(sum w)^2 / sum w^2``.

    ``copies``: rows that share each weight.
    """
    square = float(weights @ (weights / copies))
    return float(weights.sum()) ** 2 / square if square > 0 else 0.0
