"""Codes of columns that hold few different values, without a hash table as long as the data."""

from __future__ import annotations

import numpy as np
import pandas as pd
from noholdout_shared.input import codes

FEW = 10_000  # numbers within such a range are counted, not hashed
CODE = np.int32  # of periods and launches; a product of two stays within it below FEW


def counted(values: pd.Series) -> tuple[np.ndarray, np.ndarray] | None:
    """Sorted codes and labels of whole numbers in a small range, -1 for empty; else ``None``."""
    array = values.to_numpy()
    if array.dtype.kind not in "iuf" or len(array) == 0:
        return None
    empty = np.isnan(array) if array.dtype.kind == "f" else None
    if empty is not None and empty.all():
        return None
    low, high = np.nanmin(array), np.nanmax(array)
    if not (np.isfinite(low) and np.isfinite(high)) or high - low >= FEW:
        return None
    if empty is None:
        place = (array - low).astype(CODE)
    else:
        with np.errstate(invalid="ignore"):
            place = (np.where(empty, low, array) - low).astype(CODE)
        if not (place + low == array)[~empty].all():
            return None
    present = np.bincount(place if empty is None or not empty.any() else place[~empty]) > 0
    coded = (np.cumsum(present, dtype=CODE) - 1)[place]
    if empty is not None:
        coded[empty] = -1
    return coded, (np.flatnonzero(present) + low).astype(array.dtype)


def period_codes(frame: pd.DataFrame, column: str) -> tuple[np.ndarray, np.ndarray]:
    """Codes of the periods in order, and their labels, as :func:`noholdout_shared.input.codes`."""
    found = counted(frame[column])
    if found is None:
        coded, labels = codes(frame, column)
        return (coded.astype(CODE) if len(labels) < FEW else coded), labels
    return found


def distinct(values: pd.Series) -> tuple[np.ndarray, pd.Series]:
    """Codes, -1 for empty, and the different values in any order."""
    found = counted(values)
    if found is None:
        coded, unique = pd.factorize(values, use_na_sentinel=True)
        return coded, pd.Series(unique)
    return found[0], pd.Series(found[1])
