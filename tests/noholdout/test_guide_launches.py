"""The guide on the generator's launches: each gets its design, and its command runs."""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from guide_cases import FEATURES, FOUR_TREATMENTS, USERS, found, guided, run
from noholdout_data_generator import generate

from noholdout.guide.advice import advise
from noholdout.guide.columns import look


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_users_table_holds_four_treatments(seed: int) -> None:
    advice = guided(generate(n_users=5_000, seed=seed).users)
    assert found(advice) == FOUR_TREATMENTS
    staged, threshold, coin, whom, opt_in = advice.designs
    assert any("not only who tried it" in line for line in staged.assumed)
    assert staged.arguments == {
        "outcome": "task_completed",
        "time": "signup_week",
        "first-treated": "treatment_week",
        "cluster": "workspace_id",
    }
    assert threshold.arguments == {
        "outcome": "task_completed",
        "running": "query_confidence",
        "cutoff": "0.85",
        "treated-side": "below",
    }
    assert coin.arguments["covariates"] == whom.arguments["features"] == FEATURES
    assert opt_in.arguments["covariates"] == FEATURES
    assert set(advice.ruled_out) == {"synthetic_control"}


@pytest.mark.parametrize(
    ("launch", "count", "extra"),
    [
        ("pinned", 40, {}),
        ("one-workspace", 1, {}),
        ("one-region", 8, {"cluster": "region"}),
        ("everyone", 50, {"estimator": "interrupted-time-series"}),
    ],
)
def test_each_launch_in_the_telemetry(
    launch: Any,
    count: int,
    extra: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    telemetry = generate(n_users=500, seed=42, launch=launch).telemetry
    telemetry.to_csv(tmp_path / "t.csv", index=False)
    advice = advise(look(str(tmp_path / "t.csv")))
    (design,) = advice.designs
    assert design.method == "synthetic_control"
    upgraded = sorted(telemetry.loc[telemetry["upgraded"] == 1, "workspace_id"].unique())
    assert design.arguments["treated"] == upgraded and len(upgraded) == count
    assert (
        design.arguments["start"]
        == str(telemetry.loc[telemetry["upgraded"] == 1, "date"].min())[:10]
    )
    assert {k: v for k, v in design.arguments.items() if k in ("cluster", "estimator")} == extra
    assert set(advice.ruled_out) == {"did", "propensity", "rdd", "uplift"}
    answer = run(design.argv(advice.location) or [], monkeypatch, capsys)
    assert answer["estimate"] == pytest.approx(0.05, abs=0.035)


def test_the_commands_for_the_users_table_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    USERS.iloc[:4_000].to_csv(tmp_path / "my users.csv", index=False)
    monkeypatch.setattr(
        sys, "argv", ["noholdout", "guide", str(tmp_path / "my users.csv"), "--yes"]
    )
    plain = run(sys.argv, monkeypatch, capsys)
    assert [design["method"] for design in plain["designs"]] == [m for m, _ in FOUR_TREATMENTS]
    assert plain["command"] == plain["designs"][0]["command"]
    for design in plain["designs"]:
        line = shlex.split(design["command"])
        if design["method"] == "uplift":
            line += ["--model", "linear"]
        answer = run(line, monkeypatch, capsys)
        assert np.isfinite(answer["estimate"])


def test_waves_by_a_switching_flag_need_a_column_of_dates() -> None:
    rows = [
        {
            "team": f"t{u:02d}",
            "week": w,
            "on": int(w >= 5 + u % 2 * 3 and u < 8),
            "tickets": u + w % 3,
        }
        for u in range(12)
        for w in range(12)
    ]
    (design,) = guided(pd.DataFrame(rows)).designs
    assert design.method == "did"
    assert "2 waves, first treated in 5 (4), 8 (4) team." in design.because[1]
    assert set(design.needs) == {"first-treated"}


def test_waves_with_a_long_history_can_have_a_twin_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(2)
    rows = [
        {"team": f"t{u:02d}", "week": w, "first_week": first, "tickets": rng.normal(u % 5, 1)}
        for u in range(16)
        for first in [{0: 12, 1: 15}.get(u % 4)]
        for w in range(20)
    ]
    path = tmp_path / "teams.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    advice = advise(look(str(path)))
    assert [design.method for design in advice.designs] == ["did", "synthetic_control"]
    for design in advice.designs:
        assert design.arguments["first-treated"] == "first_week"
        answer = run(design.argv(advice.location) or [], monkeypatch, capsys)
        assert np.isfinite(answer["estimate"])


def teams(periods: int, on: Callable[[int, int], int]) -> pd.DataFrame:
    """Twelve teams by year, each with a 0/1 column of its own and one of the last year."""
    rng = np.random.default_rng(8)
    rows = [
        {"team": f"t{u:02d}", "year": w, "grant": on(u, w), "last": int(w == periods - 1)}
        for u in range(12)
        for w in range(periods)
    ]
    return pd.DataFrame(rows).assign(sales=rng.normal(size=12 * periods))


def test_a_year_of_its_own_is_no_launch() -> None:
    """A panel of firms has a 0/1 column for each year, on for all of them at once."""
    granted = guided(teams(3, lambda u, w: int(u % 3 == 0 and w == 2)))
    assert [design.about for design in granted.designs] == ["grant"]
    (unknown,) = guided(teams(3, lambda u, w: int(u % 3 == 0 and w == 1))).designs
    assert set(unknown.needs) == {"treated", "start"}
    assert "grant: 1 at times, and 0 again" in unknown.because[-1]
    # Named, or after a long history, it may be a launch for everyone.
    for advice in (
        guided(teams(3, lambda u, w: 0), treatment="last"),
        guided(teams(9, lambda u, w: 0)),
    ):
        assert advice.designs[0].arguments["estimator"] == "interrupted-time-series"
