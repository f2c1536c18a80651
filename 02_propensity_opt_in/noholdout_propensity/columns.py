"""Columns of the user's table as arrays: strata, standardised designs, values for balance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from noholdout_shared.design_matrix import design_matrix
from noholdout_shared.input import codes


def joined(frame: pd.DataFrame, columns: Sequence[str]) -> np.ndarray | None:
    """One code for each combination of the columns' values, shape ``(n,)``."""
    if not columns:
        return None
    each = np.column_stack([codes(frame, column)[0] for column in columns])
    return np.unique(each, axis=0, return_inverse=True)[1].ravel()


def with_constant(values: np.ndarray) -> np.ndarray:
    """A constant and the columns at mean 0 and variance 1: the estimates don't depend on units."""
    design = np.empty((values.shape[0], values.shape[1] + 1), order="F")
    design[:, 0] = 1.0
    for j, column in enumerate(values.T, start=1):
        spread = float(column.std())
        np.subtract(column, column.mean(), out=design[:, j])
        design[:, j] /= spread if spread > 0 else 1.0
    return design


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
            blocks.extend((coded == level).astype(float) for level in range(len(labels)))
            names.extend(f"{covariate}={label}" for label in labels)
        else:
            blocks.extend(matrix.values.T)
            names.extend(matrix.names)
    values = np.empty((len(frame), len(blocks)), order="F")
    for j, block in enumerate(blocks):
        values[:, j] = block
    return values, tuple(names)
