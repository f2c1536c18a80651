"""Rows summed by covariates and treatment give the answer of the rows: numbers, checks, tables."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from noholdout_data_generator import generate
from noholdout_propensity import estimate, pushdown
from noholdout_propensity.kernels.balance import effective_size
from noholdout_shared import engine
from noholdout_shared.errors import DataError

CALL: dict[str, Any] = {
    "treatment": "opt_in_agent_mode",
    "covariates": ["engagement_tier", "signup_week", "tenth"],
}


@pytest.fixture(scope="module")
def users() -> pd.DataFrame:
    frame = generate(n_users=6_000, seed=5).users
    return frame.assign(tenth=frame["query_confidence"].round(1))


@pytest.fixture(autouse=True)
def every_table_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "WHOLE_BELOW", 0)
    monkeypatch.setattr(pushdown, "REPEATED", 1.0)


@pytest.mark.parametrize("outcome", ["task_completed", "cost_usd"])
@pytest.mark.parametrize(
    "options",
    [
        {"estimator": "ipw", "estimand": "att"},
        {"estimator": "ipw", "estimand": "ato", "score": "probit", "cluster": "workspace_id"},
        {"estimator": "regression", "outcome_covariates": ["signup_week"]},
        {"estimator": "entropy-balancing", "estimand": "atc"},
        {"folds": 1},
        {"folds": 1, "estimand": "ato", "augmentation": "normalised"},
        {"cluster": "workspace_id"},
        {"cluster": "workspace_id", "estimand": "att", "folds": 3},
    ],
)
def test_groups_answer_like_their_rows(
    users: pd.DataFrame, outcome: str, options: dict[str, Any], tmp_path: Path
) -> None:
    users.to_parquet(tmp_path / "rows.parquet")
    rows = estimate(users, outcome=outcome, **CALL, **options)
    summed = estimate(tmp_path / "rows.parquet", outcome=outcome, **CALL, **options)
    assert "6,000 rows in" in summed.settings["summed_by_engine"]
    for name in ("estimate", "std_error", "conf_low", "conf_high", "p_value"):
        assert getattr(summed, name) == pytest.approx(getattr(rows, name), rel=1e-9)
    same = ("n_obs", "n_treated", "n_control", "n_clusters", "verdict", "proportion")
    for name in (*same, "method", "estimand", "inference"):
        assert getattr(summed, name) == getattr(rows, name)
    assert [c.name for c in summed.checks] == [c.name for c in rows.checks]
    for mine, theirs in zip(summed.checks, rows.checks, strict=True):
        assert mine.statistic == pytest.approx(theirs.statistic, rel=1e-6, abs=1e-9, nan_ok=True)
        assert mine.implied_bias == pytest.approx(
            theirs.implied_bias, rel=1e-6, abs=1e-9, nan_ok=True
        )
    for name, table in rows.tables.items():
        other = summed.tables[name]
        pd.testing.assert_frame_equal(other, table, check_dtype=False, rtol=1e-7, atol=1e-9)
    for name, value in rows.settings.items():
        if isinstance(value, float):
            assert summed.settings[name] == pytest.approx(value, rel=1e-7, nan_ok=True)
        else:
            assert summed.settings[name] == value


def test_the_default_reads_rows_until_they_are_too_many_to_fold(
    users: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users.to_parquet(tmp_path / "rows.parquet")
    asked = {"outcome": "task_completed", **CALL}
    read = estimate(tmp_path / "rows.parquet", **asked)
    assert "summed_by_engine" not in read.settings
    assert read.estimate == pytest.approx(estimate(users, **asked).estimate, rel=1e-12)
    monkeypatch.setattr(pushdown, "FOLDED_BELOW", 6_000)
    summed = estimate(tmp_path / "rows.parquet", **asked)
    assert summed.settings["folds"] == 1
    assert "can't be split" in summed.settings["cross_fitting"]
    assert "no cross-fitting" in summed.inference
    assert summed.estimate == pytest.approx(estimate(users, **asked, folds=1).estimate, rel=1e-9)
    assert abs(summed.estimate - read.estimate) < 0.1 * read.std_error


@pytest.mark.parametrize(
    "options",
    [
        {"estimator": "matching"},
        {"estimator": "all"},
        {"estimator": "ipw", "trim": "crump"},
        {"estimator": "ipw", "inference": "bootstrap", "replicates": 50},
        {"estimator": "ipw", "weights": "session_minutes"},
        {"estimator": "ipw", "denominator": "session_minutes"},
        {"estimator": "ipw", "negative_controls": ["thumbs_up"]},
        {"estimator": "ipw", "sample": 3_000},
        {"folds": 5},
    ],
)
def test_what_the_sums_do_not_hold_is_read_as_rows(
    users: pd.DataFrame, options: dict[str, Any], tmp_path: Path
) -> None:
    users.to_parquet(tmp_path / "rows.parquet")
    asked = {"outcome": "cost_usd", **CALL, **options}
    found = estimate(tmp_path / "rows.parquet", **asked)
    assert "summed_by_engine" not in found.settings
    assert found.estimate == pytest.approx(estimate(users, **asked).estimate, rel=1e-12)


def test_covariates_that_hardly_repeat_are_read_as_rows(
    users: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pushdown, "REPEATED", 0.2)
    users.to_parquet(tmp_path / "rows.parquet")
    asked: dict[str, Any] = {"outcome": "cost_usd", "treatment": "opt_in_agent_mode"}
    few = estimate(tmp_path / "rows.parquet", **asked, covariates=["tenth"], folds=1)
    many = estimate(tmp_path / "rows.parquet", **asked, covariates=["query_confidence"], folds=1)
    assert "summed_by_engine" in few.settings
    assert "summed_by_engine" not in many.settings


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"opt_in_agent_mode": 2}, r"isn't 0/1: 6,000 of 6,000 rows"),
        ({"tenth": np.inf}, r"6,000 infinite or missing values"),
        ({"tenth": np.nan}, r"6,000 of 6,000 rows have missing values \('tenth' 6,000"),
    ],
)
def test_refusals_count_rows(
    users: pd.DataFrame, changed: dict[str, Any], message: str, tmp_path: Path
) -> None:
    users.assign(**changed).to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(DataError, match=message):
        estimate(tmp_path / "rows.parquet", outcome="cost_usd", **CALL, estimator="ipw")


def test_dropped_rows_are_counted_as_in_memory(users: pd.DataFrame, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    gaps = users.assign(
        tenth=users["tenth"].where(rng.random(len(users)) > 0.1),
        cost_usd=users["cost_usd"].where(rng.random(len(users)) > 0.05),
        opt_in_agent_mode=users["opt_in_agent_mode"].astype(bool),
    )
    gaps.to_parquet(tmp_path / "rows.parquet")
    asked = {"outcome": "cost_usd", **CALL, "folds": 1, "missing": "drop"}
    rows, summed = estimate(gaps, **asked), estimate(tmp_path / "rows.parquet", **asked)
    assert summed.settings["rows_dropped_missing"] == rows.settings["rows_dropped_missing"] > 800
    assert summed.n_obs == rows.n_obs
    assert summed.std_error == pytest.approx(rows.std_error, rel=1e-9)


def test_effective_rows_by_hand() -> None:
    # Weights 1, 1, 1, 3: (6)^2 / (1 + 1 + 1 + 9) = 3; the three equal ones as one entry of 3.
    rows = effective_size(np.array([1.0, 1.0, 1.0, 3.0]))
    assert rows == pytest.approx(3.0)
    assert effective_size(np.array([3.0, 3.0]), np.array([3.0, 1.0])) == pytest.approx(3.0)
