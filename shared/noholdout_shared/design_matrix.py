"""Covariates as a numeric matrix: indicators for categories, collinear columns dropped by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.linalg import qr

from noholdout_shared.errors import DataError
from noholdout_shared.input import numeric

MAX_CATEGORIES = 1000


@dataclass(frozen=True)
class DesignMatrix:
    """Covariates ready for a model, without a constant.

    Parameters
    ----------
    values
        Shape ``(n, k)``, floats.
    names
        One name a column; an indicator is named ``covariate=value``.
    settings
        Which covariates became indicators, and which columns were dropped as collinear.
    """

    values: np.ndarray
    names: tuple[str, ...]
    settings: dict[str, Any]


def design_matrix(
    frame: pd.DataFrame, covariates: Sequence[str], *, drop_collinear: bool = True
) -> DesignMatrix:
    """Build the matrix: text, categorical and boolean covariates become indicators.

    Raises
    ------
    DataError
        Dates, infinite values, or a text column with more than 1,000 different values.
    """
    blocks: list[np.ndarray] = []
    names: list[str] = []
    indicators: list[str] = []
    for covariate in covariates:
        block, labels = _columns_of(frame, covariate)
        if labels:
            indicators.append(covariate)
        blocks.append(block)
        names.extend(labels or [covariate])
    values = np.hstack(blocks) if blocks else np.empty((len(frame), 0))
    dropped: list[str] = []
    if drop_collinear and values.shape[1]:
        keep = independent_columns(values)
        dropped = [names[j] for j in range(len(names)) if j not in set(keep)]
        values, names = values[:, keep], [names[j] for j in keep]
    settings = {"indicators": indicators, "dropped_collinear": dropped}
    return DesignMatrix(values, tuple(names), settings)


def _columns_of(frame: pd.DataFrame, covariate: str) -> tuple[np.ndarray, list[str]]:
    values = frame[covariate]
    is_text = isinstance(values.dtype, (pd.CategoricalDtype, pd.StringDtype)) or (
        values.dtype == object and values.map(lambda v: isinstance(v, str)).any()
    )
    if pd.api.types.is_bool_dtype(values):
        return values.to_numpy(dtype=float)[:, None], [f"{covariate}=True"]
    if not is_text:
        return numeric(frame, covariate, "Covariate")[:, None], []
    coded, labels = pd.factorize(values.astype(str), sort=True)
    if len(labels) > MAX_CATEGORIES:
        raise DataError(
            f"Covariate {covariate!r} holds {len(labels):,} different texts.",
            "Each would become an indicator; it looks like an identifier or like free text.",
            "Leave it out, or group it into fewer values.",
        )
    block = (coded[:, None] == np.arange(1, len(labels))[None, :]).astype(float)
    return block, [f"{covariate}={label}" for label in labels[1:]]


def independent_columns(values: np.ndarray, tolerance: float = 1e-9) -> list[int]:
    """The columns to keep so that they and a constant are linearly independent.

    Earlier columns win. Shape of ``values`` is ``(n, k)``; columns are centred and scaled first,
    so the tolerance has no unit.
    """
    centred = values - values.mean(axis=0)
    norms = np.sqrt((centred**2).sum(axis=0))
    scale = np.sqrt((values**2).sum(axis=0))
    varying = np.flatnonzero(norms > tolerance * np.maximum(scale, 1e-300))
    if varying.size == 0:
        return []
    scaled = centred[:, varying] / norms[varying]
    # R keeps every angle between the columns and has only k rows.
    r = qr(scaled, mode="r", pivoting=False)[0][: varying.size]
    kept: list[int] = []
    for j in range(varying.size):
        residual = r[:, j]
        if kept:
            fit = np.linalg.lstsq(r[:, kept], r[:, j], rcond=None)[0]
            residual = residual - r[:, kept] @ fit
        if np.linalg.norm(residual) > tolerance:
            kept.append(j)
    return [int(varying[j]) for j in kept]
