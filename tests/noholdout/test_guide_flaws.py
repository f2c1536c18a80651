"""What the guide says is to be put right first: copies of rows and codes, and nothing else."""

import numpy as np
import pandas as pd
import pytest
from guide_cases import FOUR_TREATMENTS, USERS, found, guided
from noholdout_data_generator import generate
from rich.console import Console

from noholdout.guide.show import advice_text

DISCRETE = ["engagement_tier", "signup_week", "prompt_variant", "task_completed"]


def test_copies_of_rows_are_counted_with_an_example() -> None:
    copied = pd.concat([USERS, USERS.iloc[7:607]], ignore_index=True)
    advice = guided(copied)
    (flaw,) = advice.flaws
    assert flaw.startswith(
        "600 of 10,600 rows are exact copies of another row (row 10,001 of row 8)"
    )
    assert advice.to_dict()["flaws"] == [flaw]
    # An empty cell equals another.
    copied["note"] = None
    assert guided(copied).flaws == (flaw,)


@pytest.mark.parametrize(
    "frame",
    [
        USERS,
        pd.concat([USERS[DISCRETE]] * 2),  # in discrete data most rows have an equal anyway
        pd.concat([USERS, USERS.iloc[:20]]),  # too few to move an interval
        USERS[["query_confidence", "cost_usd", "task_completed"]].round(2),
        generate(n_users=300, seed=1, launch="one-workspace").telemetry,
    ],
    ids=["clean", "discrete", "few", "three columns", "panel"],
)
def test_equal_rows_that_are_ordinary_are_passed_over(frame: pd.DataFrame) -> None:
    assert guided(frame).flaws == ()


def test_a_code_is_said_and_read_as_an_empty_cell() -> None:
    before = np.random.default_rng(0).normal(50, 9, len(USERS))
    before[[3, 5, 8]] = -999
    coded = USERS.assign(query_before=before)
    coded.loc[[2, 4], "opt_in_agent_mode"] = -9
    advice = guided(coded)
    first, second = advice.flaws
    assert first.startswith("opt_in_agent_mode is -9 in 2 rows and runs from 0 to 1 in the others")
    assert second.startswith("query_before is -999 in 3 rows")
    # With these cells empty all designs are found, and each says what to do with empty cells.
    assert found(advice) == FOUR_TREATMENTS
    assert advice.designs[-1].arguments["missing"] == "drop"
    assert coded["query_before"].min() == -999, "the user's frame was changed"


def test_flaws_stand_before_the_designs() -> None:
    console = Console(width=80)
    with console.capture() as capture:
        console.print(advice_text(guided(pd.concat([USERS, USERS]))))
    said = capture.get()
    assert "Put right first" in said
    assert said.index("exact copies") < said.index("Staged rollout")
