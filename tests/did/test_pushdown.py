"""Rows summed by cluster, launch and period give the answer of the rows: numbers and tables."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from noholdout_data_generator import generate
from noholdout_did import estimate
from noholdout_shared import engine


@pytest.fixture(scope="module")
def users() -> pd.DataFrame:
    frame = generate(n_users=6_000, seed=5).users
    return frame.assign(period=frame["signup_week"] // 5, first=frame["treatment_week"] // 5)


@pytest.mark.parametrize(
    ("cluster", "options"),
    [
        ("workspace_id", {}),
        ("workspace_id", {"weights": "session_minutes", "inference": "bootstrap"}),
        ("workspace_id", {"inference": "randomization"}),
        ("workspace_id", {"estimator": "all"}),
        ("workspace_id", {"estimator": "twfe"}),
        ("workspace_id", {"estimator": "imputation", "aggregate": "event"}),
        ("engagement_tier", {"base_period": "universal"}),
        (None, {}),
        (None, {"estimator": "two-by-two"}),
    ],
)
@pytest.mark.parametrize("outcome", ["task_completed", "cost_usd"])
def test_summed_cells_answer_like_rows(
    users: pd.DataFrame,
    outcome: str,
    cluster: str | None,
    options: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "WHOLE_BELOW", 0)
    users.to_parquet(tmp_path / "rows.parquet")
    call: dict[str, Any] = {"outcome": outcome, "time": "period", "first_treated": "first"}
    call |= {"cluster": cluster, **options}
    rows, summed = estimate(users, **call), estimate(tmp_path / "rows.parquet", **call)
    said = dict(summed.settings)
    assert "rows in" in said.pop("summed_by_engine")
    assert (
        pd.Series(said, dtype=object)
        .astype(str)
        .str[:10]
        .equals(pd.Series(rows.settings, dtype=object).astype(str).str[:10])
    )
    for name in ("estimate", "std_error", "conf_low", "conf_high", "p_value"):
        assert getattr(summed, name) == pytest.approx(getattr(rows, name), rel=1e-9)
    for name in ("n_obs", "n_treated", "n_control", "n_clusters", "verdict", "estimand"):
        assert getattr(summed, name) == getattr(rows, name)
    assert [c.message for c in summed.checks] == [c.message for c in rows.checks]
    for name, table in rows.tables.items():
        other = summed.tables[name]
        pd.testing.assert_frame_equal(other, table, check_dtype=False, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize(
    "options",
    [
        {"covariates": ["query_confidence"], "cluster": "workspace_id"},
        {"composition": ["engagement_tier"], "cluster": "workspace_id"},
        {"estimator": "imputation"},
        {"weights": "session_minutes"},
        {"unit": "workspace_id", "cell_mean": True},
    ],
)
def test_what_the_sums_do_not_hold_is_read_as_rows(
    users: pd.DataFrame, options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "WHOLE_BELOW", 0)
    users.to_parquet(tmp_path / "rows.parquet")
    call: dict[str, Any] = {"outcome": "cost_usd", "time": "period", "first_treated": "first"}
    found = estimate(tmp_path / "rows.parquet", **call, **options)
    assert "summed_by_engine" not in found.settings
    assert found.estimate == pytest.approx(estimate(users, **call, **options).estimate, rel=1e-12)


def test_the_bands_do_not_depend_on_the_order_of_rows(users: pd.DataFrame) -> None:
    call: dict[str, Any] = {
        "outcome": "cost_usd", "time": "period", "first_treated": "first",
        "cluster": "workspace_id", "inference": "bootstrap",
    }  # fmt: skip
    one = estimate(users, **call)
    other = estimate(users.sample(frac=1, random_state=1), **call)
    assert other.conf_low == pytest.approx(one.conf_low, rel=1e-9)
    band = other.tables["event_study"]["band_low"].to_numpy()
    assert band == pytest.approx(one.tables["event_study"]["band_low"].to_numpy(), rel=1e-9)
