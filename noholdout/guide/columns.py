"""What each column of an unknown file is like, and what its name hints at.

Names are hints only: they break ties and leave columns out of a balance test, and what the guide
says rests on tests of the values.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from noholdout_shared.errors import DataError
from noholdout_shared.missing_codes import Suspect, missing_code_in
from noholdout_shared.plain import settle_types
from noholdout_shared.sources import is_location, require_columns, sample_location

Kind = Literal["binary", "integer", "number", "date", "text", "constant"]

MAX_ROWS = 1_000_000

# Words of names, by what they hint at. Prefixes count where a word has four letters or more.
WORDS: dict[str, tuple[str, ...]] = {
    "outcome": (
        "outcome", "y", "complete", "completed", "completion", "conversion", "converted", "success",
        "retained", "retention", "churn", "churned", "resolved", "purchase", "revenue", "sales",
    ),
    "maybe_outcome": (
        "spend", "price", "visit", "click", "thumbs", "rating", "satisfaction", "csat", "nps",
        "minutes", "seconds", "duration", "latency", "cost", "vote", "support", "mort", "death",
        "homicide", "gdp", "wage", "earnings", "rate", "sale",
    ),
    "treatment": (
        "treat", "treated", "treatment", "variant", "arm", "opt", "optin", "opted", "exposed",
        "exposure", "enabled", "adopted", "upgraded", "routed", "participation", "participated",
        "enrolled", "program", "assigned", "assignment", "harmed", "trt", "d", "post",
    ),
    "time": ("time", "date", "day", "week", "month", "quarter", "year", "period", "timestamp"),
    "weight": ("weight", "weights", "wt", "popwt", "wgt"),
    "identifier": ("id", "uuid", "key", "code", "index", "row", "number", "name", "fips", "no"),
    "person": (
        "age", "sex", "gender", "female", "male", "race", "black", "white", "hisp", "hispan",
        "married", "marr", "educ", "education", "degree", "nodegree", "income", "region", "pop",
        "population", "tier", "plan", "country", "segment", "channel", "newbie",
    ),
}  # fmt: skip
ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d")
YEAR = re.compile(r"^(.*?[^\d])((?:19|20)?\d\d)$")


@dataclass(frozen=True)
class Column:
    """One column: its kind, how many values it has, and the hints in its name."""

    name: str
    kind: Kind
    distinct: int
    missing: int
    hints: frozenset[str]

    def hints_at(self, what: str) -> bool:
        """Whether the name holds a word of that list."""
        return what in self.hints


@dataclass(frozen=True)
class Table:
    """The user's data as the guide sees it.

    Parameters
    ----------
    location
        The path or URL as the user typed it, for the commands.
    frame
        All rows, or a random sample of a million.
    n_rows
        Rows of the data itself.
    columns
        By name, in the data's order.
    codes
        Codes for missing values, by column; in ``frame`` these cells are empty.
    """

    location: str
    frame: pd.DataFrame
    n_rows: int
    columns: dict[str, Column]
    codes: dict[str, Suspect]

    @property
    def sampled(self) -> bool:
        """Whether ``frame`` is a sample."""
        return self.n_rows > len(self.frame)

    def names(self, *kinds: Kind) -> list[str]:
        """The columns of these kinds, in order."""
        return [name for name, column in self.columns.items() if column.kind in kinds]

    def any_missing(self, names: Sequence[str | None]) -> bool:
        """Whether one of the columns has empty cells."""
        return any(name is not None and self.columns[name].missing for name in names)

    def require(self, names: Sequence[str | None]) -> None:
        """Raise a DataError for a name that isn't a column."""
        require_columns([name for name in names if name is not None], list(self.columns))


def look(data: str | pd.DataFrame, location: str = "FILE", limit: int = MAX_ROWS) -> Table:
    """Read the columns of a file, a table (URL) or a frame, whatever they are called.

    Raises
    ------
    DataError
        It can't be read, has no rows, or names a column twice.
    """
    if is_location(data):
        location = str(data)
        frame, n_rows = sample_location(location, limit)
    else:
        frame, n_rows = pd.DataFrame(data).copy(deep=False), len(data)
    if n_rows == 0:
        raise DataError("The data has no rows.", "There is nothing to look at.", "Check the file.")
    frame = frame.rename(columns=str)
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise DataError(f"Column {twice[0]!r} stands twice in the data.", "", "Rename one of them.")
    settle_types(frame)
    frame = frame.assign(**_dates_in_text(frame))
    codes = _codes(frame)
    frame = frame.assign(**{n: frame[n].mask(frame[n] == found.code) for n, found in codes.items()})
    columns = {name: _column(name, frame[name]) for name in frame.columns}
    # Tests need one type a column: booleans as 0/1, dates as dates.
    plain = frame.assign(
        **{n: frame[n].astype(float) for n, c in columns.items() if c.kind == "binary"}
    )
    return Table(location, plain, n_rows, columns, codes)


def _codes(frame: pd.DataFrame) -> dict[str, Suspect]:
    """Codes for missing values, by column of numbers."""
    found = {}
    for name, values in frame.items():
        if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
            numbers = values.dropna().to_numpy(dtype=float)
            if numbers.size and (code := missing_code_in(numbers, numbers.min(), numbers.max())):
                found[str(name)] = code
    return found


def _dates_in_text(frame: pd.DataFrame) -> dict[str, pd.Series]:
    """Text columns whose every value is a date such as 2025-03-31, as dates."""
    found = {}
    for name, values in frame.items():
        filled = values.dropna()
        head = filled.head(100)
        if len(head) == 0 or not all(isinstance(v, str) and ISO_DATE.match(v) for v in head):
            continue
        parsed = pd.to_datetime(filled, errors="coerce", format="ISO8601", utc=False)
        if pd.api.types.is_datetime64_any_dtype(parsed) and parsed.notna().all():
            found[str(name)] = parsed.reindex(values.index)
    return found


def _column(name: str, values: pd.Series) -> Column:
    return Column(
        name=name,
        kind=_kind(values),
        distinct=int(values.nunique()),
        missing=int(values.isna().sum()),
        hints=_hints(name),
    )


def _kind(values: pd.Series) -> Kind:
    filled = values.dropna()
    if filled.nunique() <= 1:
        return "constant"
    if pd.api.types.is_datetime64_any_dtype(values):
        return "date"
    if pd.api.types.is_bool_dtype(filled) or set(map(type, filled.head(100))) == {bool}:
        return "binary"
    if not pd.api.types.is_numeric_dtype(values):
        return "text"
    numbers = filled.to_numpy(dtype=float)
    if np.isin(numbers, (0.0, 1.0)).all():
        return "binary"
    return "integer" if (numbers == np.round(numbers)).all() else "number"


def _hints(name: str) -> frozenset[str]:
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    words = {word for word in re.split(r"[^a-z]+", spaced.lower()) if len(word) > 1}
    words.add(name.lower())  # a single letter hints only when it is the whole name: d, not d89
    hints = {
        what
        for what, known in WORDS.items()
        for one in known
        if any(word == one or (len(one) >= 4 and word.startswith(one)) for word in words)
    }
    return frozenset(hints)


def outcome_rank(table: Table, candidates: Sequence[str]) -> list[str]:
    """The candidates that may be one, the likeliest outcome first; ties keep the data's order.

    The latest of columns whose names differ by a year only (re74, re75, re78) is likelier than
    the earlier ones, which came before.
    """
    families: dict[str, list[tuple[int, str]]] = {}
    for name in candidates:
        if match := YEAR.match(name):
            families.setdefault(match.group(1), []).append((int(match.group(2)), name))
    latest = {max(members)[1] for members in families.values() if len(members) > 1}
    earlier = {n for f in families.values() if len(f) > 1 for _, n in f} - latest

    def score(name: str) -> float:
        column = table.columns[name]
        points = 3 * column.hints_at("outcome") + 2 * column.hints_at("maybe_outcome")
        points += (name in latest) - 2 * (name in earlier)
        points -= 4 * column.hints_at("person") + 4 * column.hints_at("weight")
        points -= 4 * (column.hints_at("identifier") and column.kind != "number")
        points -= 4 * (column.hints_at("time") and column.kind == "integer")
        points -= 3 * (column.missing > 0.5 * len(table.frame))
        return points

    likely = [name for name in candidates if score(name) >= 0]
    return sorted(likely or candidates, key=score, reverse=True)


def like_an_outcome(table: Table, name: str) -> bool:
    """Whether the name says that this is a result, so that it is no covariate."""
    column = table.columns[name]
    if column.hints_at("person"):
        return False
    return column.hints_at("outcome") or column.hints_at("maybe_outcome")
