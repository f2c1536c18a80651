"""A Spark frame answers like a pandas frame."""

from typing import Any

import pandas as pd
import pytest
from method_cases import Case, front_function
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
