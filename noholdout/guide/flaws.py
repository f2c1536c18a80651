"""What in a file is to be put right before any design: copies of rows, codes for missing values."""

from __future__ import annotations

import numpy as np
from noholdout_shared.missing_codes import Suspect

from noholdout.guide.columns import Table

MANY = 0.01  # of the rows: fewer move no interval
UNIQUE = 0.9
COLUMNS = 4  # with fewer, equal rows are ordinary


def flaws(table: Table) -> tuple[str, ...]:
    """One sentence for each flaw."""
    return tuple(filter(None, [_copies(table), *(_code(*one) for one in table.codes.items())]))


def _copies(table: Table) -> str | None:
    """Rows that stand twice, as a join leaves them.

    In discrete data equal rows are ordinary: said only where a column all but names the rows that
    are left without their copies.
    """
    if table.sampled or len(table.columns) < COLUMNS:
        return None
    copied = table.frame.duplicated()
    if copied.mean() < MANY:
        return None
    left = table.frame[~copied]
    if max(left[name].nunique() for name in left) < UNIQUE * len(left):
        return None
    copy = int(np.flatnonzero(copied)[0])
    original = int(np.flatnonzero(table.frame.iloc[: copy + 1].duplicated(keep="last"))[0])
    return (
        f"{int(copied.sum()):,} of {table.n_rows:,} rows are exact copies of another row (row "
        f"{copy + 1:,} of row {original + 1:,}). If a join made them, remove them: each counts as "
        "one more observation, so that intervals come out too narrow."
    )


def _code(name: str, found: Suspect) -> str:
    return (
        f"{name} is {found.code:.10g} in {found.count:,} rows and runs from {found.low:.6g} to "
        f"{found.high:.6g} in the others: a code for a missing value. Write such cells as empty, "
        "as they are read here."
    )
