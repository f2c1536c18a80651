"""On which side of the cutoff each row lies, and which rows count."""

from __future__ import annotations

import math
from decimal import Decimal
from numbers import Real
from typing import Any, Literal

import numpy as np
import pandas as pd
from noholdout_shared.errors import DataError, DesignError

TreatedSide = Literal["above", "below"]
MixedBin = Literal["keep", "drop"]

MIXED_ROWS, MIXED_SHARE = 10, 0.1  # a score that mixes both arms has at least so many and much
LEAST_ROWS = 10  # rows on each side below which no local fit makes sense
FARTHEST = 1e20  # distance from the cutoff whose powers, or those of its inverse, are numbers yet


def as_stored(cutoff: float, scores: pd.Series) -> float:
    """The cutoff in the precision of the scores: 0.7 as 32 bits is less than the number 0.7."""
    kind = scores.dtype
    if isinstance(kind, np.dtype) and kind.kind == "f" and kind.itemsize < 8:
        return float(kind.type(cutoff))
    return float(cutoff)


def check_cutoff(cutoff: Any) -> None:
    """Raise a DataError unless the cutoff is a finite number."""
    number = isinstance(cutoff, (Real, Decimal)) and not isinstance(cutoff, bool)
    if not number or not math.isfinite(cutoff):
        raise DataError(
            f"The cutoff is {cutoff!r}.",
            "It must be a finite number on the scale of the running variable.",
            "Give the value at which the rule switches, such as 0.85.",
        )


def check_sides(
    score: np.ndarray, cutoff: float, running: str, copies: np.ndarray | None = None
) -> None:
    """Raise a DesignError when a side has too few rows; ``copies`` are rows behind each entry."""
    each = np.ones(score.size, dtype=np.int64) if copies is None else copies
    below = int(each[score < cutoff].sum())
    above = int(each.sum()) - below
    if score.size == 0:
        raise DesignError(
            "No row lies outside the donut.", "Nothing is left to fit.", "Narrow --donut."
        )
    if min(below, above) == 0:
        word = "below" if below == 0 else "at or above"
        raise DesignError(
            f"No row lies {word} the cutoff {cutoff:g}: {running!r} runs from "
            f"{score.min():g} to {score.max():g}.",
            "The comparison is between rows just below and just above the cutoff.",
            "Check the cutoff and its scale (0.85 or 85?).",
        )
    if min(below, above) < LEAST_ROWS:
        raise DesignError(
            f"Only {min(below, above)} rows lie on one side of the cutoff {cutoff:g} "
            f"({below:,} below, {above:,} at or above).",
            f"A local fit needs at least {LEAST_ROWS} rows on each side.",
            "Collect more rows on that side.",
        )


def check_reach(distances: list[np.ndarray], running: str) -> None:
    """Raise a DataError for scores so far from the cutoff, or so near, that powers overflow."""
    reach = max(float(distance[-1]) for distance in distances)
    if not 1 / FARTHEST < reach < FARTHEST:
        raise DataError(
            f"The scores in {running!r} lie at most {reach:g} from the cutoff.",
            "The powers of such distances don't fit into a number.",
            "Write the score and the cutoff in another unit.",
        )


def rows_kept(
    score: np.ndarray,
    cutoff: float,
    sampling: np.ndarray | None,
    donut: float | None,
    each: np.ndarray,
) -> tuple[np.ndarray, dict[str, Any]]:
    """Entries with a positive weight outside the donut, and how many rows were left out."""
    kept = np.ones(score.size, dtype=bool)
    left_out: dict[str, Any] = {}
    if sampling is not None:
        kept &= sampling > 0
        left_out["rows_with_weight_zero"] = int((~kept).sum())
    if donut is not None:
        outside = _outside(score, cutoff, donut)
        left_out |= {"donut": donut, "rows_left_out_by_donut": int(each[kept & ~outside].sum())}
        kept &= outside
    return kept, left_out


def _outside(score: np.ndarray, cutoff: float, donut: float | None) -> np.ndarray:
    """Which rows lie outside the donut."""
    if donut is None:
        return np.ones(score.size, dtype=bool)
    if not (isinstance(donut, Real) and 0 < donut < np.inf):
        raise DataError(
            f"donut is {donut!r}.",
            "It is the distance from the cutoff within which rows are left out.",
            "Give a positive number on the scale of the running variable, such as 0.005.",
        )
    # A score of 0.84 lies 0.01 from 0.85 although its floating-point distance is a bit more.
    return np.abs(score - cutoff) > donut * (1 + 1e-9)


def rows_of_mixed_bin(
    score: np.ndarray,
    received: np.ndarray | None,
    cutoff: float,
    treated_side: TreatedSide,
    each: np.ndarray,
) -> np.ndarray:
    """Rows of the score next to the cutoff that alone mixes both arms, as after rounding.

    Without a treatment column: the rows exactly at the cutoff. With one: the nearest score on
    either side, if the rule is broken there by at least a tenth of its rows, and four times as
    often as elsewhere.
    """
    if received is None:
        return score == cutoff
    above = score >= cutoff
    broken = received != (above == (treated_side == "above"))
    best = np.zeros(score.size, dtype=bool)
    most = MIXED_SHARE
    for side in (above, ~above):
        nearest = score[side].min() if side is above else score[side].max()
        candidate = score == nearest
        rows = float(each[candidate].sum())
        share = float(each[candidate & broken].sum()) / rows
        if rows >= MIXED_ROWS and share >= most and not candidate.all():
            elsewhere = float(each[~candidate & broken].sum() / each[~candidate].sum())
            if elsewhere < share / 4:
                best, most = candidate, share
    return best


def require_variation(outcome: np.ndarray, column: str) -> None:
    """Raise a DataError when the outcome is the same in all rows that are left."""
    if np.ptp(outcome) == 0:
        raise DataError(
            f"Outcome column {column!r} is {outcome[0]:g} in all {outcome.size:,} rows that count.",
            "Rows of weight zero, in the donut or in the mixed bin don't.",
            "Check the weights, or narrow --donut.",
        )


def nearest_first(
    score: np.ndarray, cutoff: float, kept: np.ndarray
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The kept rows below and above the cutoff, nearest first, and their distances."""
    rows = np.arange(score.size) if kept.all() else np.flatnonzero(kept)
    chosen = score[rows] if rows.size < score.size else score
    order = np.argsort(chosen)
    chosen = chosen[order]
    order = order if rows.size == score.size else rows[order]
    k = int(np.searchsorted(chosen, cutoff))
    orders = [order[:k][::-1], order[k:]]
    return orders, [cutoff - chosen[:k][::-1], chosen[k:] - cutoff]
