"""When each row's unit was first treated, as the index of a period, whatever the column holds."""

from __future__ import annotations

import datetime
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from noholdout_shared.errors import DataError

from noholdout_did.coding import CODE, FEW, ROUNDING, distinct


@dataclass(frozen=True)
class Launches:
    """Launch periods of rows.

    Parameters
    ----------
    index
        Shape ``(n,)``: the index of the first treated period, 0 for rows treated in every
        period, T for rows never treated within the data.
    reasons
        Shape ``(n,)``: index into :data:`REASONS`, why a row counts as it does.
    """

    index: np.ndarray
    reasons: np.ndarray


REASONS = (
    "treated_within",
    "never_empty",
    "never_infinite",
    "never_zero",
    "never_after_last_period",
    "always_treated",
)


def launches(values: pd.Series, periods: np.ndarray, column: str, time: str) -> Launches:
    """Place each launch among the periods.

    Parameters
    ----------
    values
        The ``first_treated`` column, shape ``(n,)``. Empty, NaN, infinite, 0 before the first
        period, and later than the last period are never treated.
    periods
        The sorted periods of the data, shape ``(T,)``.
    column, time
        Names for messages.

    Raises
    ------
    DataError
        The column's type can't be compared with the time column's.
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.cat.categories.dtype)
    # Work on the few different values, not on the rows.
    coded, different = distinct(values)
    if pd.api.types.is_datetime64_any_dtype(periods.dtype):
        index, reason = _among_dates(different, periods, column, time)
    elif np.issubdtype(periods.dtype, np.number):
        index, reason = _among_numbers(different, periods, column, time)
    else:
        index, reason = _among_texts(different, periods, column, time)
    # Position -1 (empty) reads the last entry of the extended arrays.
    index = np.append(index, len(periods)).astype(CODE if len(periods) < FEW else np.int64)
    reason = np.append(reason, 1)
    return Launches(index[coded], reason.astype(np.int8)[coded])


def _place(values: np.ndarray, periods: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    index = np.searchsorted(periods, values, side="left").astype(np.int64)
    reason = np.where(index == len(periods), 4, np.where(index == 0, 5, 0))
    return index, reason


def _mismatch(values: pd.Series, column: str, time: str, kind: str) -> DataError:
    return DataError(
        f"Column {column!r} holds {_shown(values.iloc[0])}, but {time!r} holds {kind}.",
        "A unit's first treated period must be one that can be found among the periods.",
        f"Write {column!r} in the unit of {time!r}; leave it empty for never treated.",
    )


def _shown(value: object) -> str:
    if isinstance(value, (int, float, np.number)):
        return f"numbers such as {value}"
    if isinstance(value, (np.datetime64, datetime.date)):
        return f"dates such as {str(value)[:10]}"
    return repr(value)


def _among_numbers(
    values: pd.Series, periods: np.ndarray, column: str, time: str
) -> tuple[np.ndarray, np.ndarray]:
    numbers = pd.to_numeric(values.astype(object), errors="coerce")
    is_date = pd.api.types.is_datetime64_any_dtype(values)
    if is_date or numbers.isna().any():
        wrong = values if is_date else values[numbers.isna()]
        raise _mismatch(wrong, column, time, "numbers")
    plain = numbers.to_numpy(dtype=float)
    infinite = np.isinf(plain)
    zero = (plain == 0) & (periods[0] > 0)
    _refuse_doubtful(plain, periods, column, time)
    index, reason = _place(_snapped(plain, periods.astype(float)), periods.astype(float))
    index = np.where(infinite | zero, len(periods), index)
    return index, np.where(infinite, 2, np.where(zero, 3, reason))


def _refuse_doubtful(values: np.ndarray, periods: np.ndarray, column: str, time: str) -> None:
    """-1 and 0 often stand for never, and would be read as treated from the start."""
    finite = values[np.isfinite(values)]
    doubtful = finite[finite < 0] if len(finite[finite < 0]) else finite[finite == 0]
    if len(doubtful) == 0 or periods[0] < 0 or (doubtful[0] == 0 and periods[0] > 0):
        return
    where = "is never below 0" if doubtful[0] < 0 else "begins at 0"
    raise DataError(
        f"Column {column!r} holds {doubtful[0]:g}, and {time!r} {where}.",
        "It could mean never treated, or treated from the start; the answer differs.",
        f"Leave {column!r} empty for never treated. Units treated from the start show no effect: "
        "leave them out.",
    )


def _snapped(values: np.ndarray, periods: np.ndarray) -> np.ndarray:
    """Values that differ from a period by rounding alone become that period."""
    if len(periods) < 2:
        return values
    near = np.searchsorted((periods[1:] + periods[:-1]) / 2, values)
    spacing = float(np.diff(periods).min())
    return np.where(np.abs(values - periods[near]) <= ROUNDING * spacing, periods[near], values)


def _among_dates(
    values: pd.Series, periods: np.ndarray, column: str, time: str
) -> tuple[np.ndarray, np.ndarray]:
    if pd.api.types.is_numeric_dtype(values):
        numbers = values.to_numpy(dtype=float)
        if not (np.isinf(numbers) | (numbers == 0)).all():
            raise _mismatch(values, column, time, "dates")
        return np.full(len(values), len(periods)), np.where(np.isinf(numbers), 2, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # text that is no date: refused below
        dates = pd.to_datetime(values, errors="coerce")
    if dates.isna().any():
        raise _mismatch(values[dates.isna()], column, time, "dates")
    # Nanoseconds end in 2262, and 9999-12-31 often stands for never.
    return _place(dates.to_numpy().astype("datetime64[us]"), periods.astype("datetime64[us]"))


def _among_texts(
    values: pd.Series, periods: np.ndarray, column: str, time: str
) -> tuple[np.ndarray, np.ndarray]:
    if not values.map(lambda v: isinstance(v, type(periods[0]))).all():
        kind = type(periods[0]).__name__
        raise _mismatch(values, column, time, "text" if kind == "str" else kind)
    return _place(values.to_numpy(dtype=object), periods.astype(object))
