"""Numbers that stand for a missing value: -999 and its like, far from everything else.

Averaged as numbers they move an answer by any amount, and no check of a design sees them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from noholdout_shared.errors import DataError

# No positive code below five nines: 99, 999 and 9,999 are prices, and caps of counts.
NINES_BELOW = tuple(-(10.0**digits - 1) for digits in range(1, 11))
NINES_ABOVE = tuple(10.0**digits - 1 for digits in range(5, 11))
LIMITS = (-(2.0**63), -(2.0**31), 2.0**31 - 1, 2.0**32 - 1)  # of integers in computers
FILLS = (-1e30, -1e20, -1e9, 1e9, 1e10, 1e12, 1e15, 1e20, 1e30, 9.969209968386869e36)
CODES = frozenset(NINES_BELOW + NINES_ABOVE + LIMITS + FILLS)

FAR = 10  # ranges of the other values
LONG = -999.0  # from here on a code is no plain count of something below zero


@dataclass(frozen=True)
class Suspect:
    """A code at one end of a column.

    Parameters
    ----------
    code, count
        Its value, and the rows that hold it.
    low, high
        Least and greatest of the values that are no codes.
    mirrored
        Rows that hold its value with the other sign.
    """

    code: float
    count: int
    low: float
    high: float
    mirrored: int

    @property
    def stands_for_missing(self) -> bool:
        """Whether the code is repeated and lies where no value of the column would.

        Beyond the others by ten times their whole range; or, where nothing else is below zero, by
        their range, or by any distance for three nines and more. A refund has a payment of the
        same size somewhere in its column. Doubled, no code is one any more.
        """
        span = self.high - self.low
        if not (self.count > 1 and span > 0) or self.low <= self.code <= self.high:
            return False
        gap = self.low - self.code if self.code < self.low else self.code - self.high
        if self.code < 0 <= self.low:
            return not self.mirrored and (self.code <= LONG or gap > span)
        return gap > FAR * span


def missing_code_in(values: np.ndarray, low: float, high: float) -> Suspect | None:
    """The code for missing that the column holds; ``low`` and ``high`` are its ends.

    Nothing else is looked at unless one of them is a code.
    """
    ends = {float(end) for end in (low, high)} & CODES
    if not ends:
        return None
    others = values[~np.isin(values, list(CODES))]
    if not others.size:
        return None
    suspects = (
        Suspect(
            code=code,
            count=int((values == code).sum()),
            low=float(others.min()),
            high=float(others.max()),
            mirrored=int((values == -code).sum()),
        )
        for code in sorted(ends)
    )
    return next((suspect for suspect in suspects if suspect.stands_for_missing), None)


def refuse_missing_codes(
    values: np.ndarray, low: float, high: float, column: str, role: str
) -> None:
    """Raise a DataError when the column, from ``low`` to ``high``, holds a code for missing."""
    found = missing_code_in(values, low, high)
    if found is not None:
        first = int(np.flatnonzero(values == found.code)[0]) + 1
        raise missing_code(found, f"{values.size:,} rows (the first is row {first})", column, role)


def may_hold_codes(frame: pd.DataFrame) -> bool:
    """Whether a column of numbers begins or ends with a code: its rows then have to be counted."""
    numbers = frame.select_dtypes("number")
    return bool(set(numbers.min()).union(numbers.max()) & CODES)


def missing_code(suspect: Suspect, rows: str, column: str, role: str) -> DataError:
    """The refusal; ``rows`` says of how many."""
    code = f"{suspect.code:.10g}"
    return DataError(
        f"{role} column {column!r} is {code} in {suspect.count:,} of {rows}, while its other "
        f"values run from {suspect.low:.6g} to {suspect.high:.6g}.",
        f"It looks like a code for a missing value, and would be averaged as the number {code}.",
        "Write such cells as empty, then choose --missing refuse or drop. If the number is real, "
        "store the column in another unit, for example twice as large.",
    )
