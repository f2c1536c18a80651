"""Tests before the launch: judged together, and what they could have found (Roth 2022)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from did.simulate import panel
from noholdout_did import estimate
from noholdout_did.kernels.pre_tests import detectable, draw_gaps, pre_tests, step_down
from noholdout_shared.checks import holm
from reference import reference_file
from scipy import stats

ARGS = {"outcome": "y", "time": "t", "first_treated": "g", "unit": "unit"}
LAG = np.array([4.0, 3.0, 2.0, 1.0])
# Gaps share the base period's noise, hence the 0.6; they differ in precision.
COVARIANCE = 0.6 * np.ones((4, 4)) + np.diag([1.0, 0.8, 0.6, 0.4])


def any_lead() -> tuple[object, np.ndarray]:
    tests = pre_tests(COVARIANCE, np.eye(4), None, np.full(4, 0.25), np.inf)
    return tests, np.full(4, 0.05)


@pytest.mark.parametrize("power", [0.5, 0.8])
def test_slope_has_the_power_that_a_box_probability_gives(power: float) -> None:
    """Second way: the chance that no lead is significant is a normal probability of a box."""
    tests, levels = any_lead()
    drawn = draw_gaps(COVARIANCE, np.inf, np.random.default_rng(1), draws=40_000)
    found = detectable(tests, levels, drawn, LAG, power)  # type: ignore[arg-type]
    half = stats.norm.ppf(0.975) * np.sqrt(np.diag(COVARIANCE))
    mean = -found.slope * LAG
    passing = stats.multivariate_normal(mean, COVARIANCE, seed=1).cdf(half, lower_limit=-half)
    # 40,000 draws: standard error 0.0025
    assert 1 - passing == pytest.approx(power, abs=0.01)


def test_what_remains_after_passing_is_the_truncated_mean() -> None:
    """Second way: reject-sample other draws; and the distortion has the drift's sign."""
    tests, levels = any_lead()
    drawn = draw_gaps(COVARIANCE, np.inf, np.random.default_rng(2), draws=40_000)
    found = detectable(tests, levels, drawn, LAG, 0.5)  # type: ignore[arg-type]
    rng = np.random.default_rng(3)
    gaps = rng.multivariate_normal(-found.slope * LAG, COVARIANCE, 200_000)
    passed = (np.abs(gaps) <= 1.959964 * np.sqrt(np.diag(COVARIANCE))).all(axis=1)
    want = gaps[passed].mean(axis=0) + found.slope * LAG
    assert found.gaps_after_passing == pytest.approx(want, abs=0.03)
    # A rising drift makes the leads negative; those that pass are less so.
    assert (found.gaps_after_passing > 0).all()


def test_one_lead_by_hand() -> None:
    # One lead of variance 1, two-sided at 5%: power 0.5 at mean 1.96 (the far side adds 4e-5).
    tests = pre_tests(np.eye(1), np.eye(1), None, np.ones(1), np.inf)
    drawn = draw_gaps(np.eye(1), np.inf, np.random.default_rng(4), draws=100_000)
    found = detectable(tests, np.array([0.05]), drawn, np.array([2.0]), 0.5)
    assert found.slope == pytest.approx(1.96 / 2, abs=0.01)


def test_step_down_holds_the_level_and_rejects_more_than_holm() -> None:
    combine = np.column_stack([[-1, -1, 1, 1], [-1, -1, -1, 3], [-3, -1, 1, 3]]).astype(float)
    share = np.array([0.3, 0.4, 0.2, 0.1])
    tests = pre_tests(COVARIANCE, combine, np.eye(4), share, 20.0)
    drawn = draw_gaps(COVARIANCE, 20.0, np.random.default_rng(5))
    null_p = tests.p_values(drawn.gaps / drawn.scale[:, None])
    again = draw_gaps(COVARIANCE, 20.0, np.random.default_rng(6), draws=2_000)
    p = tests.p_values(again.gaps / again.scale[:, None])
    assert stats.kstest(p[:, 1], "uniform").pvalue > 1e-3
    assert stats.kstest(p[:, 3], "uniform").pvalue > 1e-3
    joint = np.array([step_down(row, tests.share, null_p).min() for row in p])
    plain = np.array([holm(row).min() for row in p])
    # 2,000 draws, and 4,000 for the law: standard error 0.006
    assert (joint < 0.05).mean() == pytest.approx(0.05, abs=0.02)
    assert (plain < 0.05).mean() < (joint < 0.05).mean()


def test_independent_equal_shares_are_sidak_step_down() -> None:
    rng = np.random.default_rng(7)
    null_p = rng.random((200_000, 3))
    adjusted = step_down(np.array([0.02, 0.5, 0.03]), np.full(3, 1 / 3), null_p)
    # 1 - 0.98^3, then 1 - 0.97^2, which the one before bounds from below, then 0.5
    assert adjusted == pytest.approx([0.0588, 0.5, 0.0591], abs=0.003)


def test_table_and_message_say_what_could_have_been_found() -> None:
    found = estimate(panel(8, launches=(6, np.nan), per_wave=30, periods=8), **ARGS)
    table = found.tables["pre_trend_power"]
    assert table["test"].tolist() == ["checks"] * 2 + ["any lead at 5%"] * 2
    assert (table["slope"].to_numpy()[1::2] > table["slope"].to_numpy()[::2]).all()
    # Effects lie 1, 2 and 3 periods after the base: mean reach 2.
    assert table["bias"].to_numpy() == pytest.approx(2 * table["slope"].to_numpy())
    # Passing makes it worse: the base period's noise is in the gaps and in the estimate.
    assert (table["bias_after_passing"] > table["bias"]).all()
    assert "with 80% power" in found.check("pre_trend_slope").message


def test_the_power_is_what_the_checks_do() -> None:
    """Rollouts with the drift that the checks should find in 80 of 100."""
    options = {"launches": (6, np.nan), "per_wave": 30, "periods": 7, "effect": 0.0}
    slope = float(estimate(panel(1, **options), **ARGS).tables["pre_trend_power"]["slope"][1])
    names = ("pre_trend_slope", "pre_trend_bins", "placebo", "anticipation")
    runs = 60
    fired = 0
    for seed in range(runs):
        found = estimate(panel(100 + seed, drift=slope, **options), **ARGS)
        fired += any(found.check(name).status != "pass" for name in names)
    low, high = stats.binom.ppf([0.001, 0.999], runs, 0.8)
    assert low <= fired <= high


def test_a_jump_before_the_launch_is_found_where_holm_missed_it() -> None:
    """A jump of 2.7 errors in the base period alone."""
    rng = np.random.default_rng(9)
    fired, plain, runs = 0, 0, 60
    for seed in range(runs):
        data = panel(seed, launches=(5, np.nan), per_wave=25, periods=6, noise=1.0)
        data["y"] += 0.9 * ((data["g"] == 5) & (data["t"] == 4))
        data["y"] += rng.normal(0, 1e-6, len(data))
        found = estimate(data, **ARGS)
        checks = [c for c in found.checks if not np.isnan(c.p_value)]
        fired += found.check("anticipation").status != "pass"
        adjusted = holm([c.p_value for c in checks])
        plain += adjusted[[c.name for c in checks].index("anticipation")] < 0.05
    assert fired >= plain + 3


def test_benzarti_carloni_pre_trends() -> None:
    """Leads of the sensitivity example: our draws against the box probability."""
    covariance = pd.read_csv(reference_file("honest_BC_vcov.csv")).to_numpy(dtype=float)[:4, :4]
    tests = pre_tests(covariance, np.eye(4), None, np.full(4, 0.25), np.inf)
    drawn = draw_gaps(covariance, np.inf, np.random.default_rng(10), draws=40_000)
    found = detectable(tests, np.full(4, 0.05), drawn, LAG, 0.8)
    half = 1.959964 * np.sqrt(np.diag(covariance))
    box = stats.multivariate_normal(-found.slope * LAG, covariance, seed=2)
    assert 1 - box.cdf(half, lower_limit=-half) == pytest.approx(0.8, abs=0.01)
