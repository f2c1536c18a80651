"""Reading what users bring: any frame, any file, and refusals that say what to do."""

import datetime
import decimal
from pathlib import Path
from typing import Any

import duckdb
import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import polars as pl
import pytest
from noholdout_shared.arguments import check_level, check_seed, resolve_replicates
from noholdout_shared.errors import DataError
from noholdout_shared.input import binary, codes, numeric, outcome, positive_weights, read_rows
from noholdout_shared.sources import without_passwords

FRAME = pd.DataFrame(
    {
        "y": [0, 1, 1, 0],
        "größe in m": [1.5, 2.5, 3.5, 4.5],
        "arm": ["a", "b", "a", "b"],
        "on": pd.to_datetime(["2025-01-01", "2025-01-02", "2025-01-03", "2025-01-04"]),
        "flag": [True, False, True, False],
        "unused": [1, 2, 3, 4],
    }
)
COLUMNS = ["y", "größe in m", "arm", "on", "flag"]


def written(kind: str, folder: Path) -> Any:
    if kind == "pandas":
        return FRAME
    if kind == "polars":
        return pl.from_pandas(FRAME)
    if kind == "polars lazy":
        return pl.from_pandas(FRAME).lazy()
    if kind == "relation":
        return duckdb.from_df(FRAME)
    if kind == "arrow":
        return pl.from_pandas(FRAME).to_arrow()
    if kind == "csv":
        FRAME.to_csv(folder / "a.csv", index=False)
        return folder / "a.csv"
    if kind == "csv.gz":
        FRAME.to_csv(folder / "a.csv.gz", index=False)
        return str(folder / "a.csv.gz")
    if kind == "parquet":
        FRAME.to_parquet(folder / "a.parquet")
        return folder / "a.parquet"
    FRAME.iloc[:2].to_parquet(folder / "part-1.parquet")
    FRAME.iloc[2:].to_parquet(folder / "part-2.parquet")
    return str(folder / "part-*.parquet")


@pytest.mark.parametrize(
    "kind",
    ["pandas", "polars", "polars lazy", "relation", "arrow", "csv", "csv.gz", "parquet", "glob"],
)
def test_every_source_gives_the_same_columns(kind: str, tmp_path: Path) -> None:
    read = read_rows(written(kind, tmp_path), COLUMNS).frame
    assert list(read.columns) == COLUMNS
    assert read["arm"].tolist() == ["a", "b", "a", "b"]
    assert numeric(read, "y", "Outcome").tolist() == [0, 1, 1, 0]
    assert numeric(read, "größe in m", "Covariate").tolist() == [1.5, 2.5, 3.5, 4.5]
    assert binary(read, "flag").tolist() == [1, 0, 1, 0]
    assert pd.to_datetime(read["on"]).dt.day.tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "name", ["A.CSV", "a.Csv.Gz", "a.TSV", "a.tsv.gz", "A.TSV.GZ", "a.csv.ZST", "a.Parquet", "A.PQ"]
)
def test_endings_are_known_in_any_case(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    rows = duckdb.from_df(FRAME.assign(y_1=FRAME["y"]))
    if name.lower().endswith(("parquet", "pq")):
        rows.write_parquet(str(path))
    else:
        packed = {".gz": "gzip", ".zst": "zstd"}.get(path.suffix.lower(), "none")
        sep = "\t" if "tsv" in name.lower() else ","
        rows.write_csv(str(path), sep=sep, compression=packed)
    for place in (path, tmp_path / f"*{path.suffix}"):
        assert read_rows(place, [*COLUMNS, "y_1"]).frame["y"].tolist() == FRAME["y"].tolist()


def test_a_folder_of_parquet_files_is_one_table(tmp_path: Path) -> None:
    for arm in ("a", "b"):
        folder = tmp_path / "log [1]" / f"arm={arm}"
        folder.mkdir(parents=True)
        FRAME[FRAME["arm"] == arm].drop(columns="arm").to_parquet(folder / "part-0.parquet")
    read = read_rows(tmp_path / "log [1]", ["y", "arm"]).frame
    assert sorted(zip(read["arm"], read["y"], strict=True)) == [
        ("a", 0), ("a", 1), ("b", 0), ("b", 1),
    ]  # fmt: skip


def test_dates_and_decimals_of_python_become_plain_columns() -> None:
    days = [datetime.date(2025, 1, 2), None, datetime.date(9999, 12, 31)]
    prices = [decimal.Decimal("1.5"), None, decimal.Decimal(2)]
    mixed = [datetime.date(2025, 1, 2), "later", None]
    frame = pd.DataFrame({"day": days, "price": prices, "mixed": mixed}, dtype=object)
    read = read_rows(frame, list(frame), may_be_empty=list(frame)).frame
    assert read["day"].dtype.kind == "M"
    assert read["day"].dt.year.tolist()[::2] == [2025, 9999]
    assert read["price"].tolist()[::2] == [1.5, 2.0]
    assert read["mixed"].tolist()[:2] == mixed[:2]


def test_input_is_not_changed() -> None:
    frame = pd.DataFrame({"y": ["1", " ", "3"], "x": [1.0, np.nan, 3.0]})
    before = frame.copy(deep=True)
    read_rows(frame, ["y", "x"], missing="drop")
    pd.testing.assert_frame_equal(frame, before)


def test_missing_values_are_refused_with_counts_and_dropped_with_counts() -> None:
    frame = pd.DataFrame({"y": [1, None, 3, 4], "g": ["a", "b", "", "c"]})
    with pytest.raises(DataError, match=r"2 of 4 rows.*'y' 1.*'g' 1.*--missing drop"):
        read_rows(frame, ["y", "g"])
    rows = read_rows(frame, ["y", "g"], missing="drop")
    assert rows.frame["y"].tolist() == [1, 4]
    assert rows.settings == {"rows_read": 4, "rows_dropped_missing": 2}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["yy"], r"no column 'yy'.*Did you mean 'y'"),
        (["Y"], r"no column 'Y'.*Did you mean 'y'\?"),
        (["yy", "Y"], r"Did you mean 'y' for 'yy', 'y' for 'Y'\?"),
        (["outcom"], r"no column 'outcom'\. Its columns are: y"),
    ],
)
def test_unknown_columns_get_the_nearest_names(columns: list[str], message: str) -> None:
    frame = FRAME.rename(columns={"unused": "yy_"}) if columns == ["outcom"] else FRAME
    with pytest.raises(DataError, match=message):
        read_rows(frame, columns)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no file"):
        read_rows(tmp_path / "none.csv", ["y"])
    (tmp_path / "empty.csv").touch()
    with pytest.raises(DataError, match="0 bytes"):
        read_rows(tmp_path / "empty.csv", ["y"])
    (tmp_path / "head.csv").write_text("y,x\n")
    with pytest.raises(DataError, match="no rows"):
        read_rows(tmp_path / "head.csv", ["y"])
    (tmp_path / "a.xlsx").write_text("x")
    with pytest.raises(DataError, match="ending that isn't known"):
        read_rows(tmp_path / "a.xlsx", ["y"])
    (tmp_path / "no.parquet").write_text("not parquet")
    with pytest.raises(DataError, match="can't be read"):
        read_rows(tmp_path / "no.parquet", ["y"])
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="is a folder"):
        read_rows(tmp_path / "folder", ["y"])
    with pytest.raises(DataError, match="Data of type 'int'"):
        read_rows(3, ["y"])


def test_a_late_text_value_in_a_csv_is_seen(tmp_path: Path) -> None:
    lines = ["y,d"] + ["1,0"] * 30_000 + ["oops,1"]
    (tmp_path / "late.csv").write_text("\n".join(lines))
    frame = read_rows(tmp_path / "late.csv", ["y", "d"]).frame
    with pytest.raises(DataError, match="text in 1 of 30,001 rows"):
        numeric(frame, "y", "Outcome")


def test_numbers_in_their_many_guises() -> None:
    frame = pd.DataFrame(
        {
            "decimal": [decimal.Decimal("1.5"), decimal.Decimal("2")],
            "nullable": pd.array([1, 2], dtype="Int64"),
            "text": ["1.5", "2"],
            "category": pd.Categorical([3, 4]),
            "bool": [True, False],
        }
    )
    assert numeric(frame, "decimal", "Outcome").tolist() == [1.5, 2]
    assert numeric(frame, "nullable", "Outcome").tolist() == [1, 2]
    assert numeric(frame, "text", "Outcome").tolist() == [1.5, 2]
    assert numeric(frame, "category", "Outcome").tolist() == [3, 4]
    assert numeric(frame, "bool", "Outcome").tolist() == [1, 0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["1", "two", "3"], "text in 1 of 3 rows"),
        (["1", "NA", "3"], "look like missing values"),
        ([1.0, np.inf, 2.0], "1 infinite"),
        (pd.to_datetime(["2025-01-01", "2025-01-02", "2025-01-03"]), "holds dates"),
    ],
)
def test_what_is_not_a_number_is_refused(values: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        numeric(pd.DataFrame({"y": values}), "y", "Outcome")


def test_a_constant_outcome_is_refused() -> None:
    with pytest.raises(DataError, match="is 1 in all 3 rows"):
        outcome(pd.DataFrame({"y": [1, 1, 1]}), "y")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0, 1, 2], "isn't 0/1: 1 of 3"),
        (["new", "old", "new"], "isn't 0/1: 3 of 3.*'new', 'old'"),
        ([0, 0, 0], "no treated rows"),
        ([1, 1, 1], "no control rows"),
    ],
)
def test_treatments_that_are_not_binary(values: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        binary(pd.DataFrame({"d": values}), "d")


def test_text_zeros_and_ones_are_a_treatment() -> None:
    assert binary(pd.DataFrame({"d": ["0", "1"]}), "d").tolist() == [0, 1]


def test_codes_are_in_sorted_order_and_mixed_types_are_refused() -> None:
    coded, labels = codes(pd.DataFrame({"u": ["b", "a", "b"]}), "u")
    assert coded.tolist() == [1, 0, 1]
    assert labels.tolist() == ["a", "b"]
    big = 2**60
    _, ids = codes(pd.DataFrame({"u": [big, big + 1]}), "u")
    assert ids.tolist() == [big, big + 1]
    with pytest.raises(DataError, match="mixes types"):
        codes(pd.DataFrame({"u": ["b", 1, 2]}), "u")


def test_weights_must_be_positive() -> None:
    with pytest.raises(DataError, match="1 negative"):
        positive_weights(pd.DataFrame({"w": [1, -1]}), "w")
    with pytest.raises(DataError, match="zero"):
        positive_weights(pd.DataFrame({"w": [0, 0]}), "w")
    assert positive_weights(FRAME, None) is None


def test_replicates_are_never_ignored() -> None:
    assert resolve_replicates(None, "analytic", ["bootstrap"], 500) is None
    assert resolve_replicates(None, "bootstrap", ["bootstrap"], 500) == 500
    with pytest.raises(DataError, match="draws nothing"):
        resolve_replicates(99, "analytic", ["bootstrap"], 500)
    with pytest.raises(DataError, match="mostly noise"):
        resolve_replicates(5, "bootstrap", ["bootstrap"], 500)


def test_narwhals_reads_nullable_booleans_as_missing() -> None:
    frame = pl.DataFrame({"flag": [True, None, False]})
    assert isinstance(nw.from_native(frame), nw.DataFrame)
    with pytest.raises(DataError, match="1 of 3 rows"):
        read_rows(frame, ["flag"])


def test_a_connection_url_without_a_table_hides_the_password() -> None:
    pytest.importorskip("ibis", reason="the extra 'engines' isn't installed")
    with pytest.raises(DataError, match=r"ann:\*\*\*@db.*names no table"):
        read_rows("postgres://ann:secret@db/logs", ["y"])


def test_without_ibis_the_install_line_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ibis", None)
    with pytest.raises(DataError, match=r"pip install 'noholdout\[engines\]'"):
        read_rows("postgres://ann@db/logs#t", ["y"])


def test_empty_cells_that_mean_something_are_kept() -> None:
    frame = pd.DataFrame({"y": [1.0, 2.0, None], "launch": [3.0, None, 3.0]})
    rows = read_rows(frame, ["y", "launch"], missing="drop", may_be_empty=("launch",))
    assert rows.settings["rows_dropped_missing"] == 1
    assert rows.frame["launch"].isna().tolist() == [False, True]


def test_numbers_that_arithmetic_cannot_hold_are_refused() -> None:
    for values, said in (
        ([1 + 1j, 2 + 0j], "complex numbers"),
        (pd.to_timedelta([1, 2], "s"), "durations"),
        ([1.0, -1e200], r"1 values beyond 1e\+100 \(the first in row 2\)"),
    ):
        with pytest.raises(DataError, match=said):
            numeric(pd.DataFrame({"y": values}), "y", "Outcome")


def test_an_outcome_that_varies_beyond_its_digits_is_refused() -> None:
    y = np.array([0.0, 1.0, 1.0])
    assert outcome(pd.DataFrame({"y": y + 1e9}), "y").tolist() == (y + 1e9).tolist()
    with pytest.raises(DataError, match="varies by 1 around 1e\\+12: in its 11th digit"):
        outcome(pd.DataFrame({"y": y + 1e12}), "y")


def test_an_outcome_whose_squares_vanish_is_refused() -> None:
    with pytest.raises(DataError, match="varies by 3e-300 only"):
        outcome(pd.DataFrame({"y": [1e-300, 4e-300]}), "y")


def test_containers_in_cells_and_as_names_are_refused() -> None:
    frame = pd.DataFrame({"y": [[1], [2]], "x": [1, 2]})
    with pytest.raises(DataError, match=r"'y' holds a list in some rows, such as \[1\]"):
        read_rows(frame, ["y"])
    with pytest.raises(DataError, match="Name a single column"):
        read_rows(frame, [["x"]])


@pytest.mark.parametrize("seed", [-1, 1.5, "a", None])
def test_a_seed_is_a_whole_number(seed: Any) -> None:
    check_seed(0)
    with pytest.raises(DataError, match="seed is"):
        check_seed(seed)


@pytest.mark.parametrize("level", [0, 1, 95, "0.95", None, float("nan")])
def test_a_level_lies_between_0_and_1(level: Any) -> None:
    with pytest.raises(DataError, match=r"Use 0\.95"):
        check_level(level)


def test_a_file_that_is_not_what_it_seems_is_refused_or_told_apart(tmp_path: Path) -> None:
    latin, twice = tmp_path / "latin.csv", tmp_path / "twice.csv"
    latin.write_bytes("y,city\n1,Köln\n2,Genf\n".encode("latin-1"))
    twice.write_text("y,y_1,x,y\n1,2,3,4\n")
    with pytest.raises(DataError, match=r"isn't written in UTF-8.*Save it as UTF-8"):
        read_rows(latin, ["y"])
    with pytest.raises(DataError, match=r"no column 'y'.*y \(1 of 2\), y_1, x, y \(2 of 2\)"):
        read_rows(twice, ["y"])
    assert read_rows(twice, ["y (2 of 2)", "x"]).frame.to_numpy().tolist() == [[4, 3]]
    twice.write_text("y,y_1\n1,2\n")
    assert read_rows(twice, ["y", "y_1"]).frame.to_numpy().tolist() == [[1, 2]]
    with pytest.raises(DataError, match="The path is empty"):
        read_rows("", ["y"])


def test_an_arrow_batch_is_refused_and_not_half_read() -> None:
    pa = pytest.importorskip("pyarrow")
    batch = pa.RecordBatch.from_pydict({"y": [0, 1]})
    with pytest.raises(DataError, match="'RecordBatch' can't be read"):
        read_rows(batch, ["y"])


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("postgres://ana:hunter2@host:5432/db#users", "postgres://ana:***@host:5432/db#users"),
        ("did postgres://ana:h@nter2@host/db#t --outcome a@b", "did postgres://ana:***@host/db#t"),
        ("postgres://ana@host/db?password=hunter2&sslmode=on#t", "?password=***&sslmode=on#t"),
        ("snowflake://ana@acc/db?private_key=hunter2", "private_key=***"),
        ("duckdb:///a.duckdb?memory_limit=4GB#t", "duckdb:///a.duckdb?memory_limit=4GB#t"),
        ("postgres://host:5432/db#a@b", "postgres://host:5432/db#a@b"),
    ],
)
def test_passwords_are_blotted_out(written: str, shown: str) -> None:
    found = without_passwords(written)
    assert shown in found
    assert "nter2" not in found


def test_tables_and_views_of_a_duckdb_file_are_read(tmp_path: Path) -> None:
    path = tmp_path / "it's here.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE SCHEMA own; CREATE TABLE own.t AS SELECT 1 AS a, 2.5 AS y")
        connection.execute("CREATE TABLE plain AS FROM own.t")
        connection.execute("CREATE VIEW own.seen AS SELECT a, y FROM main.plain")
    for name in ("own.t", "plain", "own.seen"):
        assert read_rows(f"{path}#{name}", ["a", "y"]).frame.to_dict("list") == {
            "a": [1],
            "y": [2.5],
        }


def test_a_date_beyond_the_range_of_nanoseconds_is_read() -> None:
    days = [datetime.date(2025, 4, 1), datetime.date(9999, 12, 31)]
    frame = read_rows(pd.DataFrame({"until": days, "y": [0, 1]}), ["until", "y"]).frame
    assert frame["until"].dt.year.tolist() == [2025, 9999]
