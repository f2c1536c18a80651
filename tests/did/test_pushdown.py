"""Rows summed by cluster, launch and period give the answer of the rows: numbers and tables."""

from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from noholdout_data_generator import generate
from noholdout_did import estimate, panel_sums
from noholdout_did.kernels import moments
from noholdout_shared import engine
from noholdout_shared.errors import DataError


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


@pytest.fixture(scope="module")
def panel() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    units, periods = 640, 7
    launch = rng.choice([0, 10, 13, 14, 16, 30, -1], units).repeat(periods)
    first = np.where(launch < 0, np.nan, launch)
    week = np.tile(np.arange(10, 10 + periods), units)
    level = rng.normal(0, 2, units).repeat(periods)
    y = 1e4 + level + 0.3 * week + 0.5 * (week >= np.where(launch > 0, launch, 99))
    names = {"who": np.arange(units).repeat(periods), "week": week, "first": first}
    return pd.DataFrame({**names, "y": y + rng.normal(size=y.size)})


def few_units_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above this many units their own influences aren't kept, as of 5,000."""
    monkeypatch.setattr(panel_sums, "KEEP_FEATURES", 100)
    monkeypatch.setattr(moments, "KEEP_FEATURES", 100)


BY_UNIT = {"outcome": "y", "time": "week", "first_treated": "first", "unit": "who"}


@pytest.mark.parametrize("times", ["whole", "date", "text"])
@pytest.mark.parametrize("complete", [True, False], ids=["balanced", "unbalanced"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"estimator": "two-by-two"},
        {"aggregate": "event", "sensitivity": True, "inference": "bootstrap"},
    ],
)
def test_a_panel_by_unit_is_summed_and_answers_like_its_rows(
    panel: pd.DataFrame,
    times: str,
    complete: bool,
    options: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "WHOLE_BELOW", 0)
    few_units_are_many(monkeypatch)
    frame = panel if complete else panel.sample(frac=0.9, random_state=1)
    source = written_panel(frame, tmp_path, times)
    rows = estimate(duckdb.sql(f"FROM '{source}'").df(), **BY_UNIT, **options)
    summed = estimate(source, **BY_UNIT, **options)
    said = dict(summed.settings)
    assert "of 640 units in" in said.pop("summed_by_engine")
    assert list(said) == list(rows.settings)
    assert said["panel"] == rows.settings["panel"] == ("balanced" if complete else "unbalanced")
    for name in ("estimate", "std_error", "conf_low", "conf_high", "p_value"):
        assert getattr(summed, name) == pytest.approx(getattr(rows, name), rel=1e-9)
    for name in ("n_obs", "n_treated", "n_control", "n_clusters", "verdict", "estimand"):
        assert getattr(summed, name) == getattr(rows, name)
    assert [c.message for c in summed.checks] == [c.message for c in rows.checks]
    for name, table in rows.tables.items():
        other = summed.tables[name]
        pd.testing.assert_frame_equal(other, table, check_dtype=False, rtol=1e-6, atol=1e-9)


def written_panel(frame: pd.DataFrame, folder: Path, times: str) -> Path:
    path = folder / "panel.parquet"
    if times == "whole":
        frame.to_parquet(path)
        return path
    day = "DATE '2025-01-01' + {}::INT"
    kind = "DATE" if times == "date" else "VARCHAR"
    first = f"CASE WHEN first > 0 THEN ({day.format('first')})::{kind} END"
    duckdb.sql(
        f"COPY (SELECT who, ({day.format('week')})::{kind} AS week, {first} AS first, y "
        f"FROM frame) TO '{path}'"
    )
    return path


@pytest.mark.parametrize(
    ("flaw", "message"),
    [
        ("repeated", "have more than one row"),
        ("two launches", "more than one launch"),
        ("unnamed", "missing values"),
        ("few units", None),
        ("randomization", None),
    ],
)
def test_panels_that_need_their_rows_are_read(
    panel: pd.DataFrame,
    flaw: str,
    message: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "WHOLE_BELOW", 0)
    few_units_are_many(monkeypatch)
    frame = panel[panel["first"] != 10].astype({"who": float})
    asked: dict[str, Any] = dict(BY_UNIT)
    if flaw == "repeated":
        frame = pd.concat([frame, frame.iloc[:1]])
    elif flaw == "two launches":
        frame.iloc[0, frame.columns.get_loc("first")] = 14.0  # type: ignore[index]
        frame.iloc[1, frame.columns.get_loc("first")] = 13.0  # type: ignore[index]
    elif flaw == "unnamed":
        frame.iloc[0, frame.columns.get_loc("who")] = np.nan  # type: ignore[index]
    elif flaw == "few units":
        frame = frame[frame["who"] < 90]
    else:
        asked |= {"inference": "randomization"}
    frame.to_parquet(tmp_path / "panel.parquet")
    if message is None:
        found = estimate(tmp_path / "panel.parquet", **asked)
        assert "summed_by_engine" not in found.settings
        assert found.estimate == pytest.approx(estimate(frame, **asked).estimate, rel=1e-12)
        return
    with pytest.raises(DataError, match=message):
        estimate(tmp_path / "panel.parquet", **asked)
