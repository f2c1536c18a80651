"""One type for each kind of value: what engines, Arrow and exports bring becomes numpy's own."""

from __future__ import annotations

import datetime
import decimal
from typing import Any

import numpy as np
import pandas as pd


def settle_types(frame: pd.DataFrame) -> dict[str, str]:
    """Replace Arrow types, Decimals, Python's dates and zoned times in ``frame``, in place.

    A zoned time becomes the wall clock of its zone, so that ``2025-04-06`` is the day that the
    user calls so; where two moments would fall on one wall clock (the hour that a clock is set
    back), it becomes UTC.

    Returns
    -------
    By column, what a zoned time was read as; empty without any.
    """
    zones: dict[str, str] = {}
    for name, kind in frame.dtypes.items():
        if isinstance(kind, np.dtype) and kind != np.dtype(object):
            continue
        values = frame[name]
        if isinstance(kind, pd.ArrowDtype):
            values = _from_arrow(values)
            frame[name] = values
        if isinstance(values.dtype, pd.DatetimeTZDtype):
            frame[name], zones[str(name)] = _wall_clock(values)
        elif values.dtype == object:
            frame[name] = plain_objects(values)
    return zones


def plain_objects(values: pd.Series) -> pd.Series:
    """Python's own Decimals as numbers and its dates as timestamps; other objects as they are."""
    kind = _first_type(values)
    if kind is decimal.Decimal:
        return _from_decimals(values)
    if kind is datetime.date and all(type(value) is datetime.date for value in values.dropna()):
        # In microseconds, whose years reach beyond 2262: 9999-12-31 stands for no end.
        return pd.Series(values.to_numpy().astype("datetime64[us]"), index=values.index)
    return values


def _from_arrow(values: pd.Series) -> pd.Series:
    kind = values.dtype.kind
    if kind == "M":
        return pd.Series(pd.to_datetime(values.astype(object)), index=values.index)
    if kind in "iufb":
        return values.convert_dtypes(dtype_backend="numpy_nullable")
    # texts, dates without time and Decimals as Python's own
    return values.astype(object).where(values.notna(), None)


def _wall_clock(values: pd.Series) -> tuple[pd.Series, str]:
    zone = str(values.dt.tz)
    local = values.dt.tz_localize(None)
    if local.nunique() == values.nunique():
        return local, f"wall clock of {zone}"
    return values.dt.tz_convert("UTC").dt.tz_localize(None), f"UTC, from {zone}"


def _first_type(values: pd.Series) -> type[Any] | None:
    first = values.first_valid_index()
    return None if first is None else type(values.loc[first])


def _from_decimals(values: pd.Series) -> pd.Series:
    """Whole Decimals as integers, others as floats; left alone when other types are among them."""
    filled = values.dropna()
    if not filled.map(lambda value: isinstance(value, decimal.Decimal)).all():
        return values
    whole = filled.map(lambda value: value.is_finite() and value == value.to_integral_value()).all()
    if whole and filled.abs().max() < 2**63:
        numbers = filled.map(int).astype("int64")
        return (
            numbers if len(filled) == len(values) else numbers.astype("Int64").reindex(values.index)
        )
    return values.map(float, na_action="ignore").astype(np.float64)
