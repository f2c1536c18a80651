"""Cells summed by an engine: the same sums, refusals and counts as from rows in memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
from noholdout_shared import engine
from noholdout_shared.engine import read_cells
from noholdout_shared.errors import DataError
from noholdout_shared.input import read_rows


@pytest.fixture(autouse=True)
def every_table_is_large(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(engine, "WHOLE_BELOW", 0)
    yield


@pytest.fixture
def rows() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    n = 400
    return pd.DataFrame(
        {
            "work space": rng.choice(["a", 'b "x"', "ü"], n),
            "week": rng.integers(0, 4, n),
            "launch": rng.choice([2.0, np.nan], n),
            "y": 1e3 + rng.normal(size=n),
            "w": rng.integers(0, 3, n),
        }
    )


def written(frame: pd.DataFrame, folder: Path, kind: str) -> Any:
    if kind == "csv":
        frame.to_csv(folder / "t.csv", index=False)
        return folder / "t.csv"
    if kind == "parquet":
        frame.to_parquet(folder / "t.parquet")
        return str(folder / "*.parquet")
    if kind == "lazy polars":
        return pl.from_pandas(frame).lazy()
    if kind == "relation":
        return duckdb.from_df(frame)
    with duckdb.connect(str(folder / "t.duckdb")) as connection:
        connection.register("frame", frame)
        connection.execute('CREATE TABLE "my table" AS FROM frame')
    return f"{folder / 't.duckdb'}#my table"


KINDS = ("csv", "parquet", "duckdb", "relation", "lazy polars")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weights", [None, "w"])
def test_cells_hold_what_the_rows_sum_to(
    rows: pd.DataFrame, tmp_path: Path, kind: str, weights: str | None
) -> None:
    keys = ["work space", "week", "launch"]
    found = read_cells(
        written(rows, tmp_path, kind),
        keys=[*keys, None],
        values=["y"],
        weights=weights,
        may_be_empty=("launch",),
    )
    assert found.cells is not None
    assert found.cells.copies.sum() == len(rows)
    groups = rows.assign(w2=1 if weights is None else rows["w"]).groupby(keys, dropna=False)
    assert len(found.frame) == len(groups)
    got = found.frame.assign(copies=found.cells.copies, spread=found.cells.spread["y"])
    got = got.set_index(keys)
    for key, part in groups:
        cell = got.loc[[key]].iloc[0]
        total = part["w2"].sum()
        mean = np.average(part["y"], weights=part["w2"]) if total else part["y"].mean()
        assert cell["copies"] == len(part)
        assert cell["y"] == pytest.approx(mean, rel=1e-13)
        assert cell["spread"] == pytest.approx(((part["y"] - part["y"].mean()) ** 2).sum())
        if weights:
            assert cell["w"] == total
    assert found.cells.low["y"] == rows["y"].min()
    assert found.cells.high["y"] == rows["y"].max()


@pytest.mark.parametrize("kind", KINDS)
def test_missing_values_are_counted_as_in_memory(
    rows: pd.DataFrame, tmp_path: Path, kind: str
) -> None:
    rows.loc[[3, 7], "y"] = np.nan
    rows.loc[[7, 8, 9], "work space"] = None
    source = written(rows, tmp_path, kind)
    asked: dict[str, Any] = {"keys": ["work space", "week"], "values": ["y"]}
    with pytest.raises(DataError) as refused:
        read_cells(source, **asked)
    with pytest.raises(DataError) as in_memory:
        read_rows(rows, ["y", "work space", "week"])
    assert str(refused.value).split("(")[0] == str(in_memory.value).split("(")[0]
    assert "'y' 2, 'work space' 3" in str(refused.value)
    dropped = read_cells(source, **asked, missing="drop")
    kept = read_rows(rows, ["y", "work space", "week"], missing="drop")
    assert dropped.settings["rows_read"] == kept.settings["rows_read"] == 400
    assert dropped.settings["rows_dropped_missing"] == 4
    assert dropped.cells is not None
    assert dropped.cells.copies.sum() == len(kept.frame)
    assert not dropped.frame.isna().any(axis=None)


def test_odd_types_become_numbers_and_dates(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "t.duckdb")) as connection:
        connection.execute(
            "CREATE TABLE t AS SELECT (i % 7)::DECIMAL(10, 2) AS y, i % 2 = 0 AS done, "
            "9007199254740993::BIGINT + i % 2 AS id, DATE '2025-03-01' + (i % 3)::INT AS day, "
            "TIMESTAMPTZ '2025-03-01 00:00:00+02' AS moment, (i % 2)::DECIMAL(4, 1) AS price "
            "FROM range(60) r(i)"
        )
    found = read_cells(
        f"{tmp_path / 't.duckdb'}#t",
        keys=["id", "day", "moment", "price"],
        values=["y", "done"],
    )
    assert found.cells is not None
    assert found.frame["y"].dtype == float
    assert found.frame["day"].dtype.kind == "M"
    assert found.frame["moment"].dtype.kind == "M"
    assert found.settings["time_zones"]["moment"].startswith("wall clock of ")
    assert sorted(found.frame["id"].unique()) == [9007199254740993, 9007199254740994]
    assert set(found.frame["price"]) == {0.0, 1.0}
    assert np.average(found.frame["done"], weights=found.cells.copies) == 0.5


@pytest.mark.parametrize(
    ("value", "column", "message"),
    [(np.inf, "y", "1 infinite"), (-1, "w", "1 negative")],
)
def test_values_that_cannot_be_summed_are_refused(
    rows: pd.DataFrame, tmp_path: Path, value: float, column: str, message: str
) -> None:
    rows[column] = rows[column].astype(float)
    rows.loc[5, column] = value
    with pytest.raises(DataError, match=message):
        read_cells(written(rows, tmp_path, "parquet"), keys=["week"], values=["y"], weights="w")


def test_text_is_read_as_rows_so_that_the_message_is_the_same(
    rows: pd.DataFrame, tmp_path: Path
) -> None:
    found = read_cells(written(rows, tmp_path, "csv"), keys=["week"], values=["work space"])
    assert found.cells is None
    assert len(found.frame) == len(rows)


def test_small_tables_and_frames_stay_rows(
    rows: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_cells(rows, keys=["week"], values=["y"]).copies is None
    monkeypatch.setattr(engine, "WHOLE_BELOW", 401)
    assert read_cells(written(rows, tmp_path, "csv"), keys=["week"], values=["y"]).copies is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_column_typo_gets_the_nearest_name(rows: pd.DataFrame, tmp_path: Path, kind: str) -> None:
    with pytest.raises(DataError, match="Did you mean 'week'"):
        read_cells(written(rows, tmp_path, kind), keys=["weeks"], values=["y"])


def test_a_duckdb_file_without_a_table_says_how_to_name_one(tmp_path: Path) -> None:
    written(pd.DataFrame({"y": [1.0]}), tmp_path, "duckdb")
    with pytest.raises(DataError, match="names no table"):
        read_rows(tmp_path / "t.duckdb", ["y"])
    with pytest.raises(DataError, match="can't be read"):
        read_rows(f"{tmp_path / 't.duckdb'}#other", ["y"])


@pytest.mark.parametrize("kind", KINDS)
def test_names_with_dots_and_quotes_are_read(rows: pd.DataFrame, tmp_path: Path, kind: str) -> None:
    """An engine may take ``task.completed`` for a column of table ``task``."""
    named = rows.rename(columns={"y": "task.completed", "week": 'the "week"', "w": "task.w"})
    place = written(named, tmp_path, kind)
    asked = {"keys": ['the "week"', "work space"], "values": ["task.completed"]}
    found, plain = (read_cells(data, **asked, weights="task.w") for data in (place, named))
    assert found.n_rows == len(rows)
    mine = np.average(found.frame["task.completed"], weights=found.frame["task.w"])
    wanted = np.average(plain.frame["task.completed"], weights=plain.frame["task.w"])
    assert mine == pytest.approx(wanted, rel=1e-12)
    with pytest.raises(DataError, match=r"Did you mean 'task\.completed'"):
        read_cells(place, keys=["work space"], values=["task_completed"])
    # the others are still summed where they are
    alone = read_cells(place, keys=["work space"], values=["launch"], missing="drop")
    assert alone.copies is not None
