"""Covariates as a numeric matrix: indicators for categories, collinear columns dropped by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from scipy.linalg import qr

from noholdout_shared.errors import DataError
from noholdout_shared.input import numeric

MAX_CATEGORIES = 1000
BLOCK = 16_384  # rows
DIGITS = 1e-9  # of its size must a column vary by, beside the ones before it
ROUNDING = 1e-13  # of its size: a constant that was computed in two ways varies by less


class RowBlocks(Protocol):
    """A matrix that gives its rows by slices: an array, or one that is made block by block."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, rows: slice, /) -> np.ndarray: ...


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
        lost = [j for j in range(len(names)) if j not in set(keep)]
        for j in lost:
            refuse_lost_digits(values[:, j], names[j])
        dropped = [names[j] for j in lost]
        values, names = values[:, keep], [names[j] for j in keep]
    settings = {"indicators": indicators, "dropped_collinear": dropped}
    return DesignMatrix(values, tuple(names), settings)


def category_levels(frame: pd.DataFrame, covariate: str) -> tuple[np.ndarray, list[str]] | None:
    """A text or categorical covariate's codes, shape ``(n,)``, and its values in order.

    ``None`` for numbers and booleans.

    Raises
    ------
    DataError
        More than 1,000 different texts.
    """
    values = frame[covariate]
    is_text = isinstance(values.dtype, (pd.CategoricalDtype, pd.StringDtype)) or (
        values.dtype == object and values.map(lambda v: isinstance(v, str)).any()
    )
    if not is_text:
        return None
    coded, labels = pd.factorize(values.astype(str), sort=True)
    if len(labels) > MAX_CATEGORIES:
        raise DataError(
            f"Covariate {covariate!r} holds {len(labels):,} different texts.",
            "Each would become an indicator; it looks like an identifier or like free text.",
            "Leave it out, or group it into fewer values.",
        )
    return coded, list(labels)


def _columns_of(frame: pd.DataFrame, covariate: str) -> tuple[np.ndarray, list[str]]:
    found = category_levels(frame, covariate)
    if found is not None:
        coded, labels = found
        block = (coded[:, None] == np.arange(1, len(labels))[None, :]).astype(float)
        return block, [f"{covariate}={label}" for label in labels[1:]]
    values = frame[covariate]
    if pd.api.types.is_bool_dtype(values):
        return values.to_numpy(dtype=float)[:, None], [f"{covariate}=True"]
    return numeric(frame, covariate, "Covariate")[:, None], []


@dataclass(frozen=True)
class Moments:
    """Means ``(k,)`` and centred products ``(k, k)`` of columns."""

    mean: np.ndarray
    gram: np.ndarray


def moments(values: RowBlocks) -> Moments:
    """Of the columns of ``values``, shape ``(n, k)``, block by block: nothing large is stored."""
    n, k = values.shape
    if n <= BLOCK:
        values = values[:]
    blocks = [slice(start, start + BLOCK) for start in range(0, n, BLOCK)]
    mean = sum((values[rows].sum(axis=0) for rows in blocks), start=np.zeros(k)) / n
    gram = np.zeros((k, k))
    for rows in blocks:
        centred = values[rows] - mean
        gram += centred.T @ centred
    return Moments(mean, gram)


def independent_columns(
    values: RowBlocks,
    tolerance: float = DIGITS,
    known: Moments | None = None,
    apart: float | None = None,
) -> list[int]:
    """The columns to keep so that they and a constant are linearly independent.

    Earlier columns win. Shape of ``values`` is ``(n, k)``; columns are centred and scaled first,
    so the tolerance has no unit. ``known``: their moments, where they are known; ``apart``: the
    share of its length that a column must keep beside the others, the tolerance by default.
    """
    n = values.shape[0]
    known = known or moments(values)
    mean, gram = known.mean, known.gram
    squares = np.diag(gram)
    norms = np.sqrt(squares)
    scale = np.sqrt(squares + n * mean**2)
    varying = np.flatnonzero(norms > tolerance * np.maximum(scale, 1e-300))
    if varying.size == 0:
        return []
    if _plainly_independent(gram[np.ix_(varying, varying)], norms[varying]):
        return varying.tolist()
    # R keeps every angle between the columns and has only k rows.
    r = np.empty((0, varying.size))
    for rows in (slice(start, start + BLOCK) for start in range(0, n, BLOCK)):
        scaled = (values[rows][:, varying] - mean[varying]) / norms[varying]
        r = qr(np.vstack([r, scaled]), mode="r", pivoting=False)[0][: varying.size]
    kept: list[int] = []
    for j in range(varying.size):
        residual = r[:, j]
        if kept:
            fit = np.linalg.lstsq(r[:, kept], r[:, j], rcond=None)[0]
            residual = residual - r[:, kept] @ fit
        if np.linalg.norm(residual) > (tolerance if apart is None else apart):
            kept.append(j)
    return [int(varying[j]) for j in kept]


def refuse_lost_digits(column: np.ndarray, name: str) -> None:
    """Raise for a column that was dropped though it varies: in digits too far behind to be seen.

    Called for dropped columns: a constant one says nothing and a collinear one is said by others.
    """
    low, high = float(column.min()), float(column.max())
    size = max(abs(low), abs(high))
    if high - low > ROUNDING * size and float(column.std()) <= DIGITS * size:
        raise DataError(
            f"Covariate {name!r} varies by {high - low:.3g} around {low:.6g}: in its 9th digit or "
            "later.",
            "Computers keep about 16 digits: beside its size it would be left out as a constant.",
            "Subtract a constant from the column first; the answer stays the same.",
        )


def _plainly_independent(gram: np.ndarray, norms: np.ndarray) -> bool:
    """Whether every column keeps a hundredth of its length beside the ones before it.

    Products square the angles: nearer to collinear they have no digits left, and R must decide.
    """
    try:
        pivots = np.diag(np.linalg.cholesky(gram / np.outer(norms, norms)))
    except np.linalg.LinAlgError:
        return False
    return bool(pivots.min() > 0.01)
