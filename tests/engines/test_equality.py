"""One answer to 1e-9, whatever holds the rows, and whether they were summed there or read."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from method_cases import METHODS, Case, case, front_function
from noholdout_did import panel_sums
from noholdout_did.kernels import moments
from noholdout_propensity import pushdown
from noholdout_shared import engine
from noholdout_uplift import pushdown as cells

pytestmark = pytest.mark.engines

SOURCES = ("csv", "parquet", "parquet glob", "duckdb", "polars", "arrow", "lazy polars")
SERVERS = ("ibis", "postgres", "spark")
SUMMED = {"did by user", "synthetic_control", "rdd"}


def example(name: str) -> Case:
    """A method's example; ``did by user``: each user seen once, as the engine can sum them."""
    if name == "did by unit":
        return case("did").changed(cluster=None)
    if name == "propensity by groups":
        found = case("propensity")
        known = ["engagement_tier", "signup_week"]
        return found.changed(covariates=known, estimator="ipw")
    if name == "uplift by groups":
        return case("uplift").changed(features=["engagement_tier", "signup_week"])
    if name == "rdd, fuzzy":
        found = case("rdd")
        got = found.frame["routed_to_premium"].where(found.frame.index % 9 > 0, 1)
        return found.changed(found.frame.assign(got=got), treatment="got")
    if name != "did by user":
        return case(name)
    users = case("propensity").frame
    frame = users.assign(
        period=users["signup_week"] // 5, first=users["treatment_week"].astype(int) // 5
    )
    columns = ["task_completed", "period", "first", "workspace_id"]
    names = dict(zip(("outcome", "time", "first_treated", "cluster"), columns, strict=True))
    return Case("did", frame[columns], names)


@pytest.fixture(scope="session")
def place(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Callable[[str, str], Any]]:
    """A method's example data in a source of the kind asked for."""
    import ibis

    folder = tmp_path_factory.mktemp("equality")
    made: dict[tuple[str, str], Any] = {}
    opened: list[Any] = []

    def put(method: str, kind: str) -> Any:
        if (method, kind) not in made:
            made[method, kind] = _put(example(method).frame, method.replace(" ", "_"), kind)
        return made[method, kind]

    def _put(frame: pd.DataFrame, name: str, kind: str) -> Any:
        import polars
        import pyarrow

        if kind == "csv":
            frame.to_csv(folder / f"{name}.csv", index=False)
            return folder / f"{name}.csv"
        if kind == "parquet":
            frame.to_parquet(folder / f"{name}.parquet", index=False)
            return folder / f"{name}.parquet"
        if kind == "parquet glob":
            for i, rows in enumerate(np.array_split(np.arange(len(frame)), 3)):
                frame.iloc[rows].to_parquet(folder / f"{name}-{i}.part.parquet", index=False)
            return str(folder / f"{name}-*.part.parquet")
        if kind == "duckdb":
            with duckdb.connect(str(folder / f"{name}.duckdb")) as connection:
                connection.register("frame", frame)
                connection.execute("CREATE TABLE rows AS FROM frame")
            return f"{folder / name}.duckdb#rows"
        if kind in ("polars", "lazy polars"):
            eager = polars.from_pandas(frame)
            return eager.lazy() if kind == "lazy polars" else eager
        if kind == "arrow":
            return pyarrow.Table.from_pandas(frame, preserve_index=False)
        if kind == "spark":
            return request.getfixturevalue("spark").createDataFrame(frame)
        url = str(request.getfixturevalue("postgres"))
        connection = ibis.connect(url)
        if f"case_{name}" not in connection.list_tables():
            connection.create_table(f"case_{name}", frame)
        if kind == "ibis":
            opened.append(connection)
            return connection.table(f"case_{name}")
        connection.disconnect()
        return f"{url}#case_{name}"

    yield put
    for connection in opened:
        connection.disconnect()


@pytest.mark.parametrize("below", [0, 10**9], ids=["summed", "read"])
@pytest.mark.parametrize("kind", SOURCES + SERVERS)
@pytest.mark.parametrize("method", [*METHODS, "did by user"])
def test_every_source_gives_the_answer_of_the_frame(
    method: str,
    kind: str,
    below: int,
    place: Callable[[str, str], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = example(method)
    expected = chosen.run()
    source = place(method, kind)
    monkeypatch.setattr(engine, "WHOLE_BELOW", below)
    found = front_function(chosen.method)(source, **chosen.arguments)
    eager = kind in ("polars", "arrow")
    assert ("summed_by_engine" in found.settings) == (below == 0 and not eager and method in SUMMED)
    for name in ("estimate", "std_error", "conf_low", "conf_high", "p_value"):
        wanted = getattr(expected, name)
        assert getattr(found, name) == pytest.approx(wanted, rel=1e-9, abs=1e-12, nan_ok=True)
    for name in ("n_obs", "n_treated", "n_control", "n_clusters", "verdict", "estimand"):
        assert getattr(found, name) == getattr(expected, name)
    assert [c.name for c in found.checks] == [c.name for c in expected.checks]
    for mine, theirs in zip(found.checks, expected.checks, strict=True):
        assert mine.statistic == pytest.approx(theirs.statistic, rel=1e-6, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("kind", ["duckdb", "lazy polars", *SERVERS])
@pytest.mark.parametrize(
    "method", ["did by unit", "propensity by groups", "rdd, fuzzy", "uplift by groups"]
)
def test_engines_sum_what_is_enough_for_the_answer(
    method: str,
    kind: str,
    place: Callable[[str, str], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for many in (panel_sums, moments):
        monkeypatch.setattr(many, "KEEP_FEATURES", 10)
    monkeypatch.setattr(pushdown, "REPEATED", 1.0)
    monkeypatch.setattr(cells, "ROWS_A_CELL", 1)
    monkeypatch.setattr(engine, "WHOLE_BELOW", 0)
    chosen = example(method)
    expected = chosen.run()
    source = place(method, kind)
    found = front_function(chosen.method)(source, **chosen.arguments)
    assert "summed_by_engine" in found.settings
    for name in ("estimate", "std_error", "conf_low", "conf_high", "p_value"):
        wanted = getattr(expected, name)
        assert getattr(found, name) == pytest.approx(wanted, rel=1e-9, abs=1e-12, nan_ok=True)
    for name in ("n_obs", "n_treated", "n_control", "n_clusters", "verdict", "estimand"):
        assert getattr(found, name) == getattr(expected, name)


@pytest.mark.parametrize("kind", SERVERS)
def test_servers_draw_a_sample(kind: str, place: Callable[[str, str], Any]) -> None:
    chosen = example("propensity")
    n = len(chosen.frame)
    found = front_function("propensity")(
        place("propensity", kind), **{**chosen.arguments, "sample": n // 2}
    )
    assert n / 2 * 0.85 < found.n_obs < n / 2 * 1.15
    assert f"{found.n_obs:,} of {n:,} rows, drawn at random" in found.settings["sample"]
    expected = chosen.run()
    assert found.std_error / expected.std_error == pytest.approx(2**0.5, rel=0.15)


def test_data_larger_than_the_memory_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """20 million rows by 4 million keys don't fit into 100 MB: DuckDB goes to disk."""
    import ibis
    from noholdout_shared.engine import read_cells

    monkeypatch.setattr(engine, "WHOLE_BELOW", 0)
    path = tmp_path / "large.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE TABLE t AS SELECT (i * 7919) % 4000000 AS score, (i % 3)::DOUBLE AS y "
            "FROM range(20000000) r(i)"
        )
    connection = ibis.duckdb.connect(path, memory_limit="100MB", threads=1)
    found = read_cells(connection.table("t"), keys=["score"], values=["y"])
    connection.disconnect()
    assert found.copies is not None
    assert len(found.frame) == 4_000_000
    assert (found.copies == 5).all()
    assert np.average(found.frame["y"]) == pytest.approx((20_000_000 - 2) / 20_000_000, abs=1e-6)
