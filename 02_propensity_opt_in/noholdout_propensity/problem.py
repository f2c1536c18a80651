"""From the user's table to the arrays that every estimator works on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from noholdout_shared.design_matrix import design_matrix
from noholdout_shared.errors import DataError, DesignError
from noholdout_shared.inference import require_clusters
from noholdout_shared.input import (
    Missing,
    binary,
    check_level,
    codes,
    is_proportion,
    outcome,
    positive_weights,
    read_rows,
)

MINIMUM_ARM = 2


@dataclass(frozen=True)
class Options:
    """What every estimator of this method is told, whatever it does with the rows."""

    data: Any
    outcome: str
    treatment: str
    covariates: Sequence[str]
    outcome_covariates: Sequence[str] | None = None
    cluster: str | None = None
    weights: str | None = None
    missing: Missing = "refuse"
    conf_level: float = 0.95
    extra_columns: Sequence[str] = ()


@dataclass(frozen=True)
class Problem:
    """Validated arrays.

    Parameters
    ----------
    outcome, treated, sampling
        Shape ``(n,)`` floats; ``sampling`` are the sampling weights, ones without.
    score_design, outcome_design
        A constant and the standardised covariates, shape ``(n, k)``.
    names
        Columns of ``score_design`` without the constant.
    balance_values, balance_names
        Every covariate as the user gave it, categories with all their levels.
    cluster_codes
        Shape ``(n,)`` or ``None``.
    frame
        The rows themselves, for columns that only one check needs.
    """

    options: Options
    outcome: np.ndarray
    treated: np.ndarray
    sampling: np.ndarray
    score_design: np.ndarray
    outcome_design: np.ndarray
    names: tuple[str, ...]
    balance_values: np.ndarray
    balance_names: tuple[str, ...]
    cluster_codes: np.ndarray | None
    n_clusters: int | None
    proportion: bool
    frame: pd.DataFrame
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Rows."""
        return self.outcome.size

    @property
    def clustered(self) -> bool:
        """Whether rows move together in clusters."""
        return self.cluster_codes is not None


def prepare(options: Options) -> Problem:
    """Read, validate and standardise; every choice made is kept in ``settings``."""
    check_level(options.conf_level)
    covariates = require_covariates(options)
    for_outcome = list(options.outcome_covariates or covariates)
    columns = [
        options.outcome,
        options.treatment,
        *covariates,
        *for_outcome,
        options.cluster,
        options.weights,
        *options.extra_columns,
    ]
    rows = read_rows(options.data, columns, missing=options.missing)
    frame = rows.frame
    treated = binary(frame, options.treatment).astype(float)
    y = outcome(frame, options.outcome)
    for value, word in ((1.0, "treated"), (0.0, "control")):
        count = int((treated == value).sum())
        if count < MINIMUM_ARM:
            raise DesignError(
                f"There is only {count} {word} row.",
                "A spread within each arm is needed for a standard error.",
                "Use more data.",
            )
    matrix = design_matrix(frame, covariates)
    if not matrix.names:
        raise DesignError(
            f"None of the covariates ({', '.join(covariates)}) varies.",
            "There is nothing to adjust for, so this would be the naive comparison.",
            "Name covariates that vary and that were measured before the opt-in.",
        )
    outcome_matrix = matrix if for_outcome == covariates else design_matrix(frame, for_outcome)
    sampling = positive_weights(frame, options.weights)
    cluster_codes, n_clusters = None, None
    if options.cluster is not None:
        cluster_codes, labels = codes(frame, options.cluster)
        n_clusters = len(labels)
        require_clusters(n_clusters, options.cluster)
    balance_values, balance_names = balance_columns(frame, covariates)
    return Problem(
        options=options,
        outcome=y,
        treated=treated,
        sampling=np.ones(y.size) if sampling is None else sampling,
        score_design=with_constant(matrix.values),
        outcome_design=with_constant(outcome_matrix.values),
        names=matrix.names,
        balance_values=balance_values,
        balance_names=balance_names,
        cluster_codes=cluster_codes,
        n_clusters=n_clusters,
        proportion=is_proportion(y),
        frame=frame,
        settings={**rows.settings, **matrix.settings, "covariates": covariates},
    )


def require_covariates(options: Options) -> list[str]:
    """The covariates, none of them the outcome, the treatment or named twice."""
    if isinstance(options.covariates, str):
        raise DataError(
            f"covariates is the text {options.covariates!r}.", "", "Pass a list of column names."
        )
    covariates = list(options.covariates)
    if not covariates:
        raise DataError(
            "No covariates were named.",
            "Without them the estimate is the naive comparison of adopters with the others.",
            "Name what drives both the opt-in and the outcome, measured before the opt-in.",
        )
    for column, role in ((options.outcome, "outcome"), (options.treatment, "treatment")):
        if column in covariates or column in (options.outcome_covariates or ()):
            raise DataError(
                f"Column {column!r} is named as covariate and as {role}.",
                f"Adjusting for the {role} itself would explain the effect away.",
                "Name it once.",
            )
    if options.outcome == options.treatment:
        raise DataError(f"Column {options.outcome!r} is named as outcome and treatment.", "", "")
    return list(dict.fromkeys(covariates))


def with_constant(values: np.ndarray) -> np.ndarray:
    """A constant and the columns at mean 0 and variance 1: the estimates don't depend on units."""
    spread = values.std(axis=0)
    scaled = (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return np.column_stack([np.ones(values.shape[0]), scaled])


def balance_columns(
    frame: pd.DataFrame, covariates: Sequence[str]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Every covariate for the balance table: all levels of a category, nothing dropped."""
    blocks: list[np.ndarray] = []
    names: list[str] = []
    for covariate in covariates:
        matrix = design_matrix(frame, [covariate], drop_collinear=False)
        if matrix.settings["indicators"] and frame[covariate].dtype != bool:
            coded, labels = pd.factorize(frame[covariate].astype(str), sort=True)
            blocks.append((coded[:, None] == np.arange(len(labels))[None, :]).astype(float))
            names.extend(f"{covariate}={label}" for label in labels)
        else:
            blocks.append(matrix.values)
            names.extend(matrix.names)
    return np.hstack(blocks), tuple(names)
