"""From the user's data to arrays that are ready to be learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from noholdout_shared.design_matrix import design_matrix
from noholdout_shared.errors import DataError, DesignError
from noholdout_shared.inference import require_clusters
from noholdout_shared.input import Missing, binary, codes, numeric, outcome, read_rows


@dataclass(frozen=True)
class Prepared:
    """Arrays of shape ``(n,)``, and the features as a matrix of shape ``(n, k)``."""

    frame: pd.DataFrame
    outcome: np.ndarray
    treatment: np.ndarray
    matrix: np.ndarray
    names: tuple[str, ...]
    propensity: np.ndarray
    propensity_given: bool
    clusters: np.ndarray | None
    settings: dict[str, Any]


def prepare(
    data: Any,
    *,
    outcome_column: str,
    treatment: str,
    features: Sequence[str],
    propensity: float | str | None,
    cluster: str | None,
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
    column = propensity if isinstance(propensity, str) else None
    rows = read_rows(data, [outcome_column, treatment, *features, cluster, column], missing=missing)
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
    probability = _probability(rows.frame, w, propensity)
    return Prepared(
        frame=rows.frame,
        outcome=y,
        treatment=w,
        matrix=design.values,
        names=design.names,
        propensity=probability,
        propensity_given=propensity is not None,
        clusters=clusters,
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
    frame: pd.DataFrame, treatment: np.ndarray, propensity: float | str | None
) -> np.ndarray:
    if propensity is None:
        return np.full(treatment.size, treatment.mean())
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
    return values
