"""What needs a server, Spark or a browser: skipped, unless NOHOLDOUT_ENGINES=required."""

import os
from pathlib import Path

import pandas as pd
import pytest
from method_cases import Case, case

REQUIRED = os.environ.get("NOHOLDOUT_ENGINES") == "required"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if REQUIRED:
        return
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=f"{item.path.name}: make test-engines runs it"))


@pytest.fixture(scope="session")
def opt_in() -> Case:
    """The small opt-in case that every engine must answer like a data frame."""
    return case("propensity")


@pytest.fixture(scope="session")
def users(opt_in: Case) -> pd.DataFrame:
    """The users table of that case."""
    return opt_in.frame
