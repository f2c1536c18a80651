"""A Spark frame answers like a pandas frame."""

from typing import Any

import pandas as pd
import pytest
from method_cases import Case, front_function
from noholdout_shared import engine
from noholdout_shared.errors import DataError

pytestmark = pytest.mark.engines


@pytest.fixture(scope="module")
def frame(spark: Any, users: pd.DataFrame) -> Any:
    return spark.createDataFrame(users)


def test_a_spark_frame_answers_like_the_pandas_frame(frame: Any, opt_in: Case) -> None:
    found = front_function(opt_in.method)(frame, **opt_in.arguments)
    assert found.n_obs == len(opt_in.frame)
    assert found.estimate == pytest.approx(opt_in.run().estimate, abs=0.25 * found.std_error)


def test_an_unknown_column_of_a_spark_frame_is_a_data_error(frame: Any, opt_in: Case) -> None:
    arguments = {**opt_in.arguments, "outcome": "task_complete"}
    with pytest.raises(DataError, match="Did you mean 'task_completed'"):
        front_function(opt_in.method)(frame, **arguments)


def test_names_with_dots_and_backticks_are_read(
    spark: Any, users: pd.DataFrame, opt_in: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spark would take ``task.completed`` for a field of column ``task``."""
    names = {"task_completed": "task.completed", "signup_week": "the `week`"}
    frame = spark.createDataFrame(users.rename(columns=names))
    arguments = {**opt_in.arguments, "outcome": "task.completed"}
    arguments["covariates"] = [names.get(name, name) for name in arguments["covariates"]]
    found = front_function(opt_in.method)(frame, **arguments)
    assert found.n_obs == len(users)
    assert found.estimate == pytest.approx(opt_in.run().estimate, abs=0.25 * found.std_error)
    some = front_function(opt_in.method)(frame, **arguments, sample=len(users) // 2)
    assert 0.4 < some.n_obs / len(users) < 0.6
    # The columns beside them are still summed where they are.
    monkeypatch.setattr(engine, "WHOLE_BELOW", 0)
    cells = engine.read_cells(frame, keys=["engagement_tier"], values=["session_minutes"])
    assert cells.n_rows == len(users)
    assert len(cells.frame) == users["engagement_tier"].nunique()
    odd = engine.read_cells(frame, keys=["the `week`"], values=["task.completed"])
    assert odd.frame["task.completed"].sum() == users["task_completed"].sum()
