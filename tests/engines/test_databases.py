"""Connection URLs through Ibis give the same answer as a data frame."""

import json
from pathlib import Path

import pandas as pd
import pytest
from method_cases import Case, front_function
from noholdout_shared.errors import DataError
from processes import run

pytestmark = pytest.mark.engines


@pytest.fixture(scope="module")
def duckdb_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"duckdb://{tmp_path_factory.mktemp('duckdb') / 'product.ddb'}"


@pytest.fixture(scope="module", params=["postgres", "duckdb_file"])
def url(request: pytest.FixtureRequest, users: pd.DataFrame) -> str:
    import ibis

    address = str(request.getfixturevalue(request.param))
    connection = ibis.connect(address)
    connection.create_table("users", users)
    connection.disconnect()
    return address


def test_a_table_behind_a_url_answers_like_the_frame(url: str, opt_in: Case) -> None:
    found = front_function(opt_in.method)(f"{url}#users", **opt_in.arguments)
    # rows may come in another order, which moves sums by rounding and folds by a hair
    assert found.n_obs == len(opt_in.frame)
    assert found.estimate == pytest.approx(opt_in.run().estimate, abs=0.25 * found.std_error)


def test_an_ibis_table_answers_too(url: str, opt_in: Case) -> None:
    import ibis

    connection = ibis.connect(url)
    found = front_function(opt_in.method)(connection.table("users"), **opt_in.arguments)
    assert found.n_obs == len(opt_in.frame)
    connection.disconnect()


def test_a_table_is_streamed_in_batches(url: str, users: pd.DataFrame) -> None:
    """Written by the fixture, streamed here: both with the pinned Ibis, DuckDB and driver."""
    import ibis

    connection = ibis.connect(url)
    table = connection.table("users").select("user_id", "task_completed")
    batches = list(table.to_pyarrow_batches(chunk_size=1000))
    connection.disconnect()
    assert len(batches) > 1
    streamed = pd.concat([batch.to_pandas() for batch in batches]).sort_values("user_id")
    assert streamed["user_id"].tolist() == sorted(users["user_id"])
    assert streamed["task_completed"].sum() == users["task_completed"].sum()


def test_the_command_takes_the_url(url: str, opt_in: Case, tmp_path: Path) -> None:
    ran = run(["noholdout", opt_in.command, f"{url}#users", *opt_in.flags()], tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "verdict" in ran.stdout


def test_the_guide_takes_the_url(url: str, tmp_path: Path) -> None:
    ran = run(["noholdout", "guide", f"{url}#users", "--yes", "--json"], tmp_path)
    assert ran.returncode == 0, ran.stderr
    advice = json.loads(ran.stdout)
    assert "propensity" in [design["method"] for design in advice["designs"]]


@pytest.mark.parametrize(
    ("ending", "message"),
    [("", "names no table"), ("#nobody", "can't be read"), ("#users", "no column 'task_complete'")],
)
def test_refusals_name_the_problem(url: str, opt_in: Case, ending: str, message: str) -> None:
    arguments = {**opt_in.arguments, "outcome": "task_complete"}
    with pytest.raises(DataError, match=message):
        front_function(opt_in.method)(url + ending, **arguments)


def test_a_server_that_is_not_there_is_a_data_error(opt_in: Case) -> None:
    with pytest.raises(DataError, match="No connection"):
        front_function(opt_in.method)("postgres://nobody@127.0.0.1:1/x#users", **opt_in.arguments)


def test_a_missing_driver_names_the_line_that_installs_it(opt_in: Case) -> None:
    with pytest.raises(DataError, match=r"pip install 'ibis-framework\[bigquery\]>=12,<13'"):
        front_function(opt_in.method)("bigquery://project/dataset#users", **opt_in.arguments)
