"""A random sample of the rows of a table that is too large to read, and what it costs.

Where rows have an order (files, frames), row numbers are drawn, so that the same rows are chosen
whichever way they are stored. Databases and Spark have none: each row is drawn for itself there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from noholdout_shared import sources
from noholdout_shared.arguments import check_whole
from noholdout_shared.errors import DataError
from noholdout_shared.lazy import spark_name

NUMBER = "noholdout_row"


def sampled(
    data: Any,
    wanted: list[str],
    sample: int,
    seed: int,
    select: Callable[[Any, list[str]], pd.DataFrame],
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The wanted columns of a random sample of the rows, and what ``settings`` say about it.

    ``select`` reads the columns of a frame in memory, or of a small enough lazy one.
    """
    check_whole("sample", sample)
    if sample < 1:
        raise DataError(
            f"sample is {sample}.", "It is a number of rows.", "Use 1000000, or leave it out."
        )
    if sources.is_location(data):
        drawn = _of_location(data, wanted, sample, seed)
        return drawn.rows, _said(drawn, len(drawn.rows), seed)
    lazy = nw.from_native(data, pass_through=True)
    if isinstance(lazy, nw.LazyFrame):
        sources.require_columns(wanted, list(lazy.collect_schema().names()))
        drawn = _of_lazy(lazy, wanted, sample, seed)
        frame = drawn.rows if isinstance(drawn.rows, pd.DataFrame) else select(drawn.rows, wanted)
        return frame, _said(drawn, len(frame), seed)
    frame = select(data, wanted)
    drawn = Drawn(frame, len(frame))
    if len(frame) > sample:
        frame = frame.iloc[picks(len(frame), sample, seed)].reset_index(drop=True)
    return frame, _said(drawn, len(frame), seed)


@dataclass(frozen=True)
class Drawn:
    """Some rows of a table of ``n_rows``; ``seeded`` unless the server draws anew each time."""

    rows: Any
    n_rows: int
    seeded: bool = True


def picks(n_rows: int, sample: int, seed: int) -> np.ndarray:
    """The numbers of the drawn rows, from 0, in order."""
    chosen = np.random.default_rng(seed).choice(n_rows, sample, replace=False, shuffle=False)
    return np.sort(chosen)


def _of_location(location: Any, wanted: list[str], sample: int, seed: int) -> Drawn:
    with sources.opened(location) as table:
        sources.require_columns(wanted, list(table.columns))
        if "://" in str(location):
            return _of_ibis(table.select(wanted), sample, seed)
        n_rows = int(table.count("*").fetchone()[0])
        listed = ", ".join(map(sources.quoted, wanted))
        if n_rows <= sample:
            return Drawn(table.project(listed).df(), n_rows)
        numbered = table.project(f"{listed}, row_number() OVER () - 1 AS {NUMBER}")
        drawn = pd.DataFrame({NUMBER: picks(n_rows, sample, seed)})
        # One name a column: DuckDB finds the frame by that of the variable.
        query = f"SELECT {listed} FROM rows SEMI JOIN drawn USING ({NUMBER}) ORDER BY {NUMBER}"
        assert len(drawn) == sample
        return Drawn(numbered.query("rows", query).df(), n_rows)


def _of_lazy(table: Any, wanted: list[str], sample: int, seed: int) -> Drawn:
    native = table.to_native()
    if table.implementation.is_polars():
        n_rows = int(table.select(nw.len()).collect().item())
        if n_rows <= sample:
            return Drawn(native, n_rows)
        import polars

        drawn = polars.Series(picks(n_rows, sample, seed), dtype=polars.UInt32)
        kept = native.with_row_index(NUMBER).filter(polars.col(NUMBER).is_in(drawn.implode()))
        return Drawn(kept, n_rows)
    if type(native).__module__.startswith("ibis."):
        return _of_ibis(native.select(wanted), sample, seed)
    if table.implementation.is_pyspark():
        n_rows = int(native.count())
        some = native.select(*map(spark_name, wanted))
        if n_rows > sample:
            some = some.sample(fraction=sample / n_rows, seed=seed)
        return Drawn(some, n_rows)
    raise DataError(
        f"A sample of a {type(native).__module__.partition('.')[0]} table can't be drawn.",
        "",
        "Leave --sample out, or draw the sample yourself.",
    )


def _of_ibis(table: Any, sample: int, seed: int) -> Drawn:
    n_rows = int(table.count().execute())
    if n_rows <= sample:
        return Drawn(table.to_pandas(), n_rows)
    frame, seeded = sources.drawn_by_server(table, sample / n_rows, seed)
    return Drawn(frame, n_rows, seeded)


def _said(drawn: Drawn, n_read: int, seed: int) -> dict[str, Any]:
    """Nothing when all rows were read.

    With ``n`` of ``N`` independent rows the standard error is ``sqrt(N / n)`` times that of all.
    """
    n_rows = drawn.n_rows
    if n_read >= n_rows:
        return {}
    how = f"seed {seed}" if drawn.seeded else "by the server, anew each time"
    added = 100 * (math.sqrt(n_rows / max(n_read, 1)) - 1)
    text = (
        f"{n_read:,} of {n_rows:,} rows, drawn at random ({how}); sampling adds {added:.0f}% to "
        "the standard error (less where rows move together in clusters)"
    )
    return {"sample": text}
