"""Single columns of the user's data: read, validated, coded."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Literal

import numpy as np
import pandas as pd
from noholdout_shared.design_matrix import DesignMatrix, design_matrix
from noholdout_shared.errors import DataError, DesignError
from noholdout_shared.input import numeric, positive_weights

ESTIMATED = "estimate"  # as a propensity: a logit of the features, cross-fitted

Assignment = Literal["share", "given", "estimated"]


def design_of(frame: pd.DataFrame, features: Sequence[str], score: str | None) -> DesignMatrix:
    """The features' matrix, the user's own score last: it may explain the outcome too."""
    own = [] if score is None or score in features else [score]
    design = design_matrix(frame, [*features, *own])
    if design.values.shape[1] == 0:
        raise DesignError(
            f"None of the {len(features) + len(own)} features varies "
            f"({', '.join([*features, *own])}).",
            "Users who look alike can't be ranked.",
            "Name features that differ between users before the treatment.",
        )
    return design


def refuse_copies(design: DesignMatrix, y: np.ndarray, outcome: str) -> None:
    """Raise a DataError for a feature (or score) that is the outcome, but for scale and shift."""
    away = y - y.mean()
    other = design.values - design.values.mean(axis=0)
    lengths = np.sqrt((other**2).sum(axis=0) * (away @ away))
    same = np.abs(away @ other) >= (1 - 1e-10) * lengths
    if same.any():
        name = design.names[int(np.argmax(same))]
        raise DataError(
            f"{name!r} holds the same as the outcome {outcome!r}, but for scale and shift.",
            "What is known only after the treatment can't say whom to treat.",
            "Leave it out, and look for other columns made from the outcome.",
        )


def probability(
    frame: pd.DataFrame,
    treatment: np.ndarray,
    propensity: float | str | None,
    weight: np.ndarray | None,
) -> tuple[np.ndarray, Assignment]:
    """Each row's probability of treatment, and where it comes from.

    To be estimated, it is the share treated until folds are there to fit a logit on.
    """
    if propensity is None or propensity == ESTIMATED:
        share = np.full(treatment.size, np.average(treatment, weights=weight))
        return share, "share" if propensity is None else "estimated"
    if isinstance(propensity, str):
        values = numeric(frame, propensity, "Propensity")
        name = f"Propensity column {propensity!r}"
    elif not isinstance(propensity, Real):
        raise DataError(
            f"propensity is {propensity!r}.",
            "",
            "Use a number, the name of one column, or 'estimate'.",
        )
    else:
        values = np.full(treatment.size, float(propensity))
        name = "propensity"
    outside = ~((values > 0) & (values < 1))
    if outside.any():
        raise DataError(
            f"{name} holds {int(outside.sum()):,} values outside (0, 1), for example "
            f"{values[outside][0]:g}.",
            "A user who can't be treated, or must be, has no comparison.",
            "Pass the probability of treatment; leave out rows where it is 0 or 1.",
        )
    return values, "given"


def without_weight(frame: pd.DataFrame, column: str | None) -> np.ndarray:
    """Which rows have the weight 0 and so count for nothing, shape ``(n,)``."""
    values = positive_weights(frame, column)
    return np.zeros(len(frame), dtype=bool) if values is None else values == 0


def sampling_weights(frame: pd.DataFrame, column: str | None) -> np.ndarray | None:
    """How many rows each row stands for."""
    values = positive_weights(frame, column)
    if values is None or np.array_equal(values, np.round(values)):
        return values  # whole numbers count rows, so that 2 equals two rows
    return values / values.mean()


def costs(frame: pd.DataFrame, cost: float | str | None) -> np.ndarray | None:
    """What treating each user takes out of the budget, zero or more."""
    if cost is None:
        return None
    if isinstance(cost, str):
        values = numeric(frame, cost, "Cost")
    elif not isinstance(cost, Real):
        raise DataError(f"cost is {cost!r}.", "", "Use a number, or the name of one column.")
    else:
        values = np.full(len(frame), float(cost))
    odd = ~((values >= 0) & np.isfinite(values))
    if odd.any():
        raise DataError(
            f"Cost holds {int(odd.sum()):,} values that aren't zero or more, for example "
            f"{values[odd][0]:g}.",
            "A cost is what treating the user takes out of the budget.",
            "Put savings into the outcome.",
        )
    return values


def current_rule(frame: pd.DataFrame, column: str) -> np.ndarray:
    """How much of each user the rule of today treats, 0 to 1."""
    values = numeric(frame, column, "Current rule")
    if not ((values >= 0) & (values <= 1)).all():
        raise DataError(
            f"Current rule {column!r} holds values outside 0 to 1.",
            "It must say of each user whether the rule of today treats them (1) or not (0).",
            "Convert it to 0/1.",
        )
    return values
