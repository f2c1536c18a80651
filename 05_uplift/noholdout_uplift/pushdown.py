"""Many equal rows as one cell: counted by the engine that holds them, or in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from noholdout_shared import engine
from noholdout_shared.engine import PREFIX, collected, open_table
from noholdout_shared.errors import DataError
from noholdout_shared.input import Rows, codes, read_rows, settle_missing
from noholdout_shared.missing_codes import may_hold_codes

from noholdout_uplift.estimators.models import MODELS
from noholdout_uplift.options import Options

# Fewer than `engine.WHOLE_BELOW` rows are never grouped, nor those of more or smaller cells.
MOST_CELLS = 50_000
ROWS_A_CELL = 20

HEAD = 50_000  # rows that are looked at before an engine is asked for groups
REPEATED_COLUMN, REPEATED = 0.2, 0.9  # most different values and combinations, as shares of these
MOST_GROUPS = 1_000_000  # that leave an engine, those with missing values included


@dataclass(frozen=True)
class Read:
    """Rows, or cells of equal rows: then ``copies`` says how many, shape ``(k,)``."""

    rows: Rows
    copies: np.ndarray | None = None


def read(data: Any, options: Options, columns: Sequence[str | None]) -> Read:
    """The named columns: as cells when there are many rows and few combinations of their values.

    Rows that are equal in all of these columns can't be told apart, so how many there are is all
    that they say. The data alone decides, not where it is: equal rows give equal cells.
    """
    group = may_be_grouped(options)
    cells = _counted(data, options, columns) if group and options.sample is None else None
    return cells or read_whole(data, options, columns, group)


def read_whole(
    data: Any, options: Options, columns: Sequence[str | None], group: bool = False
) -> Read:
    """The named columns of all rows; as cells where ``group`` allows and the rows suggest it."""
    rows = read_rows(
        data, columns, missing=options.missing, sample=options.sample, seed=options.seed
    )
    return (_cells(rows, None) if group else None) or Read(rows)


def may_be_grouped(options: Options) -> bool:
    """Whether each step of the analysis has a form for cells."""
    ours = isinstance(options.model, str) and options.model in MODELS
    return ours and options.weights is None and options.scores is None


def _counted(data: Any, options: Options, columns: Sequence[str | None]) -> Read | None:
    """Cells counted by an engine, ``None`` where rows must be read."""
    with open_table(data) as table:
        if table is None:
            return None
        there = table.collect_schema().names()
        asked = [column for column in columns if column is not None]
        if not all(column in there for column in asked):
            return None
        named = list(dict.fromkeys(asked))
        keys = [f"{PREFIX}k{i}" for i in range(len(named))]
        table = table.select(nw.col(name).alias(key) for name, key in zip(named, keys, strict=True))
        if not _may_repeat(table):
            return None
        groups = table.group_by(*keys).agg(nw.len().alias(f"{PREFIX}n"))
        found = collected(groups.head(MOST_GROUPS + 1))
    if len(found) > MOST_GROUPS:
        return None
    copies = found[f"{PREFIX}n"].to_numpy(dtype=np.int64)
    frame = pd.DataFrame({name: found[key] for name, key in zip(named, keys, strict=True)})
    rows, kept = settle_missing(frame, options.missing, (), copies)
    cells = _cells(rows, copies[kept])
    if cells is None or cells.copies is None:
        return None
    said = {"summed_by_engine": _said(cells.copies)}
    return Read(Rows(cells.rows.frame, cells.rows.settings | said), cells.copies)


def _may_repeat(table: nw.LazyFrame[Any]) -> bool:
    """Whether there are enough rows, and no column among the first of them looks continuous."""
    n_rows = int(collected(table.select(nw.len().alias("n")))["n"].iloc[0])
    if n_rows < engine.WHOLE_BELOW:
        return False
    head = collected(table.head(HEAD))
    most = max(head[column].nunique() for column in head)
    return most <= REPEATED_COLUMN * HEAD and len(head.drop_duplicates()) <= REPEATED * HEAD


def _cells(rows: Rows, copies: np.ndarray | None) -> Read | None:
    """Equal rows as one, in the order of their values; ``None`` when that isn't worth it."""
    frame = rows.frame
    n_rows = len(frame) if copies is None else int(copies.sum())
    if n_rows < engine.WHOLE_BELOW or may_hold_codes(frame):
        return None
    most = min(MOST_CELLS, n_rows // ROWS_A_CELL)
    cell = np.zeros(len(frame), dtype=np.int64)
    for column in frame.columns:
        try:
            value, values = codes(frame, column)
        except (DataError, TypeError):
            return None
        cell, seen = pd.factorize(cell * len(values) + value, sort=True)
        if len(seen) > most:
            return None
    first = np.unique(cell, return_index=True)[1]
    counts = np.bincount(cell, weights=copies).astype(np.int64)
    chosen = frame.iloc[first].reset_index(drop=True)
    return Read(Rows(chosen, rows.settings | {"grouped": _said(counts)}), counts)


def _said(copies: np.ndarray) -> str:
    return f"{int(copies.sum()):,} rows in {copies.size:,} cells"
