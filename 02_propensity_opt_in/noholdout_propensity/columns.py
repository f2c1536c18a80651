"""Columns of the user's table as arrays: strata, covariates, standardised designs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from noholdout_shared.design_matrix import (
    Moments,
    category_levels,
    independent_columns,
    moments,
    refuse_lost_digits,
)
from noholdout_shared.input import codes, numeric

from noholdout_propensity.kernels.designs import Columns, Design, StandardisedDesign, stored

# Columns nearer to each other than that (a column and its copy in 32 bits, 3e-8) have coefficients
# that run away from each other, as if they separated the arms.
NEARLY_EQUAL = 1e-5


@dataclass(frozen=True)
class Covariates:
    """The covariates as the user gave them, categories with all their levels, nothing dropped.

    Parameters
    ----------
    rows
        Their number.
    columns, names
        One array ``(n,)`` and one name each; a number's array is the user's own, not a copy.
    first_levels
        Places of the first level of each category, which a model with a constant leaves out.
    indicators
        Covariates that aren't numbers.
    """

    rows: int
    columns: tuple[np.ndarray, ...]
    names: tuple[str, ...]
    first_levels: frozenset[int]
    indicators: tuple[str, ...]

    def design(self) -> tuple[Design, tuple[str, ...], dict[str, Any]]:
        """A constant and the independent columns at mean 0 and variance 1; names and settings."""
        places = [j for j in range(len(self.columns)) if j not in self.first_levels]
        chosen = Columns(tuple(self.columns[j] for j in places))
        known = moments(chosen) if places else Moments(np.empty(0), np.empty((0, 0)))
        kept = independent_columns(chosen, known=known, apart=NEARLY_EQUAL) if places else []
        names = [self.names[j] for j in places]
        lost = [j for j in range(len(names)) if j not in set(kept)]
        for j in lost:
            refuse_lost_digits(chosen.columns[j], names[j])
        settings = {
            "indicators": list(self.indicators),
            "dropped_collinear": [names[j] for j in lost],
        }
        design = StandardisedDesign(
            self.rows,
            tuple(chosen.columns[j] for j in kept),
            tuple(known.mean[kept].tolist()),
            tuple(np.sqrt(np.diag(known.gram)[kept] / self.rows).tolist()),
        )
        return stored(design), tuple(names[j] for j in kept), settings


def covariate_columns(frame: pd.DataFrame, covariates: Sequence[str]) -> Covariates:
    """Every covariate as columns of numbers.

    Raises
    ------
    DataError
        Dates, infinite values, or a text column with more than 1,000 different values.
    """
    columns: list[np.ndarray] = []
    names: list[str] = []
    first: list[int] = []
    indicators: list[str] = []
    numbers = {name for name, kind in frame.dtypes.items() if kind.kind in "iuf"}
    for covariate in covariates:
        found = None if covariate in numbers else category_levels(frame, covariate)
        if found is not None:
            coded, labels = found
            first.append(len(columns))
            columns.extend((coded == level).astype(float) for level in range(len(labels)))
            names.extend(f"{covariate}={label}" for label in labels)
            indicators.append(covariate)
        elif covariate not in numbers and pd.api.types.is_bool_dtype(frame[covariate]):
            columns.append(frame[covariate].to_numpy(dtype=float))
            names.append(f"{covariate}=True")
            indicators.append(covariate)
        else:
            columns.append(numeric(frame, covariate, "Covariate"))
            names.append(covariate)
    return Covariates(len(frame), tuple(columns), tuple(names), frozenset(first), tuple(indicators))


def joined(frame: pd.DataFrame, columns: Sequence[str]) -> np.ndarray | None:
    """One code for each combination of the columns' values, shape ``(n,)``."""
    if not columns:
        return None
    each = np.column_stack([codes(frame, column)[0] for column in columns])
    return np.unique(each, axis=0, return_inverse=True)[1].ravel()
