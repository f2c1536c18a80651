"""Plain JSON values from numpy, pandas and dates."""

from __future__ import annotations

import datetime
import decimal
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd


def jsonable(value: Any) -> Any:
    """A value that ``json.dumps(…, allow_nan=False)`` takes: undefined is ``None``, dates ISO."""
    if isinstance(value, Mapping):
        return {str(jsonable(key)): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset, np.ndarray, pd.Series, pd.Index)):
        return [jsonable(item) for item in value]
    if isinstance(value, pd.DataFrame):
        return records(value)
    if isinstance(value, np.generic) and not isinstance(value, (np.datetime64, np.timedelta64)):
        value = value.item()
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, (float, decimal.Decimal)):
        number = float(value)
        return number if math.isfinite(number) else None
    return _text_of(value)


def _text_of(value: Any) -> str | None:
    if isinstance(value, np.datetime64):
        value = pd.Timestamp(value)
    if value is pd.NaT:
        return None
    if isinstance(value, datetime.datetime):
        midnight = value.tzinfo is None and value.time() == datetime.time()
        return value.date().isoformat() if midnight else value.isoformat()
    if isinstance(value, datetime.date):
        return value.isoformat()
    return str(value)


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A frame as a list of rows."""
    columns = [str(column) for column in table.columns]
    values = [jsonable(table.iloc[:, j]) for j in range(table.shape[1])]
    return [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]
