"""From the user's data to arrays that are ready to be learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from noholdout_shared.design_matrix import design_matrix
from noholdout_shared.errors import DataError, DesignError
from noholdout_shared.inference import require_clusters
from noholdout_shared.input import (
    Missing,
    binary,
    codes,
    numeric,
    outcome,
    positive_weights,
    read_rows,
)

ESTIMATED = "estimate"  # as a propensity: a logit of the features, cross-fitted

Assignment = Literal["share", "given", "estimated"]


@dataclass(frozen=True)
class Prepared:
    """Arrays of shape ``(n,)``, and the features as a matrix of shape ``(n, k)``."""

    frame: pd.DataFrame
    outcome: np.ndarray
    treatment: np.ndarray
    matrix: np.ndarray
    names: tuple[str, ...]
    propensity: np.ndarray
    assignment: Assignment
    clusters: np.ndarray | None
    weight: np.ndarray | None
    cost: np.ndarray | None
    current: np.ndarray | None
    guardrails: dict[str, np.ndarray]
    settings: dict[str, Any]

    @property
    def arms(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What a learner is fitted to: features, outcome, treatment."""
        return self.matrix, self.outcome, self.treatment


def prepare(
    data: Any,
    *,
    outcome_column: str,
    treatment: str,
    features: Sequence[str],
    propensity: float | str | None,
    cluster: str | None = None,
    weights: str | None = None,
    cost: float | str | None = None,
    current: str | None = None,
    guardrails: Sequence[str] = (),
    slices: Sequence[str] = (),
    missing: Missing,
) -> Prepared:
    """Read, validate and code the columns; ``DataError`` says what can't be read as asked."""
    if isinstance(features, str):
        raise DataError(
            f"features is the text {features!r}, which isn't a list of columns.",
            "",
            "Pass a list: features=['a', 'b'].",
        )
    features = list(features)
    _check_names(outcome_column, treatment, features)
    column = propensity if isinstance(propensity, str) and propensity != ESTIMATED else None
    cost_column = cost if isinstance(cost, str) else None
    wanted = [outcome_column, treatment, *features, cluster, column, weights, cost_column, current]
    rows = read_rows(data, [*wanted, *guardrails, *slices], missing=missing)
    y = outcome(rows.frame, outcome_column)
    w = binary(rows.frame, treatment)
    design = design_matrix(rows.frame, features)
    if design.values.shape[1] == 0:
        raise DesignError(
            f"None of the {len(features)} features varies ({', '.join(features)}).",
            "Users who look alike can't be ranked.",
            "Name features that differ between users before the treatment.",
        )
    clusters = None
    if cluster is not None:
        clusters, labels = codes(rows.frame, cluster)
        require_clusters(len(labels), cluster)
    weight = _weights(rows.frame, weights)
    probability, assignment = _probability(rows.frame, w, propensity, weight)
    return Prepared(
        frame=rows.frame,
        outcome=y,
        treatment=w,
        matrix=design.values,
        names=design.names,
        propensity=probability,
        assignment=assignment,
        clusters=clusters,
        weight=weight,
        cost=_costs(rows.frame, cost),
        current=None if current is None else _rule(rows.frame, current),
        guardrails={name: numeric(rows.frame, name, "Guardrail") for name in guardrails},
        settings={**rows.settings, **design.settings},
    )


def _check_names(outcome_column: str, treatment: str, features: list[str]) -> None:
    if not features:
        raise DataError(
            "No features are named.",
            "Uplift ranks users by features known before the treatment.",
            "Name them with --features a,b,c (features=['a', 'b', 'c']).",
        )
    for name, role in ((outcome_column, "outcome"), (treatment, "treatment")):
        if name in features:
            raise DataError(
                f"Column {name!r} is both the {role} and a feature.",
                "A feature must be known before the treatment.",
                "Take it out of the features.",
            )
    if outcome_column == treatment:
        raise DataError(f"Column {treatment!r} is both the outcome and the treatment.", "", "")


def _probability(
    frame: pd.DataFrame,
    treatment: np.ndarray,
    propensity: float | str | None,
    weight: np.ndarray | None,
) -> tuple[np.ndarray, Assignment]:
    if propensity is None or propensity == ESTIMATED:
        share = np.full(treatment.size, np.average(treatment, weights=weight))
        return share, "share" if propensity is None else "estimated"
    if isinstance(propensity, str):
        values = numeric(frame, propensity, "Propensity")
        name = f"Propensity column {propensity!r}"
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


def _weights(frame: pd.DataFrame, column: str | None) -> np.ndarray | None:
    values = positive_weights(frame, column)
    if values is None or np.array_equal(values, np.round(values)):
        return values  # whole numbers count rows, so that 2 equals two rows
    return values / values.mean()


def _costs(frame: pd.DataFrame, cost: float | str | None) -> np.ndarray | None:
    if cost is None:
        return None
    if isinstance(cost, str):
        values = numeric(frame, cost, "Cost")
    else:
        values = np.full(len(frame), float(cost))
    if not (values >= 0).all():
        raise DataError(
            f"Cost holds {int((~(values >= 0)).sum()):,} values that aren't zero or more.",
            "A cost is what treating the user takes out of the budget.",
            "Put savings into the outcome.",
        )
    return values


def _rule(frame: pd.DataFrame, column: str) -> np.ndarray:
    values = numeric(frame, column, "Current rule")
    if not ((values >= 0) & (values <= 1)).all():
        raise DataError(
            f"Current rule {column!r} holds values outside 0 to 1.",
            "It must say of each user whether the rule of today treats them (1) or not (0).",
            "Convert it to 0/1.",
        )
    return values
