"""The checks fire on what they are for, and seldom else."""

from __future__ import annotations

import pandas as pd
import pytest
from did.simulate import cross_sections, panel
from noholdout_did import estimate
from scipy import stats

ARGS = {"outcome": "y", "time": "t", "first_treated": "g"}
TREND_CHECKS = ("pre_trend_slope", "pre_trend_bins", "placebo", "anticipation")


def test_a_drift_is_found_and_its_bias_is_stated() -> None:
    drifting = panel(21, launches=(5, float("nan")), per_wave=40, drift=0.5, noise=0.5)
    found = estimate(drifting, **ARGS, unit="unit")
    assert found.verdict == "do-not-use"
    slope = found.check("pre_trend_slope")
    assert slope.status == "fail"
    # Effects in periods 5 to 8 stand 1 to 4 periods from their base: 0.5 * 2.5 = 1.25 of bias.
    assert slope.implied_bias * found.std_error == pytest.approx(1.25, abs=0.3)
    assert "drifted" in slope.message


def test_clean_data_is_sound() -> None:
    found = estimate(panel(22, per_wave=40), **ARGS, unit="unit")
    assert found.verdict == "sound"
    names = ("clusters", "control_group", "parallel_trends", "sensitivity")
    assert {c.name for c in found.checks} == {*TREND_CHECKS, *names}


def test_false_alarms_of_each_raw_test_are_near_five_in_a_hundred() -> None:
    """150 clean rollouts with 12 units: the binomial 99.9% range of 5% is 0.7% to 12%."""
    hits = dict.fromkeys(TREND_CHECKS, 0)
    runs = 150
    for seed in range(runs):
        found = estimate(
            panel(seed, per_wave=6, launches=(7, float("nan")), periods=9), **ARGS, unit="unit"
        )
        for name in TREND_CHECKS:
            hits[name] += found.check(name).p_value < 0.05
    low, high = (stats.binom.ppf(q, runs, 0.05) for q in (0.0005, 0.9995))
    assert all(low <= count <= high for count in hits.values()), hits


def test_fewer_than_four_clusters_on_a_side_is_do_not_use() -> None:
    three = panel(23, per_wave=3)
    found = estimate(three, **ARGS, unit="unit")
    assert found.check("clusters").status == "fail"
    assert found.verdict == "do-not-use"
    four = estimate(panel(23, per_wave=4), **ARGS, unit="unit")
    assert four.check("clusters").status == "pass"


def test_a_control_group_that_melts_away_is_noticed() -> None:
    late = panel(24, per_wave=30, launches=(3, 4, 4, 4, 4))
    rest = panel(25, per_wave=4, launches=(float("nan"),)).assign(unit=lambda d: d["unit"] + 500)
    found = estimate(pd.concat([late, rest]), **ARGS, unit="unit")
    assert found.check("control_group").status == "caution"
    assert "quarter" in found.check("control_group").message


def test_one_period_before_the_launch_can_not_be_tested() -> None:
    short = panel(26, launches=(2, float("nan")), periods=3)
    check = estimate(short, **ARGS, unit="unit").check("pre_trend_slope")
    assert check.status == "cannot-be-tested"
    assert "would explain the whole estimate" in check.message


def test_a_drift_that_cancels_between_waves_is_found() -> None:
    """Waves without a never-treated group: each is the other's control before both launches."""
    data = panel(27, launches=(6, 8, 12), per_wave=40, periods=10, drift=0.4, noise=0.5)
    assert estimate(data, **ARGS, unit="unit").verdict == "do-not-use"


def test_cross_sections_of_our_product_are_sound_and_near_the_truth() -> None:
    found = estimate(cross_sections(28, n=40_000, clusters=50), **ARGS, cluster="workspace")
    assert found.verdict == "sound"
    assert found.conf_low < 0.05 < found.conf_high
    assert found.settings["effects_without_controls_dropped"] == 8
