"""Times in order, and who got the launch when."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd
from noholdout_shared.errors import DataError, DesignError

OFFSET = r"(:\d\d(?:\.\d+)?)(?:Z|[+-]\d\d:?\d\d)$"


def ordered_times(values: pd.Series, column: str) -> pd.Series:
    """Times that have an order: numbers and dates as they are, texts read as either."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.cat.categories.dtype)
    if isinstance(values.dtype, pd.PeriodDtype):
        return values.dt.to_timestamp()
    if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_datetime64_any_dtype(values):
        return values
    numbers = pd.to_numeric(values, errors="coerce")
    if numbers.notna().all():
        return numbers
    parsed = wall_clock(values)
    wrong = parsed.isna()
    if wrong.any():
        raise DataError(
            f"Time column {column!r} holds {int(wrong.sum()):,} values that are neither numbers "
            f"nor dates (for example {str(values[wrong].iloc[0])!r}).",
            "Before and after the launch need an order.",
            "Write dates as 2025-03-31, or number the periods.",
        )
    return parsed


def wall_clock(values: pd.Series) -> pd.Series:
    """Texts as dates, ``NaT`` where they aren't; offsets, which change with the season, are cut."""
    texts = values.astype(str)
    if texts.str.contains(":", regex=False).any():
        values = texts.str.replace(OFFSET, r"\1", regex=True).where(values.notna())
    return pd.to_datetime(values, errors="coerce", format="ISO8601")


def is_daily(times: np.ndarray) -> bool | None:
    """Whether dates are one day apart; ``None`` when the times are plain numbers."""
    if not np.issubdtype(times.dtype, np.datetime64):
        return None
    steps = np.diff(times.astype("datetime64[s]").astype("int64"))
    return bool(steps.size and np.median(steps) == 86_400)


def match_treated(units: np.ndarray, treated: Sequence[Any], column: str) -> np.ndarray:
    """Which units are treated; values are compared in the column's own type, then as text."""
    if isinstance(treated, (str, bytes)) or not isinstance(treated, Collection):
        treated = [treated]
    if len(treated) == 0:
        raise DesignError(
            "No treated unit was named.", "An effect is somebody's.", "Name it with --treated."
        )
    # An id of whole numbers is a float where pandas met an empty cell: 418006.0, typed as 418006.
    whole = units.dtype.kind == "f"
    as_text = {_plain_number(u) if whole else str(u): i for i, u in enumerate(units)}
    found = np.zeros(units.size, dtype=bool)
    for value in treated:
        index = as_text.get(str(value))
        if index is None:
            index = as_text.get(_plain_number(value))
        if index is None:
            near = difflib.get_close_matches(str(value), list(as_text), n=3, cutoff=0.5)
            raise DataError(
                f"Unit column {column!r} holds no {value!r}.",
                f"Did you mean {' or '.join(map(repr, near))}?" if near else "",
                f"It holds {units.size:,} units, for example {str(units[0])!r}.",
            )
        found[index] = True
    return found


def _plain_number(value: Any) -> str:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return ""
    return str(int(number)) if number.is_integer() else str(number)


def launch_index(times: np.ndarray, start: Any, column: str, name: str = "start") -> int:
    """Position of the first period at or after ``start``, read in the time column's type."""
    try:
        if np.issubdtype(times.dtype, np.datetime64):
            # A bare number would be read as nanoseconds since 1970.
            if isinstance(start, (int, float, np.number)):
                raise ValueError
            if isinstance(start, pd.Period):
                start = start.to_timestamp()
            value: Any = np.datetime64(pd.Timestamp(start).tz_localize(None))
        else:
            value = float(start)
    except (TypeError, ValueError) as error:
        kind = "dates" if np.issubdtype(times.dtype, np.datetime64) else "numbers"
        raise DataError(
            f"{name} is {start!r}, but time column {column!r} holds {kind} "
            f"(from {shown(times[0])} to {shown(times[-1])}).",
            "It can't be placed among them.",
            f"Give {name} as it stands in the column.",
        ) from error
    return int(np.searchsorted(times, value))


def shown(time: Any) -> str:
    """A time as messages write it."""
    return str(pd.Timestamp(time).date()) if isinstance(time, np.datetime64) else str(time)


def adoptions(
    values: pd.Series, unit_codes: np.ndarray, units: np.ndarray, times: np.ndarray, column: str
) -> tuple[np.ndarray, dict[str, int]]:
    """Position of each unit's first treated period, shape ``(N,)``; T for never treated.

    Empty, infinite, 0 before the first period and later than the last one are never treated, each
    counted. A date column's launches are read as dates.

    Raises
    ------
    DataError
        A unit with two launches, or launches that aren't of the time column's kind.
    """
    dates = np.issubdtype(times.dtype, np.datetime64)
    empty = values.isna().to_numpy()
    if dates and not pd.api.types.is_datetime64_any_dtype(values):
        text = values.astype(object).where(~empty, None).astype(str)
        zero = text.isin(["0", "0.0", "inf"]).to_numpy()
        parsed = wall_clock(text.mask(empty | zero))
        wrong = parsed.isna().to_numpy() & ~empty & ~zero
        place = np.searchsorted(times, parsed.to_numpy().astype(times.dtype))
    else:
        parsed = values if dates else pd.to_numeric(values, errors="coerce")
        numbers = parsed.to_numpy()
        zero = np.zeros(values.size, bool)
        if not dates:
            zero = np.isinf(numbers) | ((numbers == 0) & (times[0] > 0))
        wrong = parsed.isna().to_numpy() & ~empty
        place = np.searchsorted(times, numbers.astype(times.dtype) if dates else numbers)
    if wrong.any():
        raise DataError(
            f"Column {column!r} holds {values[wrong].iloc[0]!r}, which is no time of the kind that "
            f"the time column holds (such as {shown(times[0])}).",
            "A launch must be found among the periods.",
            "Write it as the time column does; leave it empty for never treated.",
        )
    place = np.where(empty | zero, times.size, place)
    found = np.full(units.size, -1)
    found[unit_codes] = place
    mixed = np.flatnonzero(np.bincount(unit_codes, place != found[unit_codes], units.size))
    if mixed.size:
        raise DataError(
            f"{mixed.size:,} units have several values of {column!r} (for example "
            f"{units[mixed[0]]!s}).",
            "A unit gets the launch once.",
            "Give each unit one value.",
        )
    reason = np.zeros(units.size, int)
    late = np.where(empty, 1, np.where(zero, 2, 3))
    reason[unit_codes] = np.where(place == times.size, late, 0)
    kinds = ("never_empty", "never_zero_or_infinite", "never_after_last_period")
    return found, {name: int((reason == k + 1).sum()) for k, name in enumerate(kinds)}
