"""Rows without a counterpart: trimming leaves them out, clipping bounds their weights; counted."""

from __future__ import annotations

import numbers
from typing import Any, Literal

import numpy as np
from noholdout_shared.arguments import check_choice
from noholdout_shared.errors import DataError, DesignError

from noholdout_propensity.kernels.trimming import (
    DEFAULT_PERCENTILE,
    crump_bounds,
    percentile_bounds,
)
from noholdout_propensity.problem import Problem

ROUNDING = 1e-12

Trim = Literal["crump", "percentile"]


def trimmed(
    problem: Problem, score: np.ndarray | None, trim: Trim | None, trim_at: float | None
) -> tuple[np.ndarray | None, dict[str, Any]]:
    """The rows kept (``None`` for all) and what to say about it.

    The score (``None`` where none exists) isn't fitted again on the rows kept, and the bounds are
    taken as fixed. A score of 0 or 1 to the last digit is never kept.

    Raises
    ------
    DataError
        ``trim_at`` without ``trim``, or outside its range.
    DesignError
        An arm is left without rows.
    """
    if trim is None:
        if trim_at is not None:
            raise DataError(
                f"trim_at={trim_at} was given without a trimming rule.",
                "An option that changes nothing would mislead.",
                "Add --trim crump or --trim percentile.",
            )
        return None, {}
    check_choice("trim", trim, ("crump", "percentile"))
    if trim_at is not None and not (isinstance(trim_at, numbers.Real) and 0 < trim_at < 0.5):
        raise DataError(f"trim_at is {trim_at!r}.", "", "Use a number between 0 and 0.5.")
    if score is None:
        return None, {"trim": trim}
    open_ = (score > ROUNDING) & (score < 1 - ROUNDING)
    low, high = _bounds(problem, score, open_, trim, trim_at)
    # A bound is often a row's own score, and rounding mustn't decide about that row.
    kept = open_ & (score >= low - ROUNDING) & (score <= high + ROUNDING)
    for value, word in ((1, "treated"), (0, "control")):
        if int((kept & (problem.treated == value)).sum()) < 2:
            raise DesignError(
                f"Trimming to scores from {low:.3g} to {high:.3g} leaves no {word} rows.",
                "Hardly any scores of the two arms meet.",
                "These arms can't be compared; look for users who really had the choice.",
            )
    gone = int((~kept).sum())
    return kept, {
        "trim": trim,
        "trimmed_rows": gone,
        "score_range_kept": [low, high],
        "covers": f"the {int(kept.sum()):,} of {problem.n:,} rows with a score from {low:.3f} to "
        f"{high:.3f}; says nothing about the other {gone:,}",
    }


def clipping(
    problem: Problem, score: np.ndarray | None, clip: float | None, trim: Trim | None
) -> dict[str, Any]:
    """How many scores are clipped, for the settings.

    Raises
    ------
    DataError
        A bound outside 0 to 0.5, or trimming beside it.
    """
    if clip is None:
        return {}
    if not (isinstance(clip, numbers.Real) and 0 < clip < 0.5):
        raise DataError(f"clip is {clip!r}.", "", "Use a number between 0 and 0.5, such as 0.01.")
    if trim is not None:
        raise DataError(
            f"Both clip={clip} and trim={trim!r} were given.",
            "Either bounds the weights of rows without a counterpart, or leaves the rows out.",
            "Use one of them.",
        )
    if score is None:
        return {"clip": clip}
    beyond = (score <= clip) | (score >= 1 - clip)  # those moved there lie on the bounds
    return {"clip": clip, "clipped_scores": problem.count(beyond)}


def _bounds(
    problem: Problem, score: np.ndarray, open_: np.ndarray, trim: Trim, trim_at: float | None
) -> tuple[float, float]:
    if trim == "percentile":
        share = DEFAULT_PERCENTILE if trim_at is None else trim_at
        return percentile_bounds(score, problem.treated, problem.sampling, share)
    if trim_at is not None:
        return trim_at, 1 - trim_at
    return crump_bounds(score[open_], problem.sampling[open_]) if open_.any() else (0.0, 1.0)
