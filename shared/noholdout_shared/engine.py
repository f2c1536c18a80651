"""Let an engine sum rows: cells instead of rows, wherever a method needs nothing finer.

Whatever holds the rows (files through DuckDB, a database table through Ibis, Spark, a lazy
polars frame) is asked through narwhals for counts, means and sums of squares by key, so memory
stays flat as rows grow. Estimators that work on such sums give the same answer as on the rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from noholdout_shared import sources
from noholdout_shared.arguments import check_choice
from noholdout_shared.errors import DataError
from noholdout_shared.input import Missing, Rows, is_proportion, read_rows, settle_missing
from noholdout_shared.input import outcome as outcome_of_rows
from noholdout_shared.lazy import nameable
from noholdout_shared.missing_codes import CODES, Suspect, missing_code
from noholdout_shared.plain import plain_objects

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

    def behind(self, column: str, order: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Rows and squared deviations behind some entries; ``None`` twice when these are rows."""
        if self.cells is None:
            return None, None
        return self.cells.copies[order], self.cells.spread[column][order]

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
    measured = [*values, *([] if weights is None else [weights])]
    with open_table(data) as table:
        schema = {} if table is None else table.collect_schema()
        if table is None or not set(wanted) <= set(schema):
            # Not summable, or refused there with the nearest names.
            return _whole(read_rows(data, wanted, missing=missing, may_be_empty=may_be_empty))
        table = table.select(wanted)
        n_rows = int(collected(table.select(nw.len().alias("n")))["n"].iloc[0])
        summable = all(_is_number(schema[column]) for column in measured)
        if n_rows < WHOLE_BELOW or not summable or set(measured) & set(by):
            frame = collected(table)
            return _whole(read_rows(frame, wanted, missing=missing, may_be_empty=may_be_empty))
        return _summed(table, schema, by, values, weights, missing, may_be_empty)


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
            yield nameable(nw.from_native(native))
        return
    if isinstance(data, pd.DataFrame):
        yield None
        return
    try:
        frame = nw.from_native(data)
    except TypeError:
        yield None  # read_rows says what can be read
        return
    yield nameable(frame) if isinstance(frame, nw.LazyFrame) else None


def collected(table: nw.LazyFrame[Any]) -> pd.DataFrame:
    """The rows of a lazy table as a pandas frame."""
    if table.implementation.is_polars():
        eager = table.collect()
        return pd.DataFrame({name: eager[name].to_numpy() for name in eager.columns})
    frame: pd.DataFrame = table.collect(backend="pandas").to_native()
    objects = {str(name): values for name, values in frame.items() if values.dtype.kind == "O"}
    return frame.assign(**{name: plain_objects(values) for name, values in objects.items()})


def _summed(
    table: nw.LazyFrame[Any],
    schema: Any,
    by: Sequence[str],
    values: Sequence[str],
    weights: str | None,
    missing: Missing,
    may_be_empty: Sequence[str],
) -> SummedRows:
    """Cells: first what the columns hold as a whole, then the sums by key."""
    columns = [*values, *([] if weights is None else [weights])]
    table = table.select(
        *(nw.col(column).alias(f"{PREFIX}k{i}") for i, column in enumerate(by)),
        *(_as_float(column, schema).alias(f"{PREFIX}v{i}") for i, column in enumerate(columns)),
    )
    whole = _column_totals(table, columns, schema)
    for column, row in whole.items():
        _refuse_infinite(column, int(row["infinite"]), column == weights)
    if weights is not None:
        _refuse_negative(int(whole[weights]["negative"]), weights)
    for i, column in enumerate(values):
        _refuse_missing_codes(table, i, column, whole[column])
    odd = any(row["missing"] > 0 for row in whole.values())
    centres = [_centre(whole[column]) for column in values]
    sums = collected(_sums(table, len(by), centres, weights is not None, columns if odd else ()))
    if len(sums) == 0:
        raise DataError(
            "The data has no rows.", "There is nothing to estimate.", "Check the file or filter."
        )
    copies = sums[f"{PREFIX}n"].to_numpy(dtype=np.int64)
    state = sums[STATE].to_numpy() if odd else np.zeros(len(sums), dtype=np.int64)
    data: dict[str, Any] = {}
    spread: dict[str, np.ndarray] = {}
    for i, (column, centre) in enumerate(zip(values, centres, strict=True)):
        first, second = (_floats(sums, f"{name}{i}") for name in ("first", "second"))
        data[column] = centre + first / copies
        spread[column] = np.maximum(second - first**2 / copies, 0.0)
        if weights is not None:
            total = _floats(sums, "w")
            with np.errstate(invalid="ignore", divide="ignore"):
                mean = centre + _floats(sums, f"weighted{i}") / total
            data[column] = np.where(total > 0, mean, data[column])
    if weights is not None:
        data[weights] = _floats(sums, "w")
    for i, column in enumerate(columns):
        data[column] = np.where(state // 2**i % 2 == 0, data[column], np.nan)
    for i, column in enumerate(by):
        data[column] = sums[f"{PREFIX}k{i}"].to_numpy()
    rows, kept = settle_missing(pd.DataFrame(data), missing, may_be_empty, copies)
    cells = Cells(
        copies=copies[kept],
        spread={column: part[kept] for column, part in spread.items()},
        low={column: float(whole[column]["low"]) for column in values},
        high={column: float(whole[column]["high"]) for column in values},
    )
    said = f"{int(copies.sum()):,} rows in {len(rows.frame):,} cells"
    return SummedRows(rows.frame, {**rows.settings, "summed_by_engine": said}, cells)


def _as_float(column: str, schema: Any) -> nw.Expr:
    value = nw.col(column)
    if schema[column] == nw.Boolean:
        value = value.cast(nw.Int64)
    return value.cast(nw.Float64)


def _column_totals(
    table: nw.LazyFrame[Any], columns: Sequence[str], schema: Any
) -> dict[str, pd.Series]:
    """``missing, infinite, negative, low, high, mean, variance`` of each column."""
    one, none = nw.lit(1), nw.lit(0)
    parts, flags = [], []
    for i, column in enumerate(columns):
        value = nw.col(f"{PREFIX}v{i}")
        absent = nw.when(value.is_null()).then(one).otherwise(none)
        infinite = none
        if not (schema[column] == nw.Boolean or schema[column].is_integer()):
            nan = nw.when(value.is_nan()).then(one).otherwise(none)
            absent = nw.when(value.is_null()).then(one).otherwise(nan)
            infinite = nw.when(value.is_finite()).then(none).otherwise(one)
            value = nw.when(value.is_finite()).then(value)
        flags += [
            absent.alias(f"missing{i}"),
            infinite.alias(f"unfinite{i}"),
            nw.when(value < 0).then(one).otherwise(none).alias(f"negative{i}"),
            value.alias(f"value{i}"),
        ]
        kept = nw.col(f"value{i}")
        parts += [nw.col(f"{name}{i}").sum() for name in ("missing", "unfinite", "negative")]
        parts += [
            kept.min().alias(f"low{i}"),
            kept.max().alias(f"high{i}"),
            kept.mean().alias(f"mean{i}"),
            kept.var(ddof=0).alias(f"variance{i}"),
        ]
    row = collected(table.select(*flags).select(*parts)).iloc[0]
    names = ("missing", "unfinite", "negative", "low", "high", "mean", "variance")
    found = {}
    for i, column in enumerate(columns):
        one_column = pd.Series({name: row[f"{name}{i}"] for name in names}, dtype=float).fillna(0)
        # A missing value isn't finite either.
        one_column["infinite"] = max(one_column["unfinite"] - one_column["missing"], 0)
        found[column] = one_column
    return found


def _centre(whole: pd.Series) -> float:
    """What to subtract before squaring: nothing, unless the mean dwarfs the deviation."""
    return float(whole["mean"]) if whole["mean"] ** 2 > 100 * whole["variance"] else 0.0


def _sums(
    table: nw.LazyFrame[Any],
    n_keys: int,
    centres: Sequence[float],
    weighted: bool,
    odd: Sequence[str],
) -> nw.LazyFrame[Any]:
    """Counts and sums of first and second powers by key, and by which values are missing."""
    made, summed = [], [nw.len().alias(f"{PREFIX}n")]
    w = nw.col(f"{PREFIX}v{len(centres)}")
    for i, centre in enumerate(centres):
        value = nw.col(f"{PREFIX}v{i}") - centre
        made += [value.alias(f"{PREFIX}first{i}"), (value * value).alias(f"{PREFIX}second{i}")]
        summed += [nw.col(f"{PREFIX}{name}{i}").sum() for name in ("first", "second")]
        if weighted:
            made.append((w * value).alias(f"{PREFIX}weighted{i}"))
            summed.append(nw.col(f"{PREFIX}weighted{i}").sum())
    if weighted:
        made.append(w.alias(f"{PREFIX}w"))
        summed.append(nw.col(f"{PREFIX}w").sum())
    keys = [f"{PREFIX}k{i}" for i in range(n_keys)]
    if odd:
        state = nw.lit(0)
        for i in range(len(odd)):
            value = nw.col(f"{PREFIX}v{i}")
            absent = nw.when(value.is_nan()).then(nw.lit(1)).otherwise(nw.lit(0))
            state = state + nw.when(value.is_null()).then(nw.lit(1)).otherwise(absent) * 2**i
        made.append(state.alias(STATE))
    table = table.select(*keys, *made)
    return table.group_by(*keys, *([STATE] if odd else [])).agg(*summed)


def _floats(sums: pd.DataFrame, name: str) -> np.ndarray:
    return sums[f"{PREFIX}{name}"].to_numpy(dtype=float, na_value=np.nan)


def _refuse_infinite(column: str, count: int, weighs: bool) -> None:
    if count:
        raise DataError(
            f"{'Weights' if weighs else 'Outcome'} column {column!r} holds {count:,} infinite "
            "values.",
            "No average can be taken over them.",
            "Find out where they come from, and fix or remove those rows.",
        )


def _refuse_negative(negative: int, weights: str) -> None:
    if negative:
        raise DataError(
            f"Weights column {weights!r} holds {negative:,} negative values.",
            "A sampling weight counts how many rows a row stands for.",
            "Use weights of zero or more.",
        )


def _refuse_missing_codes(table: nw.LazyFrame[Any], i: int, column: str, whole: pd.Series) -> None:
    """As :func:`noholdout_shared.missing_codes.refuse_missing_codes`; one more query if need be."""
    one, none = nw.lit(1), nw.lit(0)
    value = nw.col(f"{PREFIX}v{i}")
    for code in {float(whole["low"]), float(whole["high"])} & CODES:
        other = nw.when(value.is_finite() & ~value.is_in(sorted(CODES))).then(value)
        flags = table.select(
            nw.when(value == code).then(one).otherwise(none).alias("n_code"),
            nw.when(value == -code).then(one).otherwise(none).alias("n_mirrored"),
            nw.when(value.is_null()).then(none).otherwise(one).alias("n_rows"),
            other.alias("other"),
        )
        found = flags.select(
            *(nw.col(name).sum() for name in ("n_code", "n_mirrored", "n_rows")),
            nw.col("other").min().alias("low"),
            nw.col("other").max().alias("high"),
        )
        row = collected(found).astype(float).iloc[0]
        suspect = Suspect(code, int(row["n_code"]), row["low"], row["high"], int(row["n_mirrored"]))
        if suspect.stands_for_missing:
            raise missing_code(suspect, f"{int(row['n_rows']):,} rows", column, "Outcome")
