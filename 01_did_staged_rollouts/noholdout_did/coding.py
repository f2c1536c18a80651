"""Codes of columns that hold few different values, without a hash table as long as the data."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from noholdout_shared.errors import DataError
from noholdout_shared.input import codes

FEW = 10_000  # numbers within such a range are counted, not hashed
ROUNDING = 1e-9  # of the periods' spacing: nearer numbers differ by rounding alone
MONTH = (
    r"(?i)(?<![a-z])(jan(uary)?|feb(ruary)?|mar(ch)?|apr(il)?|may|june?|july?|aug(ust)?"
    r"|sept?(ember)?|oct(ober)?|nov(ember)?|dec(ember)?)(?![a-z])"
)
YEARS = range(1900, 2100)
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
    """Codes of the periods in order, and their labels, as :func:`noholdout_shared.input.codes`.

    Raises
    ------
    DataError
        Infinite times, or times that differ by rounding alone.
    """
    found = counted(frame[column])
    if found is None:
        coded, labels = codes(frame, column)
        if labels.dtype.kind == "f":
            _refuse_unordered(frame[column].to_numpy(), labels, column)
        elif all(isinstance(label, str) for label in labels):
            _refuse_untimely([str(label) for label in labels], column)
        return (coded.astype(CODE) if len(labels) < FEW else coded), labels
    return found


def _refuse_unordered(values: np.ndarray, labels: np.ndarray, column: str) -> None:
    infinite = np.isinf(values)
    if infinite.any():
        raise DataError(
            f"Time column {column!r} is infinite in {int(infinite.sum()):,} rows (the first is row "
            f"{int(np.flatnonzero(infinite)[0]) + 1}).",
            "Such a row belongs to no period.",
            "Remove these rows or give them their time.",
        )
    spacing = np.diff(labels)
    if len(spacing) == 0:
        return
    close = np.flatnonzero(spacing <= ROUNDING * np.median(spacing))
    if len(close):
        one, other = labels[close[0]], labels[close[0] + 1]
        raise DataError(
            f"Time column {column!r} holds periods that differ by rounding alone ({one!r} and "
            f"{other!r}).",
            "They would count as two periods.",
            "Round the column, or number the periods 0, 1, 2, ...",
        )


def _refuse_untimely(labels: list[str], column: str) -> None:
    """Text is put in the alphabet's order: refuse labels whose own order is another."""
    numbers = [[int(digits) for digits in re.findall(r"\d+", label)] for label in labels]
    alike = len({re.sub(r"\d+", "0", label) for label in labels}) == 1
    problem = ""
    if alike and (late := next((i for i, n in enumerate(numbers[1:], 1) if n < numbers[i - 1]), 0)):
        problem = f"{labels[late - 1]!r} would come before {labels[late]!r}"
    elif alike and all(len(n) > 1 and n[-1] in YEARS and n[0] not in YEARS for n in numbers):
        problem = f"{labels[0]!r} has its year last"
    elif len(labels) > 1 and all(re.search(MONTH, label) for label in labels):
        problem = f"{labels[0]!r} would come first"
    if problem:
        raise DataError(
            f"Time column {column!r} holds text, which is put in the alphabet's order: {problem}.",
            "Periods out of order make an effect of nothing.",
            "Write dates as 2025-03-31 and weeks as w02, or number the periods.",
        )


def distinct(values: pd.Series) -> tuple[np.ndarray, pd.Series]:
    """Codes, -1 for empty, and the different values in any order."""
    found = counted(values)
    if found is None:
        coded, unique = pd.factorize(values, use_na_sentinel=True)
        return coded, pd.Series(unique)
    return found[0], pd.Series(found[1])


def plain_codes(values: pd.Series) -> np.ndarray:
    """Codes 0 to G-1, in the values' order where they have one.

    The bootstrap's multipliers go by code: a sorted one doesn't depend on the order of rows.
    """
    if values.dtype.kind in "iu":
        # Whole numbers that leave no gaps are codes already, but for where they start.
        plain = values.to_numpy(dtype=np.int64)
        shifted = plain - plain.min()
        if shifted.max() < len(plain) and (np.bincount(shifted) > 0).all():
            return shifted
    try:
        return pd.factorize(values, sort=True)[0].astype(np.int64)
    except TypeError:
        return pd.factorize(values)[0].astype(np.int64)
