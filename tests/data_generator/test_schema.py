"""The tables have the promised columns, types and ranges, for every size and launch."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from noholdout_data_generator import Dataset, generate
from noholdout_shared.errors import DataError

USER_COLUMNS = [
    "user_id",
    "workspace_id",
    "engagement_tier",
    "signup_week",
    "wave",
    "treatment_week",
    "treated_post",
    "prompt_variant",
    "opt_in_agent_mode",
    "query_confidence",
    "routed_to_premium",
    "task_completed",
    "thumbs_up",
    "session_minutes",
    "cost_usd",
    "retained_7d",
]
TELEMETRY_COLUMNS = [
    "date",
    "day",
    "workspace_id",
    "region",
    "model_version",
    "upgraded",
    "active_users",
    "tasks",
    "task_completion_rate",
    "thumbs_up_rate",
    "session_minutes",
    "cost_usd",
]


@pytest.fixture(scope="module")
def data() -> Dataset:
    return generate(n_users=20_000, seed=3)


def test_users_have_sixteen_columns_in_order(data: Dataset) -> None:
    assert list(data.users.columns) == USER_COLUMNS
    assert len(data.users) == 20_000
    assert data.users["user_id"].tolist() == list(range(1, 20_001))
    assert not data.users.isna().to_numpy().any()


def test_users_values(data: Dataset) -> None:
    users = data.users
    assert set(users["engagement_tier"]) == {"light", "medium", "heavy"}
    assert set(users["signup_week"]) == set(range(52))
    assert users["workspace_id"].nunique() == 50
    assert users["workspace_id"].str.fullmatch(r"ws_\d\d").all()
    assert users["query_confidence"].between(0, 1).all()
    for name in ("treated_post", "prompt_variant", "opt_in_agent_mode", "routed_to_premium"):
        assert set(users[name]) == {0, 1}
    for name in ("task_completed", "thumbs_up", "retained_7d"):
        assert set(users[name]) == {0, 1}
    assert (users["session_minutes"] > 0).all()
    assert (users["cost_usd"] > 0).all()


def test_waves_are_by_workspace_and_half_each(data: Dataset) -> None:
    waves = data.users.groupby("workspace_id")["wave"].agg(["nunique", "first"])
    assert (waves["nunique"] == 1).all()
    assert waves["first"].value_counts().to_dict() == {1: 25, 2: 25}
    starts = data.users.groupby("wave")["treatment_week"].unique().map(list).to_dict()
    assert starts == {1: [20], 2: [30]}
    post = data.users["signup_week"] >= data.users["treatment_week"]
    assert (data.users["treated_post"] == post).all()


def test_flag_agrees_with_the_stored_score(data: Dataset) -> None:
    below = data.users["query_confidence"] < 0.85
    assert (data.users["routed_to_premium"] == below).all()
    assert 0.15 < (~below).mean() < 0.40


@pytest.mark.parametrize(
    ("launch", "treated"),
    [
        ("one-workspace", (1, 1)),
        ("one-region", (8, 9)),
        ("pinned", (40, 40)),
        ("everyone", (50, 50)),
    ],
)
def test_telemetry(launch: str, treated: tuple[int, int]) -> None:
    panel = generate(n_users=500, seed=5, launch=launch).telemetry  # type: ignore[arg-type]
    assert list(panel.columns) == TELEMETRY_COLUMNS
    assert len(panel) == 50 * 120
    assert panel["region"].nunique() == 6
    upgraded = panel[panel["upgraded"] == 1]
    assert treated[0] <= upgraded["workspace_id"].nunique() <= treated[1]
    assert upgraded["day"].min() == 90
    assert len(upgraded) == 30 * upgraded["workspace_id"].nunique()
    assert (panel["model_version"].eq("v2") == panel["upgraded"].eq(1)).all()
    assert panel["date"].iloc[0] == "2025-01-06"
    assert (
        (pd.to_datetime(panel["date"]) - pd.Timestamp("2025-01-06")).dt.days.eq(panel["day"]).all()
    )
    completed = panel["task_completion_rate"] * panel["tasks"]
    np.testing.assert_allclose(completed, completed.round(), atol=1e-3)
    assert panel["tasks"].between(60, 800).all()
    if launch == "one-region":
        assert upgraded["region"].nunique() == 1
        inside = panel[panel["region"] == upgraded["region"].iloc[0]]
        assert inside["workspace_id"].nunique() == upgraded["workspace_id"].nunique()


def test_launches_share_everything_but_who_is_upgraded() -> None:
    one, other = (
        generate(n_users=500, seed=5, launch=launch).telemetry
        for launch in ("pinned", "one-workspace")
    )
    before = one["day"] < 90
    names = ["tasks", "task_completion_rate", "region"]
    pd.testing.assert_frame_equal(one.loc[before, names], other.loc[before, names])
    same = one["upgraded"] == other["upgraded"]
    pd.testing.assert_frame_equal(one[same], other[same])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_users": 10}, "n_users is 10"),
        ({"n_users": 2_000_000_000}, "n_users is 2,000,000,000"),
        ({"n_users": 1000.0}, "whole number"),
        ({"seed": -1}, "seed is -1"),
        ({"scenario": "did-pretrend"}, "Did you mean 'did-pre-trends'"),
        ({"scenario": "did-pre-trends", "severity": 99.0}, "from 0 to 5"),
        ({"scenario": "did-pre-trends", "severity": float("nan")}, "from 0 to 5"),
        ({"launch": "all"}, "no launch 'all'"),
    ],
)
def test_bad_requests_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        generate(**({"n_users": 1000, "seed": 1} | arguments))
