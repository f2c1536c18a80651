"""Several metrics in one run: ratios as sums over sums, and bands that hold together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from noholdout_shared.errors import DataError
from noholdout_shared.inference import critical_value
from noholdout_synthetic_control import estimate
from noholdout_synthetic_control.kernels.joint import (
    error_correlation,
    jackknife_moves,
    joint_level,
)
from noholdout_synthetic_control.metrics import MetricsEstimate
from noholdout_synthetic_control.ratios import linearised
from synthetic_control.worlds import COLUMNS, factor_panel, launch_frame
from typer import Typer
from typer.testing import CliRunner

from noholdout.commands.synthetic_control import synthetic_control

KEYS: dict[str, Any] = {"unit": "unit", "time": "time", "treated": ["u00"], "start": 60}
app = Typer()
app.command()(synthetic_control)


def metrics_frame(seed: int, treated: int = 1, units: int = 20) -> pd.DataFrame:
    """A quality, tasks, and a cost of 0.02 a task that the launch raises to 0.03."""
    frame = launch_frame(seed, treated=treated, units=units)
    rng = np.random.default_rng(seed + 1000)
    frame["tasks"] = rng.poisson(200, len(frame)) + 1.0
    hit = (frame["unit"] < f"u{treated:02d}") & (frame["time"] >= 60)
    price = np.where(hit, 0.03, 0.02) * np.exp(rng.normal(0, 0.05, len(frame)))
    frame["cost"] = price * frame["tasks"]
    frame["minutes"] = factor_panel(seed + 7, units=units).ravel()
    return frame


def test_linearised_days_average_to_the_sums_over_sums_by_hand() -> None:
    # Blocks of 2 before the launch at 5, the oldest day alone, then two days after.
    num = np.array([[3.0, 1, 5, 2, 2, 6, 0]])
    den = np.array([[2.0, 1, 4, 4, 0, 3, 1]])
    found = linearised(num, den, 5, 2)[0]
    assert found[0] == pytest.approx(3 / 2)
    assert found[1:3].mean() == pytest.approx(6 / 5)  # (1 + 5) / (1 + 4)
    assert found[3:5].mean() == pytest.approx(4 / 4)  # the idle day counts for its sums
    assert found[5:].mean() == pytest.approx(6 / 4)
    # Day 1 of the first block: 6/5 + (1 - 6/5 * 1) / (5/2) = 1.2 - 0.08.
    assert found[1] == pytest.approx(1.12)


def test_a_ratio_weighs_busy_days_by_their_tasks() -> None:
    # Two donors at 1 a task throughout. The treated unit: 1 a task before; after it a busy day at 3
    # and an idle one at 1: sums 301 / 101, far from the mean of daily ratios, 2.
    rows = []
    for unit in ("a", "b", "c"):
        for time in range(12):
            tasks = 100.0 if time % 2 == 0 else 1.0
            wobble = 1 + 0.001 * ((time * {"a": 3, "b": 5, "c": 7}[unit]) % 4)
            price = 3.0 if unit == "a" and time == 10 else wobble
            rows.append((unit, time, tasks * price, tasks))
    frame = pd.DataFrame(rows, columns=["unit", "time", "cost", "tasks"])
    asked: dict[str, Any] = {
        "unit": "unit", "time": "time", "treated": ["a"], "start": 10, "estimator": "did",
    }  # fmt: skip
    spelled = estimate(frame, outcome="cost/tasks", **asked)
    flagged = estimate(frame, outcome="cost", denominator="tasks", **asked)
    assert spelled.estimate == flagged.estimate
    assert spelled.estimate == pytest.approx(301 / 101 - 1, abs=0.005)
    assert not spelled.proportion  # dollars a task, though below one
    assert "sum of cost over sum of tasks" in spelled.settings["ratio"]


def test_a_ratio_of_counts_is_a_share_with_binomial_noise() -> None:
    rng = np.random.default_rng(3)
    frame = launch_frame(3)[["unit", "time"]]
    frame["tasks"] = rng.poisson(100, len(frame)) + 1
    frame["done"] = rng.binomial(frame["tasks"], 0.6)
    frame["rate"] = frame["done"] / frame["tasks"]
    as_ratio = estimate(frame, outcome="done/tasks", **KEYS)
    as_rate = estimate(frame, outcome="rate", weights="tasks", **KEYS)
    assert as_ratio.proportion
    # Sums over sums and means of rates differ by the days' unequal sizes only.
    assert as_ratio.estimate == pytest.approx(as_rate.estimate, abs=0.2 * as_rate.std_error)
    assert as_ratio.std_error == pytest.approx(as_rate.std_error, rel=0.1)


def test_units_of_the_numerator_scale_the_answer() -> None:
    frame = metrics_frame(1)
    dollars = estimate(frame, outcome="cost/tasks", **KEYS)
    cents = estimate(frame.assign(cost=100 * frame["cost"]), outcome="cost/tasks", **KEYS)
    assert cents.estimate == pytest.approx(100 * dollars.estimate)
    assert cents.std_error == pytest.approx(100 * dollars.std_error)
    assert dollars.conf_low < 0.01 < dollars.conf_high


@pytest.mark.parametrize("treated", [1, 14])  # placebos; jackknife
def test_the_headline_is_what_the_first_metric_gets_alone(treated: int) -> None:
    frame = metrics_frame(2, treated=treated)
    asked = KEYS | {"treated": [f"u{i:02d}" for i in range(treated)]}
    together = estimate(frame, outcome=["y", "minutes", "cost/tasks"], **asked)
    assert isinstance(together, MetricsEstimate)
    table = together.tables["metrics"].set_index("metric")
    for name in ("y", "minutes", "cost/tasks"):
        alone = estimate(frame, outcome=name, **asked)
        row = table.loc[name]
        assert row["estimate"] == pytest.approx(alone.estimate)
        assert (row["conf_low"], row["conf_high"]) == pytest.approx(
            (alone.conf_low, alone.conf_high)
        )
        assert row["verdict"] == alone.verdict
        # Bands are wider than intervals, and no wider than Bonferroni's.
        widest = critical_value(1 - 0.05 / 3, alone.df) * alone.std_error
        half = (row["band_high"] - row["band_low"]) / 2
        assert (alone.conf_high - alone.conf_low) / 2 < half <= widest * (1 + 1e-9)
        assert alone.p_value <= row["p_joint"] + 0.01
    assert together.estimate == table["estimate"].iloc[0]
    assert together.outcome == "y"


@pytest.mark.parametrize("sizes", [(1, 2), (4, 6)])  # placebos; jackknife
def test_launches_at_different_times_have_joint_bands(sizes: tuple[int, int]) -> None:
    frame = metrics_frame(21)
    frame["alike"] = frame["y"] + np.random.default_rng(21).normal(0, 0.2, len(frame))
    first = {f"u{i:02d}": 50.0 if i < sizes[0] else 60.0 for i in range(sum(sizes))}
    frame["launch"] = frame["unit"].map(first)  # nan: never
    asked: dict[str, Any] = {"unit": "unit", "time": "time", "first_treated": "launch"}
    together = estimate(frame, outcome=["y", "alike", "minutes"], **asked)
    assert isinstance(together, MetricsEstimate)
    table = together.tables["metrics"].set_index("metric")
    placebos = []
    for name in ("y", "alike", "minutes"):
        alone = estimate(frame, outcome=name, **asked)
        row, placebo = table.loc[name], alone.tables["placebos"]["gap"].to_numpy()
        placebos.append(placebo / np.sqrt(placebo @ placebo))
        assert row["estimate"] == pytest.approx(alone.estimate)
        assert row["conf_low"] == pytest.approx(alone.conf_low)
        widest = critical_value(1 - 0.05 / 3, alone.df) * alone.std_error
        half = (row["band_high"] - row["band_low"]) / 2
        assert (alone.conf_high - alone.conf_low) / 2 < half <= widest * (1 + 1e-9)
    shown = together.tables["metric_correlation"].set_index(["metric", "other"])["correlation"]
    assert shown["y", "minutes"] == pytest.approx(placebos[0] @ placebos[2])
    assert shown["y", "alike"] == pytest.approx(placebos[0] @ placebos[1])
    assert shown["y", "alike"] > 0.9
    assert f"{20 - sum(sizes)} placebos" in together.settings["joint_bands"]
    with pytest.raises(DataError, match="first_treated was given with the ratio 'cost/tasks'"):
        estimate(frame, outcome=["y", "cost/tasks"], **asked)


def test_the_same_metric_twice_over_needs_no_wider_band() -> None:
    frame = metrics_frame(4)
    frame["doubled"] = 2 * frame["y"]
    table = estimate(frame, outcome=["y", "doubled"], **KEYS).tables["metrics"]
    assert table["band_low"].tolist() == pytest.approx(table["conf_low"].tolist(), rel=0.02)


def test_moves_square_to_the_jackknife_variance() -> None:
    frame = metrics_frame(5, treated=12)
    asked = KEYS | {"treated": [f"u{i:02d}" for i in range(12)]}
    result = estimate(frame, outcome="y", **asked)
    wide = frame.pivot(index="unit", columns="time", values="y").to_numpy()
    changes = wide[:, 60:].mean(axis=1) - wide[:, :60].mean(axis=1)
    weights = result.tables["weights"]["weight"].to_numpy()
    sides = (changes[:12], np.full(12, 1 / 12)), (changes[12:], weights)
    total = sum((jackknife_moves(c[:, None], w[:, None]) ** 2).sum() for c, w in sides)
    assert np.sqrt(total) == pytest.approx(result.std_error)


def test_unrelated_metrics_reach_sidak_and_identical_ones_the_single_level() -> None:
    df = np.full(4, 30.0)
    unrelated = joint_level(np.eye(4), df, 0.95, seed=1).level
    assert unrelated == pytest.approx(0.95**0.25, abs=0.002)  # 20,000 draws: 3% of 0.0127
    same = joint_level(np.ones((4, 4)), df, 0.95, seed=1).level
    assert same == pytest.approx(0.95, abs=0.004)


def test_bands_hold_together_on_drawn_errors() -> None:
    # Slow second implementation: means of correlated samples, the correlation estimated from the
    # same few rows. 3,000 draws know a coverage of 0.95 to 0.004.
    rng = np.random.default_rng(11)
    root = np.linalg.cholesky(np.array([[1, 0.7, 0.0], [0.7, 1, -0.3], [0.0, -0.3, 1]]))
    held, n = 0, 15
    for draw in range(3000):
        sample = rng.standard_normal((n, 3)) @ root.T
        mean, error = sample.mean(axis=0), sample.std(axis=0, ddof=1) / np.sqrt(n)
        if draw % 30 == 0:  # the level varies little: found anew for every thirtieth sample
            known = joint_level(
                error_correlation(sample - mean), np.full(3, n - 1.0), 0.95, seed=draw
            )
        held += bool((np.abs(mean) <= critical_value(known.level, n - 1) * error).all())
    assert held / 3000 == pytest.approx(0.95, abs=0.014)


def test_a_column_that_is_named_like_a_ratio_wins() -> None:
    frame = metrics_frame(6)
    frame["cost/tasks"] = frame["minutes"]
    named = estimate(frame, outcome="cost/tasks", **KEYS)
    assert named.estimate == estimate(frame, outcome="minutes", **KEYS).estimate
    assert "ratio" not in named.settings


def test_few_regions_count_metrics_as_unrelated() -> None:
    frame = metrics_frame(7, treated=4)
    frame["region"] = frame["unit"].str[1:].astype(int) // 4
    asked = KEYS | {"treated": [f"u{i:02d}" for i in range(4)], "cluster": "region"}
    found = estimate(frame, outcome=["y", "cost/tasks"], **asked)
    assert "too few" in found.settings["joint_bands"]
    correlation = found.tables["metric_correlation"]
    assert correlation.query("metric != other")["correlation"].eq(0).all()


def test_seed_and_jobs() -> None:
    frame = metrics_frame(8)
    one = estimate(frame, outcome=["y", "minutes"], **KEYS)
    two = estimate(frame, outcome=["y", "minutes"], **KEYS, jobs=2)
    pd.testing.assert_frame_equal(one.tables["metrics"], two.tables["metrics"])


def test_missing_rows_are_dropped_for_every_metric_alike() -> None:
    frame = metrics_frame(9)
    hole = (frame["unit"] == "u05") & (frame["time"] == 3)
    frame.loc[hole, "minutes"] = np.nan
    with pytest.raises(DataError, match="'minutes' 1"):
        estimate(frame, outcome=["y", "minutes"], **KEYS)
    found = estimate(frame, outcome=["y", "minutes"], **KEYS, missing="drop")
    assert found.settings["rows_dropped_missing"] == 1
    # One gap: a day costs less than a donor.
    assert (found.settings["donors_dropped"], found.settings["periods_dropped"]) == ([], 1)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"outcome": ["y", "y"]}, "named twice"),
        ({"outcome": []}, "No outcome"),
        ({"outcome": None}, "No outcome"),
        ({"outcome": ["y", "cost"], "denominator": "tasks"}, "Spell the ratio in the list"),
        ({"outcome": ["y", "cost/nothing"]}, "no column 'nothing'"),
        ({"outcome": ["y", "cost"], "inference": "bootstrap"}, "one outcome at a time"),
        ({"outcome": "cost/below"}, "2 negative values"),
        ({"outcome": "cost/idle"}, "sums to zero for u03 around"),
        (
            {"outcome": "cost/tasks", "estimator": "classic", "predictors": ["minutes"]},
            "together with predictors",
        ),
    ],
)
def test_bad_requests(change: dict[str, Any], message: str) -> None:
    frame = metrics_frame(10)
    frame["below"] = frame["tasks"].where(~frame.index.isin([4, 9]), -1.0)
    frame["idle"] = frame["tasks"].where(frame["unit"] != "u03", 0.0)
    with pytest.raises(DataError, match=message):
        estimate(frame, **KEYS | change)


def test_command(tmp_path: Path) -> None:
    path, picture = tmp_path / "panel.csv", tmp_path / "metrics.png"
    metrics_frame(12).to_csv(path, index=False)
    flags = [f"--{name}={value}" for name, value in COLUMNS.items() if name != "outcome"]
    flags += ["--outcome", "y, cost/tasks", "--treated", "u00", "--start", "60", "--json"]
    page = tmp_path / "metrics.html"
    shown = CliRunner().invoke(
        app, [str(path), *flags, "--plot", str(picture), "--report", str(page)]
    )
    assert shown.exit_code == 0, shown.output
    found = json.loads(shown.stdout)
    columns = "metric estimate std_error conf_low conf_high band_low band_high verdict"
    assert set(columns.split()) <= set(found["tables"]["metrics"][0])
    assert [row["metric"] for row in found["tables"]["metrics"]] == ["y", "cost/tasks"]
    assert picture.stat().st_size > 20_000
    assert "95% joint band" in page.read_text()
