"""Let an engine sum rows: cells instead of rows, wherever a method needs nothing finer.

Whatever holds the rows (files through DuckDB, a database table through Ibis, Spark, a lazy
polars frame) is asked through narwhals for counts, means and sums of squares by key, so memory
stays flat as rows grow. Estimators that work on such sums give the same answer as on the rows.
"""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from noholdout_shared import sources
from noholdout_shared.errors import DataError
from noholdout_shared.input import (
    Missing,
    Rows,
    check_choice,
    is_proportion,
    read_rows,
    settle_missing,
)
from noholdout_shared.input import outcome as outcome_of_rows

# Smaller tables are read whole: their rows fit anywhere, and messages can name one.
WHOLE_BELOW = 500_000

# Names in the engine's answer that no user's column has.
PREFIX = "noholdout_"
STATE = f"{PREFIX}state"


@dataclass(frozen=True)
class Cells:
    """What stands behind each entry of ``Rows.frame`` when the engine has summed rows.

    Parameters
    ----------
    copies
        Rows behind each entry, shape ``(k,)``.
    spread
        Sum of squared deviations from the entry's mean by value column, each of shape ``(k,)``;
        unweighted.
    low, high
        Least and greatest value by value column.
    """

    copies: np.ndarray
    spread: dict[str, np.ndarray]
    low: dict[str, float]
    high: dict[str, float]


@dataclass(frozen=True)
class SummedRows(Rows):
    """Rows, or cells that stand for many rows each: then ``cells`` says how many.

    In a cell, the value columns hold means (weighted ones, with weights), and the weights column
    holds the sum of the weights.
    """

    cells: Cells | None = None

    @property
    def copies(self) -> np.ndarray | None:
        """Rows behind each entry, or ``None`` when entries are rows."""
        return None if self.cells is None else self.cells.copies

    @property
    def each(self) -> np.ndarray:
        """Rows behind each entry as floats, ones when entries are rows; shape ``(k,)``."""
        if self.cells is None:
            return np.ones(len(self.frame))
        return self.cells.copies.astype(float)

    @property
    def n_rows(self) -> int:
        """Rows that the entries stand for."""
        return len(self.frame) if self.cells is None else int(self.cells.copies.sum())

    def counted(self, codes: np.ndarray, size: int) -> np.ndarray:
        """Rows by code, shape ``(size,)``."""
        if self.cells is None:
            return np.bincount(codes, minlength=size)
        return np.bincount(codes, weights=self.cells.copies, minlength=size).astype(np.int64)

    def outcome(self, column: str) -> tuple[np.ndarray, bool]:
        """The outcome, and whether it lies within [0, 1]; a constant one is refused."""
        if self.cells is None:
            values = outcome_of_rows(self.frame, column)
            return values, is_proportion(values)
        low, high = self.cells.low[column], self.cells.high[column]
        if low == high:
            outcome_of_rows(pd.DataFrame({column: [low] * 2}), column)
        return self.frame[column].to_numpy(dtype=float), low >= 0 and high <= 1


def read_cells(
    data: Any,
    *,
    keys: Iterable[str | None],
    values: Sequence[str],
    weights: str | None = None,
    missing: Missing = "refuse",
    may_be_empty: Sequence[str] = (),
) -> SummedRows:
    """Rows of a small table or of a frame in memory; cells of a large table elsewhere.

    Parameters
    ----------
    data
        As in :func:`noholdout_shared.input.read_rows`.
    keys
        Columns whose combinations make the cells; ``None`` entries are skipped.
    values
        Columns to be averaged within cells.
    weights
        Column of weights, summed within cells.
    missing, may_be_empty
        As in ``read_rows``; the same rows are refused or dropped, and counted.
    """
    check_choice("missing", missing, ("refuse", "drop"))
    by = list(dict.fromkeys(key for key in keys if key is not None))
    wanted = list(dict.fromkeys([*values, *by, *([] if weights is None else [weights])]))
    with open_table(data) as table:
        if table is None:
            return _whole(read_rows(data, wanted, missing=missing, may_be_empty=may_be_empty))
        schema = table.collect_schema()
        sources.require_columns(wanted, schema.names())
        measured = [*values, *([] if weights is None else [weights])]
        summable = all(_is_number(schema[column]) for column in measured)
        n_rows = int(collected(table.select(nw.len().alias("n")))["n"].iloc[0])
        if n_rows < WHOLE_BELOW or not summable or set(measured) & set(by):
            frame = collected(table.select(wanted))
            return _whole(read_rows(frame, wanted, missing=missing, may_be_empty=may_be_empty))
        found = collected(_grouped(table.select(wanted), schema, by, values, weights))
    return _settled(found, by, values, weights, missing, may_be_empty)


def _whole(rows: Rows) -> SummedRows:
    return SummedRows(rows.frame, rows.settings)


def _is_number(kind: Any) -> bool:
    return bool(kind.is_numeric() or kind == nw.Boolean)


@contextmanager
def open_table(data: Any) -> Iterator[nw.LazyFrame[Any] | None]:
    """The table where it is, unread; ``None`` for a frame that is in memory already.

    What the engine says against it is raised as a DataError.
    """
    if sources.is_location(data):
        with sources.opened(data) as native:
            yield nw.from_native(native)
        return
    if isinstance(data, pd.DataFrame):
        yield None
        return
    try:
        frame = nw.from_native(data)
    except TypeError:
        yield None  # read_rows says what can be read
        return
    yield frame if isinstance(frame, nw.LazyFrame) else None


def collected(table: nw.LazyFrame[Any]) -> pd.DataFrame:
    """The rows of a lazy table as a pandas frame."""
    if table.implementation.is_polars():
        eager = table.collect()
        return pd.DataFrame({name: eager[name].to_numpy() for name in eager.columns})
    frame: pd.DataFrame = table.collect(backend="pandas").to_native()
    return plain_columns(frame)


def plain_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Python's own decimals as floats and its dates as timestamps, as drivers hand them out."""
    changed: dict[str, Any] = {}
    for name, values in frame.items():
        if values.dtype != object:
            continue
        kind = next((type(v) for v in values if v is not None and v == v), None)
        if kind is decimal.Decimal:
            changed[str(name)] = values.astype(float)
        elif kind is datetime.date:
            changed[str(name)] = pd.to_datetime(values)
    return frame.assign(**changed)


def _grouped(
    table: nw.LazyFrame[Any],
    schema: Any,
    by: Sequence[str],
    values: Sequence[str],
    weights: str | None,
) -> nw.LazyFrame[Any]:
    """One row a combination of keys and of what is wrong with the values.

    The state is a number in base 3 with a digit a value: 0 fine, 1 missing, 2 infinite.
    """
    columns = [*values, *([] if weights is None else [weights])]
    numbers, state = [], nw.lit(0)
    for i, column in enumerate(columns):
        value = nw.col(column)
        whole = schema[column] == nw.Boolean or schema[column].is_integer()
        number = (value.cast(nw.Int64) if schema[column] == nw.Boolean else value).cast(nw.Float64)
        numbers.append(number.alias(f"{PREFIX}v{i}"))
        digit = nw.lit(0)
        if not whole:
            digit = nw.when(number.is_nan()).then(nw.lit(1)).otherwise(nw.lit(2))
            digit = nw.when(number.is_finite()).then(nw.lit(0)).otherwise(digit)
        digit = nw.when(value.is_null()).then(nw.lit(1)).otherwise(digit)
        state = state + digit * 3**i
    keys = [nw.col(column).alias(f"{PREFIX}k{i}") for i, column in enumerate(by)]
    summed = [nw.len().alias(f"{PREFIX}n")]
    for i in range(len(values)):
        value = nw.col(f"{PREFIX}v{i}")
        summed += [
            value.mean().alias(f"{PREFIX}mean{i}"),
            value.var(ddof=0).alias(f"{PREFIX}var{i}"),
            value.min().alias(f"{PREFIX}low{i}"),
            value.max().alias(f"{PREFIX}high{i}"),
        ]
    table = table.select(*keys, *numbers, state.alias(STATE))
    if weights is not None:
        w = f"{PREFIX}v{len(values)}"
        product = [
            (nw.col(w) * nw.col(f"{PREFIX}v{i}")).alias(f"{PREFIX}p{i}") for i in range(len(values))
        ]
        negative = nw.when(nw.col(w) < 0).then(nw.lit(1)).otherwise(nw.lit(0))
        table = table.with_columns(*product, negative.alias(f"{PREFIX}neg"))
        summed += [nw.col(w).sum().alias(f"{PREFIX}w"), nw.col(f"{PREFIX}neg").sum()]
        summed += [nw.col(f"{PREFIX}p{i}").sum() for i in range(len(values))]
    groups = [f"{PREFIX}k{i}" for i in range(len(by))]
    return table.group_by(*groups, STATE).agg(*summed)


def _settled(
    found: pd.DataFrame,
    by: Sequence[str],
    values: Sequence[str],
    weights: str | None,
    missing: Missing,
    may_be_empty: Sequence[str],
) -> SummedRows:
    """The engine's answer as a frame of cells, odd values refused or dropped as in memory."""
    if len(found) == 0:
        raise DataError(
            "The data has no rows.", "There is nothing to estimate.", "Check the file or filter."
        )
    copies = found[f"{PREFIX}n"].to_numpy(dtype=np.int64)
    columns = [*values, *([] if weights is None else [weights])]
    data: dict[str, Any] = {}
    for i, column in enumerate(values):
        data[column] = found[f"{PREFIX}mean{i}"].to_numpy(dtype=float)
    if weights is not None:
        total = found[f"{PREFIX}w"].to_numpy(dtype=float)
        data[weights] = total
        for i, column in enumerate(values):
            summed = found[f"{PREFIX}p{i}"].to_numpy(dtype=float)
            with np.errstate(invalid="ignore", divide="ignore"):
                data[column] = np.where(total > 0, summed / total, data[column])
        _refuse_negative(found, weights)
    for i, column in enumerate(columns):
        state = found[STATE].to_numpy() // 3**i % 3
        _refuse_infinite(column, int(copies[state == 2].sum()), column == weights)
        data[column] = np.where(state == 0, data[column], np.nan)
    for i, column in enumerate(by):
        data[column] = found[f"{PREFIX}k{i}"].to_numpy()
    frame = pd.DataFrame(data)
    rows, kept = settle_missing(frame, missing, may_be_empty, copies)
    settings = {
        **rows.settings,
        "summed_by_engine": f"{int(copies.sum()):,} rows in {len(rows.frame):,} cells",
    }
    spread = {
        column: found[f"{PREFIX}var{i}"].to_numpy(dtype=float)[kept] * copies[kept]
        for i, column in enumerate(values)
    }
    ends = {
        name: {
            c: found[f"{PREFIX}{name}{i}"].to_numpy(dtype=float)[kept] for i, c in enumerate(values)
        }
        for name in ("low", "high")
    }
    cells = Cells(
        copies=copies[kept],
        spread=spread,
        low={column: float(v.min()) for column, v in ends["low"].items()},
        high={column: float(v.max()) for column, v in ends["high"].items()},
    )
    return SummedRows(rows.frame, settings, cells)


def _refuse_infinite(column: str, count: int, weighs: bool) -> None:
    if count:
        raise DataError(
            f"{'Weights' if weighs else 'Outcome'} column {column!r} holds {count:,} infinite "
            "values.",
            "No average can be taken over them.",
            "Find out where they come from, and fix or remove those rows.",
        )


def _refuse_negative(found: pd.DataFrame, weights: str) -> None:
    negative = int(found[f"{PREFIX}neg"].sum())
    if negative:
        raise DataError(
            f"Weights column {weights!r} holds {negative:,} negative values.",
            "A sampling weight counts how many rows a row stands for.",
            "Use weights of zero or more.",
        )
