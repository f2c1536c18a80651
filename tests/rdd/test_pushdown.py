"""Rows summed by score give the answer of the rows: every number, check and table."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from noholdout_data_generator import generate
from noholdout_rdd import estimate
from noholdout_rdd.kernels.neighbours import neighbour_residuals
from noholdout_rdd.kernels.side import Side
from noholdout_shared import engine
from noholdout_shared.errors import DataError

CALL: dict[str, Any] = {"running": "score", "cutoff": 0.85, "treated_side": "below"}


@pytest.fixture(scope="module")
def users() -> pd.DataFrame:
    users = generate(n_users=6_000, seed=5).users
    broken = np.random.default_rng(1).random(len(users)) < 0.15
    return users.assign(got_it=np.where(broken, 1, 0) ^ users["routed_to_premium"])


@pytest.mark.parametrize("digits", [2, 3, 6])
@pytest.mark.parametrize(
    ("outcome", "options"),
    [
        ("task_completed", {}),
        ("cost_usd", {"kernel": "epanechnikov", "degree": 2, "selector": "certwo"}),
        ("cost_usd", {"variance": "hc3", "inference": "honest"}),
        ("task_completed", {"variance": "hc1", "kernel": "uniform", "bandwidth": 0.08}),
        ("task_completed", {"treatment": "got_it"}),
        ("cost_usd", {"treatment": "got_it", "variance": "hc2", "inference": "honest"}),
        ("cost_usd", {"treatment": "got_it", "design": "sharp", "mixed_bin": "drop"}),
        ("task_completed", {"treatment": "got_it", "selector": "cercomb2", "donut": 0.005}),
    ],
)
def test_summed_scores_answer_like_rows(
    users: pd.DataFrame,
    digits: int,
    outcome: str,
    options: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "WHOLE_BELOW", 0)
    frame = users.assign(score=users["query_confidence"].round(digits))
    frame.to_parquet(tmp_path / "rows.parquet")
    rows = estimate(frame, outcome=outcome, **CALL, **options)
    summed = estimate(tmp_path / "rows.parquet", outcome=outcome, **CALL, **options)
    assert "summed_by_engine" in summed.settings
    for name in ("estimate", "std_error", "conf_low", "conf_high", "p_value"):
        assert getattr(summed, name) == pytest.approx(getattr(rows, name), rel=1e-9)
    for name in ("n_obs", "n_treated", "n_control", "verdict", "proportion"):
        assert getattr(summed, name) == getattr(rows, name)
    assert [c.message for c in summed.checks] == [c.message for c in rows.checks]
    for name, table in rows.tables.items():
        other = summed.tables[name]
        pd.testing.assert_frame_equal(other, table, check_dtype=False, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize(
    "more", [{"step": 0.01}, {"cluster": "workspace_id"}, {"costs": ["cost_usd"]}]
)
def test_what_the_sums_do_not_hold_is_read_as_rows(
    users: pd.DataFrame, more: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "WHOLE_BELOW", 0)
    frame = users.assign(score=users["query_confidence"])
    frame.to_parquet(tmp_path / "rows.parquet")
    found = estimate(tmp_path / "rows.parquet", outcome="task_completed", **CALL, **more)
    assert "summed_by_engine" not in found.settings
    assert found.estimate == estimate(frame, outcome="task_completed", **CALL, **more).estimate


def test_a_treatment_of_other_values_is_refused_with_its_rows_counted(
    users: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "WHOLE_BELOW", 0)
    users.assign(score=users["query_confidence"]).to_parquet(tmp_path / "rows.parquet")
    asked = {"outcome": "task_completed", "treatment": "signup_week"}
    with pytest.raises(DataError, match=r"isn't 0/1: [\d,]+ of 6,000 rows"):
        estimate(tmp_path / "rows.parquet", **asked, **CALL)


def test_neighbour_squares_of_a_score_by_hand() -> None:
    # Scores 1, 1, 2, 4. Each row's three nearest are all others, whose mean is left out:
    # y = 0, 2, 1, 5, mean 2, so a residual is sqrt(4 / 3) (y - 2) and the squares of score 1 add
    # up to 4/3 (4 + 0) = 16/3, of score 2 to 4/3, of score 4 to 12.
    rows = neighbour_residuals(np.array([1.0, 1, 2, 4]), np.array([[0.0, 2, 1, 5]]))
    summed = neighbour_residuals(
        np.array([1.0, 2, 4]),
        np.array([[1.0, 1, 5]]),
        3,
        np.array([2, 1, 1]),
        np.array([2.0, 0, 0]),
    )
    squares = (summed.residuals[0] * [2, 1, 1]) ** 2
    assert squares == pytest.approx([16 / 3, 4 / 3, 12])
    assert (rows.residuals[0] ** 2).sum() == pytest.approx(squares.sum())


def test_ranks_and_edges_count_rows() -> None:
    side = Side(np.array([0.1, 0.2, 0.5]), np.zeros((1, 3)), count=np.array([2, 1, 3]))
    assert side.rows == 6
    assert [side.entry_of(row) for row in range(6)] == [0, 0, 1, 2, 2, 2]
    assert [side.rows_in(n) for n in range(4)] == [0, 2, 3, 6]
    rows = np.repeat(side.distance, side.count)  # type: ignore[arg-type]
    for share in (0.1, 0.25, 0.5, 0.9, 1.0):
        assert side.quantile(share) == pytest.approx(np.quantile(rows, share))
