"""The monitor: limits that hold however often one looks, and answers that don't change later."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from noholdout_shared.errors import DataError, DesignError
from noholdout_synthetic_control import monitor
from noholdout_synthetic_control.kernels.departures import (
    change_prior,
    make_clock,
    watch_prior,
    weigh_evidence,
)
from noholdout_synthetic_control.kernels.spending import drawn_scans, scan_draws, spending_limits
from noholdout_synthetic_control.kernels.wander import Wander, fit_wander
from scipy.stats import multivariate_normal
from synthetic_control.worlds import COLUMNS, panel_frame
from typer import Typer
from typer.testing import CliRunner

from noholdout.commands.monitor import monitor as command

app = Typer()
app.command()(command)


def calm_panel(seed: int, units: int = 12, periods: int = 110, rho: float = 0.7) -> np.ndarray:
    """Levels, a common path, an autoregression of each unit's own, and daily noise."""
    rng = np.random.default_rng(seed)
    shock = rng.normal(0, 1, (units, periods))
    for t in range(1, periods):
        shock[:, t] = rho * shock[:, t - 1] + np.sqrt(1 - rho**2) * shock[:, t]
    common = np.cumsum(rng.normal(0, 0.3, periods))
    level = rng.normal(50, 5, (units, 1))
    return level + common + shock + rng.normal(0, 1, (units, periods))


def looked(outcomes: np.ndarray, since: int = 60, **options: Any) -> Any:
    return monitor(panel_frame(outcomes), **COLUMNS, since=since, **options)


def test_weights_of_the_days_of_change_are_those_of_any_longer_file() -> None:
    assert change_prior(5000).sum() == pytest.approx(1, abs=0.001)
    assert change_prior(10)[0] == pytest.approx(0.5 + 0.25 / 7)  # half, and a week's first day
    np.testing.assert_array_equal(change_prior(30), change_prior(90)[:30])


def test_one_day_by_hand() -> None:
    # Two units, one day of variance 4, sizes mixed with variance 4; unit 1 shows nothing.
    # Gap 6: information 1/4, score 6/4, z^2 = 9, 4 * 1/4 = 1:
    # log ratio of a change that day = 9/2 * 1/2 - log(2)/2 = 1.9034; the prior of that day p0.
    covariance = np.full((2, 1, 1), 4.0)
    found = weigh_evidence(
        np.array([[6.0], [0.0]]), np.ones((2, 1), bool), make_clock(covariance),
        np.array([2.0, 2.0]), np.array([False, True]), np.full(1, -np.log(0.05)),
        change_prior(1),
    )  # fmt: skip
    p0 = change_prior(1)[0]
    assert found.log_ratio[0, 0] == pytest.approx(np.log(p0 * np.exp(1.903426) + 1 - p0))
    assert found.size[0, 0] == pytest.approx(6)
    assert found.size_std_error[0, 0] == pytest.approx(2)
    # (1 + 1/1) (log 2 - 2 log(0.05 p0)) / (1/4), under the root.
    assert found.half_width[0, 0] == pytest.approx(np.sqrt(8 * (np.log(2) - 2 * np.log(0.05 * p0))))


def test_evidence_is_the_ratio_of_the_densities() -> None:
    # Slow second implementation: densities of all days so far, with and without each change.
    rng = np.random.default_rng(1)
    days, scale = 9, 1.5
    wander = Wander(0.3, 2.0, 1.0, 0.8, 1.0)
    covariance = wander.covariance(days, np.array([1.2, 1.1]), np.array([0.5, 0.4]))
    gaps = rng.multivariate_normal(np.zeros(days), covariance[0], 2)
    gaps[0] += 2
    gaps[1] = 0
    found = weigh_evidence(
        gaps,
        np.ones((2, days), bool),
        make_clock(covariance),
        np.full(2, scale),
        np.array([False, True]),
        np.zeros(days),
        change_prior(days),
    )
    prior = change_prior(days)
    for day in range(1, days + 1):
        known = covariance[0][:day, :day]
        null = multivariate_normal(np.zeros(day), known).pdf(gaps[0, :day])
        ratio = 1 - prior[:day].sum()
        for k in range(day):
            step = (np.arange(day) >= k).astype(float)
            moved = known + scale**2 * np.outer(step, step)
            ratio += prior[k] * multivariate_normal(np.zeros(day), moved).pdf(gaps[0, :day]) / null
        assert found.log_ratio[0, day - 1] == pytest.approx(np.log(ratio))


def test_daily_looking_reaches_the_limit_no_more_often_than_promised() -> None:
    # 2,000 units at the limit 1/20 for 60 days, the covariance known: Ville allows 5%, and the
    # Monte Carlo error is 0.5 points. Looking at z daily would name most of them.
    rng = np.random.default_rng(2)
    days, count = 60, 2000
    covariance = Wander(0.2, 0.5, 1.0, 0.9, 1.0).covariance(days, np.ones(1), np.ones(1))
    gaps = rng.multivariate_normal(np.zeros(days), covariance[0], count)
    named = 0
    for batch in np.array_split(gaps, 20):
        rows = np.vstack([batch, np.zeros(days)])
        reference = np.arange(len(rows)) == len(batch)
        same = np.broadcast_to(covariance, (len(rows), days, days))
        found = weigh_evidence(
            rows,
            np.ones(rows.shape, bool),
            make_clock(same),
            np.full(len(rows), 1.5),
            reference,
            np.zeros(days),
            change_prior(days),
        )
        named += int((found.log_ratio[:-1].max(axis=1) >= np.log(20)).sum())
    assert named / count <= 0.05 + 3 * 0.005
    assert named > 0  # and it isn't void


def test_error_is_spent_week_by_week_by_hand() -> None:
    # 200 drawn watches of two weeks; draw d shows d on day 3 of the first week if it is even, on
    # day 10 if it is odd, nothing otherwise. At 10% Pocock's function gives half the watch
    # 0.1 log(1 + 1.71828 / 2) = 0.0620, 12 of 201 watches, the one looked at among them, so 11
    # draws: 178, 180 ... 198, and the limit lies between 176 and 178. 20 are due by the end, 19
    # draws: 8 more, 185 ... 199, between 183 and 185.
    scans = np.full((200, 14), -1.0)
    draw = np.arange(200)
    scans[draw[::2], 3], scans[draw[1::2], 10] = draw[::2], draw[1::2]
    limits = spending_limits(scans, 0.1)
    np.testing.assert_array_equal(limits.levels, np.repeat([177.0, 184.0], 7))
    # Exactly these 19 are named, and an evidence between the two limits only in the first week.
    assert (limits.excess >= 0).sum() == 19
    seen = np.full((2, 14), -1.0)
    seen[0, 3] = seen[1, 10] = 180.0
    p = limits.p_values(seen)
    at_limit = limits.p_values(np.full((1, 14), -1.0) + 178.0 * (np.arange(14) == 3))
    assert at_limit[0, 13] <= 20 / 201 <= 0.1
    assert p[0, 2] == 1 and p[0, 3] <= 0.1 and p[0, 13] == p[0, 3]
    assert p[1, 13] > 0.1


def test_drawn_scans_are_those_of_the_evidence() -> None:
    # The same gaps through the loop over days and through the evidence of the days watched.
    rng = np.random.default_rng(14)
    days, count = 12, 30
    covariance = Wander(0.3, 2.0, 1.0, 0.8, 1.0).covariance(days, np.ones(1), np.ones(1))
    gaps = rng.multivariate_normal(np.zeros(days), covariance[0], count)
    one = make_clock(covariance)
    white = np.linalg.solve(one.root[0], gaps.T).astype(np.float32)
    top = np.full((days, count), -np.inf, dtype=np.float32)
    scan_draws(white, one, 0, 1.5, top)
    many = make_clock(np.broadcast_to(covariance, (count, days, days)))
    slow = weigh_evidence(
        gaps, np.ones(gaps.shape, bool), many, np.full(count, 1.5), np.zeros(count, bool),
        np.zeros(days), watch_prior(days),
    )  # fmt: skip
    np.testing.assert_allclose(top.T, slow.scan, atol=1e-4)


def test_a_watch_of_fixed_length_spends_its_error() -> None:
    # Fresh watches of four units whose twins share donors, against limits drawn for them: 5% of
    # 3,000, Monte Carlo error 0.4 points, and as much again for 10,000 drawn watches or fewer.
    rng = np.random.default_rng(15)
    wander, noise, days, alpha = Wander(0.2, 0.5, 1.0, 0.9, 1.0), np.full(6, 0.8), 30, 0.05
    weights = np.full((6, 6), 0.2) * (1 - np.eye(6))
    own = np.eye(6)[:4] - weights[:4]
    loading = (own**2).sum(axis=1)
    clock = make_clock(
        wander.covariance(days, np.full(6, loading[0]), np.full(6, loading[0] * 0.8))
    )
    scale, family = np.full(6, 3.0), np.arange(4)
    scans = drawn_scans(wander, np.ones(6), noise, weights, family, clock, scale, seed=1)
    assert scans.shape == (10_000, days)
    limits = spending_limits(scans, alpha)
    # By Cholesky, unit by unit: another way to draw the same.
    root = np.linalg.cholesky(wander.moves(days) + 0.8 * np.eye(days))
    paths = np.einsum("ts,uns->unt", root, rng.standard_normal((6, 3000, days)))
    gaps = np.einsum("iu,unt->itn", own, paths)
    top = np.full((days, 3000), -np.inf, dtype=np.float32)
    for i in family:
        white = np.linalg.solve(clock.root[i], gaps[i]).astype(np.float32)
        scan_draws(white, clock, i, 3.0, top)
    named = (limits.levels <= top.T).any(axis=1).mean()
    assert named == pytest.approx(alpha, abs=0.017)
    # Close to even: the first half of the watch spends 62% of it (Pocock's function), OBF's 9%.
    half = (top.T[:, :14] >= limits.levels[:14]).any(axis=1).mean()
    assert 0.3 < half / named < 0.85


def test_wander_is_learned_from_forecasts() -> None:
    rng = np.random.default_rng(3)
    truth = Wander(0.5, 1.0, 2.0, 0.85, 1.0)
    noise = rng.uniform(0.5, 2.0, 150)
    covariance = truth.covariance(40, np.ones(150), noise)
    gaps = np.array([rng.multivariate_normal(np.zeros(40), c) for c in covariance])
    found, multiples = fit_wander(gaps, np.ones(150), noise)
    # 150 paths of 40 days: level and shocks are known together better than apart.
    assert found.level + found.shock == pytest.approx(2.5, rel=0.2)
    assert found.rho == pytest.approx(0.85, abs=0.07)
    assert found.noise == pytest.approx(1, abs=0.15)
    assert multiples == pytest.approx(np.ones(150), abs=0.5)


def test_a_unit_that_nobody_can_follow_gets_wider_limits() -> None:
    rng = np.random.default_rng(13)
    truth = Wander(0.5, 0.5, 1.0, 0.8, 1.0)
    covariance = truth.covariance(40, np.ones(40), np.ones(40))
    gaps = np.array([rng.multivariate_normal(np.zeros(40), c) for c in covariance])
    walk = np.cumsum(rng.normal(0, 1, (3, 40)), axis=1)
    gaps[:3] += 1.5 * walk
    _, multiples = fit_wander(gaps, np.ones(40), np.ones(40))
    assert multiples[:3].min() > 2 * multiples[3:].mean()


def test_a_jump_is_named_with_its_day_direction_and_size() -> None:
    outcomes = calm_panel(4)
    outcomes[3, 80:] -= 9
    found = looked(outcomes)
    assert found.departures["unit"].tolist() == ["u03"]
    row = found.departures.iloc[0]
    assert row["direction"] == "down"
    assert 80 <= row["said_on"] <= 84
    assert abs(row["changed_on"] - 80) <= 2
    assert row["conf_low"] < -9 < row["conf_high"] < 0
    assert row["size_now"] == pytest.approx(-9, abs=2)
    assert "u03 left its twin: down" in found.summary()
    assert max(map(len, found.summary().splitlines())) <= 80


def test_a_fixed_watch_names_a_late_departure_sooner() -> None:
    outcomes = calm_panel(16)
    outcomes[3, 92:] += 5
    spent: dict[str, Any] = {"limits": "alpha-spending", "horizon": 60, "seed": 3}
    forever, fixed = looked(outcomes), looked(outcomes, **spent)
    assert fixed.departures["unit"].tolist() == ["u03"]
    later = forever.departures["said_on"].tolist() or [200]
    assert fixed.departures["said_on"].iloc[0] < later[0]
    assert abs(fixed.departures["changed_on"].iloc[0] - 92) <= 2
    row = fixed.departures.iloc[0]
    assert 0 < row["conf_low"] < 5 < row["conf_high"]
    assert "In this watch of 60 periods (10 to come)" in fixed.summary()
    # Days after the watch aren't looked at.
    over = looked(outcomes, **spent | {"horizon": 20})
    assert over.path["time"].max() == 79
    assert over.settings["periods_after_watch"] == 30
    assert "now over" in over.summary()


@pytest.mark.parametrize("last", [70, 83, 84, 96])
@pytest.mark.parametrize("limits", [{}, {"limits": "alpha-spending", "horizon": 60}])
def test_a_longer_file_says_the_same_of_past_days(last: int, limits: dict[str, Any]) -> None:
    outcomes = calm_panel(5)
    outcomes[3, 80:] -= 9
    outcomes[7, 90:] += 12
    frame = panel_frame(outcomes)
    frame = frame[(frame["unit"] != "u09") | (frame["time"] < 88)]  # it stops reporting
    asked: dict[str, Any] = {**COLUMNS, "since": 60, "missing": "drop", **limits}
    long = monitor(frame, **asked)
    short = monitor(frame[frame["time"] < last], **asked)
    past = long.path[long.path["time"] < last].reset_index(drop=True)
    pd.testing.assert_frame_equal(past, short.path, check_exact=False, rtol=1e-6)
    said = long.departures[long.departures["said_on"] < last]
    columns = ["unit", "said_on", "changed_on", "direction", "size", "conf_low", "conf_high"]
    pd.testing.assert_frame_equal(said[columns], short.departures[columns], check_dtype=False)
    assert long.departures["unit"].tolist() == ["u03", "u07"]
    assert long.settings["stopped_reporting"] == ["u09"]


def test_who_left_is_nobodys_donor_from_the_next_day_on() -> None:
    outcomes = calm_panel(6, units=6)
    outcomes[2, 70:] += 25
    found = looked(outcomes)
    said = int(found.departures["said_on"].iloc[0])
    gaps = found.path.pivot(index="unit", columns="time", values="gap")
    others = gaps.drop(index="u02")
    assert others.loc[:, said + 1 :].mean().abs().max() < 3
    # Five twins lean on it while it jumps by 25.
    assert others.loc[:, 70:said].mean().mean() < -2


def test_the_default_day_is_the_57th_and_treated_are_watched_alone() -> None:
    outcomes = calm_panel(7)
    outcomes[0, 75:] += 10
    outcomes[5, 75:] += 10
    found = monitor(panel_frame(outcomes), **COLUMNS, treated=["u00", "u01"])
    assert found.settings["since"] == 56
    assert found.units["unit"].tolist() == ["u00", "u01"]
    assert found.departures["unit"].tolist() == ["u00"]


def test_a_ratio_is_each_days_sum_over_sum() -> None:
    outcomes = calm_panel(8)
    outcomes[4, 80:] += 10
    frame = panel_frame(outcomes)
    frame["tasks"] = np.random.default_rng(8).integers(50, 200, len(frame))
    frame["cost"] = frame["y"] * frame["tasks"]
    plain = looked(outcomes)
    asked: dict[str, Any] = {"unit": "unit", "time": "time", "since": 60}
    spelled = monitor(frame, outcome="cost/tasks", **asked)
    flagged = monitor(frame, outcome="cost", denominator="tasks", **asked)
    pd.testing.assert_frame_equal(spelled.path, flagged.path)
    pd.testing.assert_frame_equal(spelled.path, plain.path, check_exact=False, rtol=1e-6)


def test_few_units_watched_are_drawn_in_colour_though_none_left() -> None:
    found = looked(calm_panel(7), treated=["u00", "u05"])
    assert found.departures.empty
    axes = found.plot()
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["u00", "u05"]
    everybody = looked(calm_panel(7)).plot()
    assert everybody.get_legend() is None
    plt.close("all")


def test_shift_and_scale_change_nothing_but_the_units() -> None:
    outcomes = calm_panel(9)
    outcomes[3, 80:] -= 9
    one, other = looked(outcomes), looked(1000 + 10 * outcomes)
    assert other.departures["said_on"].tolist() == one.departures["said_on"].tolist()
    np.testing.assert_allclose(other.departures["size"], 10 * one.departures["size"], rtol=0.02)


def test_clean_panels_raise_few_alarms() -> None:
    # 40 panels of 12 units for 50 days; 5% asked for all together. Six would be p = 0.014.
    alarms = sum(len(looked(calm_panel(100 + s, rho=0.9)).departures) > 0 for s in range(40))
    assert alarms <= 5


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"since": 500}, DesignError, "No period lies at or after 500"),
        ({"since": 8}, DesignError, "8 periods lie before the watch"),
        ({"treated": ["u99"]}, DataError, "holds no 'u99'"),
        ({"treated": [f"u{i:02d}" for i in range(10)]}, DesignError, "2 units can serve"),
        ({"outcome": ["y", "time"]}, DataError, "2 outcomes were named"),
        ({"conf_level": 1.5}, DataError, "conf_level"),
        ({"limits": "daily"}, DataError, "limits"),
        ({"limits": "alpha-spending"}, DataError, "no horizon was given"),
        ({"limits": "alpha-spending", "horizon": 1}, DataError, "horizon 1 was given"),
        ({"limits": "alpha-spending", "horizon": "30"}, DataError, "horizon '30' was given"),
        ({"limits": "alpha-spending", "horizon": 731}, DataError, "horizon 731 was.*2 to 730"),
        ({"horizon": 30}, DataError, "hold forever"),
        (
            {"limits": "alpha-spending", "horizon": 30, "conf_level": 0.999},
            DataError,
            r"0.999 was asked of limits from 4,166 drawn watches\.",
        ),
    ],
)
def test_bad_requests(change: dict[str, Any], error: type[Exception], message: str) -> None:
    asked: dict[str, Any] = {**COLUMNS, "since": 60, **change}
    with pytest.raises(error, match=message):
        monitor(panel_frame(calm_panel(10)), **asked)


def test_a_history_in_which_nothing_moves_is_refused() -> None:
    outcomes = np.zeros((12, 110))
    outcomes[:, 70:] = 1.0
    with pytest.raises(DesignError, match="No unit strays from its twin in the 60 periods"):
        looked(outcomes)


def test_missing_days_are_refused_or_counted() -> None:
    frame = panel_frame(calm_panel(11))
    holes = frame[~((frame["unit"] == "u02") & (frame["time"] == 20))]
    with pytest.raises(DataError, match=r"1 of 1,320 cells .* u02 at 20"):
        monitor(holes, **COLUMNS, since=60)
    found = monitor(holes, **COLUMNS, since=60, missing="drop")
    assert found.settings["not_watched"] == ["u02"]
    assert "u02" not in set(found.units["unit"])


def test_command(tmp_path: Path) -> None:
    outcomes = calm_panel(12)
    outcomes[3, 80:] -= 9
    path, picture = tmp_path / "panel.csv", tmp_path / "monitor.png"
    panel_frame(outcomes).to_csv(path, index=False)
    flags = [str(path), *[f"--{name}={value}" for name, value in COLUMNS.items()], "--since=60"]
    shown = CliRunner().invoke(
        app, [*flags, "--json", "--plot", str(picture), "--fail-on", "departure"]
    )
    assert shown.exit_code == 3, shown.output
    found = json.loads(shown.stdout)
    assert [row["unit"] for row in found["departures"]] == ["u03"]
    assert picture.stat().st_size > 20_000
    calm = CliRunner().invoke(app, [*flags, "--treated", "u05", "--fail-on", "departure"])
    assert calm.exit_code == 0, calm.output
    assert "1 unit watched" in calm.output
    assert "u05 hasn't left its twin" in calm.output
