"""From whatever the user has (a frame, a table, a path) to clean columns, or to a DataError."""

from __future__ import annotations

import decimal
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NoReturn

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from noholdout_shared.arguments import check_choice
from noholdout_shared.errors import DataError
from noholdout_shared.lazy import fetched
from noholdout_shared.missing_codes import refuse_missing_codes
from noholdout_shared.plain import settle_types
from noholdout_shared.sources import is_location, read_location, require_columns

Missing = Literal["refuse", "drop"]

HUGE = 1e100  # beyond it products of a few values overflow
RESOLUTION = 1e-10  # of its largest value must an outcome vary by: floats hold 16 digits
# Spellings of "missing" in text exports; looked at only where numbers are needed, since "NA"
# may be a region.
MISSING_WORDS = frozenset({"", "na", "nan", "n/a", "null", "none", "nat", "."})


@dataclass(frozen=True)
class Rows:
    """The rows that an analysis stands on.

    Parameters
    ----------
    frame
        A new frame with the asked columns only, one row an observation, index 0 to n-1.
    settings
        What was dropped and why, to be carried into ``Estimate.settings``.
    """

    frame: pd.DataFrame
    settings: dict[str, Any] = field(default_factory=dict)


def read_rows(
    data: Any,
    columns: Iterable[str | None],
    *,
    missing: Missing = "refuse",
    may_be_empty: Sequence[str] = (),
    sample: int | None = None,
    seed: int = 0,
) -> Rows:
    """Read the named columns of ``data`` and settle missing values.

    Parameters
    ----------
    data
        A pandas, polars or Arrow frame, an Ibis table, a path (csv, csv.gz, parquet, a glob), or
        a connection URL with ``#table``. It isn't changed.
    columns
        The columns that the analysis uses; ``None`` entries are skipped.
    missing
        ``refuse``: missing values are an error; ``drop``: rows with one are dropped and counted.
    may_be_empty
        Columns in which an empty cell says something (never treated), and isn't missing.
    sample, seed
        Read that many random rows only; ``settings`` then say what it adds to the standard error.

    Raises
    ------
    DataError
        No such file, unreadable, empty, an unknown column, or missing values under ``refuse``.
    """
    wanted = list(dict.fromkeys(_named(column) for column in columns if column is not None))
    check_choice("missing", missing, ("refuse", "drop"))
    said: dict[str, Any] = {}
    if sample is None:
        frame = _select(data, wanted)
    else:
        from noholdout_shared.sampling import sampled

        frame, said = sampled(data, wanted, sample, seed, _select)
    if len(frame) == 0:
        raise DataError(
            "The data has no rows.", "There is nothing to estimate.", "Check the file or filter."
        )
    rows = settle_missing(frame, missing, may_be_empty)[0]
    return replace(rows, settings=said | rows.settings) if said else rows


def _named(column: Any) -> Any:
    if isinstance(column, Hashable):
        return column
    raise DataError(f"{column!r} was given where one column is named.", "", "Name a single column.")


def _select(data: Any, wanted: list[str]) -> pd.DataFrame:
    if is_location(data):
        return read_location(data, wanted)
    if isinstance(data, pd.DataFrame):
        duplicated = data.columns[data.columns.duplicated()]
        if len(set(wanted) & set(duplicated)):
            raise DataError(
                f"Column {duplicated[0]!r} stands twice in the data.",
                "It isn't clear which of the two is meant.",
                "Rename or drop one of them.",
            )
        require_columns(wanted, list(data.columns))
        # The user's own values, which are only ever read.
        return pd.DataFrame({name: data[name].array for name in wanted}, copy=False)
    if hasattr(data, "to_pandas") and type(data).__module__.startswith("ibis."):
        require_columns(wanted, list(data.columns))
        return data.select(wanted).to_pandas()
    try:
        found: Any = nw.from_native(data)
    except TypeError as error:
        raise DataError(
            f"Data of type {type(data).__name__!r} can't be read.",
            "A frame, an Ibis table, a path or a connection URL is needed.",
            "Pass a pandas, polars or Arrow frame, or the path of a CSV or Parquet file.",
        ) from error
    require_columns(wanted, found.collect_schema().names())
    lazy = isinstance(found, nw.LazyFrame)
    chosen = fetched(found, wanted) if lazy else found.select(wanted)
    # Column by column, since a whole-frame conversion from polars needs pyarrow.
    return pd.DataFrame({name: _series_values(chosen[name]) for name in wanted})


def _series_values(series: nw.Series) -> Any:
    if series.dtype == nw.Boolean and series.null_count():
        return pd.Series(series.to_list(), dtype=object)
    if isinstance(series.dtype, nw.Datetime) and series.dtype.time_zone:
        # to_numpy would give UTC without its zone.
        zone = series.dtype.time_zone
        utc = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None).to_numpy()
        return pd.DatetimeIndex(utc).tz_localize("UTC").tz_convert(zone)
    return series.to_numpy()


def settle_missing(
    frame: pd.DataFrame,
    missing: Missing,
    may_be_empty: Sequence[str] = (),
    copies: np.ndarray | None = None,
) -> tuple[Rows, np.ndarray]:
    """Refuse or drop rows with a missing value; also which were kept, shape ``(n,)``.

    ``copies``: how many rows each row of ``frame`` stands for. ``frame`` may be changed.
    """
    zones = settle_types(frame)
    said = {"time_zones": zones} if zones else {}
    for column, kind in frame.dtypes.items():
        if isinstance(kind, pd.StringDtype) or kind == np.dtype(object):
            values = frame[column]
            blanks = [v for v in _distinct(values) if isinstance(v, str) and not v.strip()]
            if blanks:
                frame[column] = values.mask(values.isin(blanks))
    absent = (frame.drop(columns=list(may_be_empty)) if may_be_empty else frame).isna()
    rows_hit = np.zeros(len(frame), dtype=bool)
    if absent.to_numpy().any():
        rows_hit = absent.any(axis=1).to_numpy()
    n_rows = len(frame) if copies is None else int(copies.sum())
    if not rows_hit.any():
        return Rows(frame, {"rows_read": n_rows, "rows_dropped_missing": 0} | said), ~rows_hit
    weight = np.ones(len(frame), dtype=np.int64) if copies is None else copies
    per_column = {name: int(weight[absent[name].to_numpy()].sum()) for name in absent}
    listed = ", ".join(f"{name!r} {count:,}" for name, count in per_column.items() if count)
    n_hit = int(weight[rows_hit].sum())
    if missing == "refuse":
        first = f"; the first is row {int(np.flatnonzero(rows_hit)[0]) + 1}"
        raise DataError(
            f"{n_hit:,} of {n_rows:,} rows have missing values ({listed}"
            f"{first if copies is None else ''}).",
            "Leaving such rows out changes whom the answer covers.",
            "Fill them, or use --missing drop (missing='drop') to leave them out, counted.",
        )
    kept = frame.loc[~rows_hit].reset_index(drop=True)
    if kept.empty:
        raise DataError(
            f"Every one of the {n_rows:,} rows has a missing value ({listed}).",
            "Nothing is left to estimate.",
            "Leave out the columns that are mostly missing.",
        )
    return Rows(kept, {"rows_read": n_rows, "rows_dropped_missing": n_hit} | said), ~rows_hit


def _distinct(values: pd.Series) -> np.ndarray:
    try:
        return values.unique()
    except TypeError as error:
        odd = next(value for value in values if not isinstance(value, Hashable))
        raise DataError(
            f"Column {str(values.name)!r} holds a {type(odd).__name__} in some rows, such as "
            f"{odd!r}.",
            "A cell must hold one number, text or date.",
            "Take the values out of their containers, or name another column.",
        ) from error


def numeric(frame: pd.DataFrame, column: str, role: str) -> np.ndarray:
    """The column as floats, shape ``(n,)``; booleans become 0 and 1.

    Raises
    ------
    DataError
        Text, dates or infinite values; the message counts them and shows one.
    """
    values = frame[column]
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(object)
    if pd.api.types.is_complex_dtype(values) or pd.api.types.is_timedelta64_dtype(values):
        kind = "complex numbers" if pd.api.types.is_complex_dtype(values) else "durations"
        raise DataError(
            f"{role} column {column!r} holds {kind}.",
            "It must hold plain numbers, in a unit that you chose.",
            "Convert it, for example durations to seconds: column.dt.total_seconds().",
        )
    if pd.api.types.is_bool_dtype(values) or pd.api.types.is_numeric_dtype(values):
        array = values.to_numpy(dtype=float)
    elif pd.api.types.is_datetime64_any_dtype(values):
        raise DataError(
            f"{role} column {column!r} holds dates.",
            "It must hold numbers.",
            "Name a numeric column, or convert the dates to numbers.",
        )
    elif values.map(lambda v: isinstance(v, (decimal.Decimal, bool, int, float, np.generic))).all():
        array = values.astype(float).to_numpy()
    else:
        array = _numbers_in_text(values, column, role)
    if array.size:
        low, high = array.min(), array.max()
        if not (low >= -HUGE and high <= HUGE):
            _refuse_unbounded(array, column, role)
        refuse_missing_codes(array, low, high, column, role)
    return array


def _refuse_unbounded(array: np.ndarray, column: str, role: str) -> NoReturn:
    infinite = ~np.isfinite(array)
    if infinite.any():
        raise DataError(
            f"{role} column {column!r} holds {int(infinite.sum()):,} infinite or missing values "
            f"(the first in row {int(np.flatnonzero(infinite)[0]) + 1}).",
            "No average can be taken over them.",
            "Find out where they come from, and fix or remove those rows.",
        )
    huge = np.abs(array) > HUGE
    raise DataError(
        f"{role} column {column!r} holds {int(huge.sum()):,} values beyond {HUGE:g} (the first "
        f"in row {int(np.flatnonzero(huge)[0]) + 1}).",
        "Their squares don't fit into a number, and they are likely to be codes for missing.",
        "Remove those rows, or write the column in another unit.",
    )


def _numbers_in_text(values: pd.Series, column: str, role: str) -> np.ndarray:
    parsed = pd.to_numeric(values, errors="coerce")
    wrong = parsed.isna()
    texts = values[wrong].astype(str)
    if not wrong.any():
        return parsed.to_numpy(dtype=float)
    if not wrong.all() and texts.str.strip().str.lower().isin(MISSING_WORDS).all():
        raise DataError(
            f"{role} column {column!r} holds {int(wrong.sum()):,} texts such as {texts.iloc[0]!r} "
            "among its numbers.",
            "They look like missing values, and which rows to leave out is your decision.",
            "Write them as empty cells, then choose --missing refuse or drop.",
        )
    raise DataError(
        f"{role} column {column!r} holds text in {int(wrong.sum()):,} of {len(values):,} rows "
        f"(for example {texts.iloc[0]!r}).",
        "It must hold numbers.",
        "Name a numeric column, or convert this one.",
    )


def outcome(frame: pd.DataFrame, column: str) -> np.ndarray:
    """The outcome as floats, shape ``(n,)``; a constant outcome is refused."""
    values = numeric(frame, column, "Outcome")
    if values.size < 2:
        return values
    low, high = values.min(), values.max()
    if low == high:
        raise DataError(
            f"Outcome column {column!r} is {low:g} in all {values.size:,} rows.",
            "An outcome that never varies holds no information about an effect.",
            "Check that the right column was named and that it was logged.",
        )
    if high - low < RESOLUTION * max(abs(low), abs(high)):
        raise DataError(
            f"Outcome column {column!r} varies by {high - low:.3g} around {values[0]:.6g}: in "
            "its 11th digit or later.",
            "Computers keep about 16 digits, so little of that variation would survive.",
            "Subtract a constant from the column first; effects stay the same.",
        )
    if high - low < 1 / HUGE:
        raise DataError(
            f"Outcome column {column!r} varies by {high - low:.3g} only.",
            "The squares of such numbers don't fit into a number.",
            "Write the column in another unit.",
        )
    return values


def is_proportion(values: np.ndarray) -> bool:
    """Whether the outcome lies within [0, 1], so that differences are percentage points."""
    return bool(values.size and values.min() >= 0 and values.max() <= 1)


def denominators(frame: pd.DataFrame, column: str | None, above: str) -> np.ndarray | None:
    """The denominator of a ratio metric, shape ``(n,)``; negative values are refused."""
    if column is None:
        return None
    if column == above:
        raise DataError(
            f"Column {column!r} is named as outcome and as denominator.",
            "Their ratio is 1 for everyone.",
            "Name the column that the outcome is counted over.",
        )
    values = numeric(frame, column, "Denominator")
    if (values < 0).any():
        raise DataError(
            f"Denominator column {column!r} holds {int((values < 0).sum()):,} negative values.",
            "A ratio of means over such a sum has no plain meaning.",
            "Name a count or an amount of zero or more.",
        )
    return values


def binary(frame: pd.DataFrame, column: str, role: str = "Treatment") -> np.ndarray:
    """A 0/1 or boolean column as 0/1 integers, shape ``(n,)``.

    Raises
    ------
    DataError
        Any other value, or only one of the two: no treated or no control rows.
    """
    given = frame[column]
    plain = pd.api.types.is_bool_dtype(given) or pd.api.types.is_numeric_dtype(given)
    if not plain and any(isinstance(value, str) for value in given.unique()):
        values = np.asarray(given.astype(object))
        parsed = pd.to_numeric(pd.Series(values), errors="coerce").to_numpy(dtype=float)
    else:
        parsed = values = numeric(frame, column, role)
    valid = (parsed == 0) | (parsed == 1)
    if not valid.all():
        seen = pd.Series(values).drop_duplicates().head(5).tolist()
        raise DataError(
            f"{role} column {column!r} isn't 0/1: {int((~valid).sum()):,} of {valid.size:,} rows "
            f"hold something else (its first values are {', '.join(map(repr, seen))}).",
            "It must say of each row whether it was treated (1) or not (0).",
            "Convert it to 0/1 or to booleans.",
        )
    coded = parsed.astype(np.int8)
    for value, word in ((1, "treated"), (0, "control")):
        if not (coded == value).any():
            raise DataError(
                f"There are no {word} rows: {column!r} is {1 - value} in all {coded.size:,} rows.",
                "An effect is a comparison of treated with untreated.",
                "Check the column, or the filter that made this file.",
            )
    return coded


def codes(frame: pd.DataFrame, column: str) -> tuple[np.ndarray, np.ndarray]:
    """Integer codes of a label column, shape ``(n,)``, and the labels in sorted order."""
    values = frame[column]
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.cat.categories.dtype)
    coded, labels = pd.factorize(values)
    kinds = sorted({type(label).__name__ for label in labels})
    # pandas would put numbers before text, which is no order that a user meant.
    if len({kind == "str" for kind in kinds}) > 1:
        raise DataError(
            f"Column {column!r} mixes types ({', '.join(kinds)}).",
            "Its values can't be put in order.",
            "Store it as one type.",
        )
    coded, labels = pd.factorize(values, sort=True)
    return coded.astype(np.int64), np.asarray(labels)


def positive_weights(frame: pd.DataFrame, column: str | None) -> np.ndarray | None:
    """Sampling weights, shape ``(n,)``, or ``None``; negative or all-zero weights are refused."""
    if column is None:
        return None
    values = numeric(frame, column, "Weights")
    if (values < 0).any():
        raise DataError(
            f"Weights column {column!r} holds {int((values < 0).sum()):,} negative values.",
            "A sampling weight counts how many rows a row stands for.",
            "Use weights of zero or more.",
        )
    if values.sum() == 0:
        raise DataError(f"All weights in {column!r} are zero.", "No row counts.", "Check it.")
    return values
