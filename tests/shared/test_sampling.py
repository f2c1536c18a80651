"""A sample on request: the same rows from every ordered source, and what it costs is said."""

from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
from noholdout_shared.errors import DataError
from noholdout_shared.input import read_rows

ROWS = pd.DataFrame({"row": np.arange(5_000), 'odd "name"': np.arange(5_000) % 7})


def written(folder: Path, kind: str) -> Any:
    if kind == "pandas":
        return ROWS
    if kind == "polars":
        return pl.from_pandas(ROWS)
    if kind == "lazy polars":
        return pl.from_pandas(ROWS).lazy()
    if kind == "csv":
        ROWS.to_csv(folder / "t.csv", index=False)
        return folder / "t.csv"
    if kind == "parquet":
        ROWS.to_parquet(folder / "t.parquet", row_group_size=700)
        return folder / "t.parquet"
    with duckdb.connect(str(folder / "t.duckdb")) as connection:
        connection.register("frame", ROWS)
        connection.execute("CREATE TABLE t AS FROM frame")
    return f"{folder / 't.duckdb'}#t"


@pytest.mark.parametrize("kind", ["pandas", "polars", "lazy polars", "csv", "parquet", "duckdb"])
def test_the_same_rows_are_drawn_from_every_source(kind: str, tmp_path: Path) -> None:
    columns = ["row", 'odd "name"']
    found = read_rows(written(tmp_path, kind), columns, sample=400, seed=5)
    drawn = np.sort(np.random.default_rng(5).choice(5_000, 400, replace=False, shuffle=False))
    assert found.frame["row"].tolist() == drawn.tolist()
    assert (found.frame['odd "name"'] == drawn % 7).all()
    assert found.settings["rows_read"] == 400
    # sqrt(5000 / 400) = 3.54
    assert "400 of 5,000 rows" in found.settings["sample"]
    assert "adds 254% to the standard error" in found.settings["sample"]


@pytest.mark.parametrize("kind", ["pandas", "lazy polars", "csv"])
def test_a_sample_larger_than_the_data_is_the_data(kind: str, tmp_path: Path) -> None:
    found = read_rows(written(tmp_path, kind), ["row"], sample=5_000)
    assert found.frame["row"].tolist() == ROWS["row"].tolist()
    assert "sample" not in found.settings


def test_other_seeds_draw_other_rows() -> None:
    first, second = (read_rows(ROWS, ["row"], sample=50, seed=seed).frame for seed in (0, 1))
    assert first["row"].tolist() != second["row"].tolist()


def test_wrong_samples_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="sample is 0"):
        read_rows(ROWS, ["row"], sample=0)
    with pytest.raises(DataError, match="Did you mean 'row'"):
        read_rows(written(tmp_path, "csv"), ["rowe"], sample=10)
