"""Intervals for nearly parallel trends."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from did.simulate import panel
from noholdout_did import estimate
from noholdout_did.kernels.honest import (
    fixed_length,
    folded_normal_quantile,
    second_difference_map,
)
from reference import expected, reference_file
from scipy import stats

ARGS = {"outcome": "y", "time": "t", "first_treated": "g", "unit": "unit"}


@pytest.mark.parametrize("m", ["0", "0.05", "0.1", "0.2", "0.3"])
def test_benzarti_carloni(m: str) -> None:
    beta = pd.read_csv(reference_file("honest_BC_beta.csv"))["estimate"].to_numpy()
    covariance = pd.read_csv(reference_file("honest_BC_vcov.csv")).to_numpy(dtype=float)
    want = expected("honest_BC")[f"flci_M{m}"]
    part = np.ix_(range(5), range(5))
    found = fixed_length(beta[:4], beta[4], covariance[part], np.ones(1), float(m), 0.95)
    # The reference searches a grid, hence its tolerance of 1e-3.
    assert [found.low, found.high] == pytest.approx(want["value"], abs=want["tolerance"])


def test_folded_normal_quantile() -> None:
    assert folded_normal_quantile(0.95, 0.0) == pytest.approx(stats.norm.ppf(0.975), abs=1e-8)
    draws = np.abs(np.random.default_rng(1).normal(0.8, 1, 400_000))
    assert folded_normal_quantile(0.9, 0.8) == pytest.approx(np.quantile(draws, 0.9), abs=0.01)


def test_bends_build_every_path_with_those_second_differences() -> None:
    slope, moved = second_difference_map(3, np.array([0.0, 1.0]))  # target: 2 periods after
    rng = np.random.default_rng(2)
    bends, tilt = rng.normal(size=4), 0.7
    path = np.append(slope[:3], 0) * tilt
    path[:3] += (moved @ bends)[:3]
    last = slope[3] * tilt + (moved @ bends)[3]
    # bends stand at -2, -1, 0, 1; the path at -3, -2, -1, base, 1, 2
    second = path[:-2] - 2 * path[1:-1] + path[2:]
    assert second == pytest.approx(bends[:2])
    one = path[3] + (path[3] - path[2]) + bends[2]
    assert last == pytest.approx(one + (one - path[3]) + bends[3])


def test_no_departure_is_the_usual_interval_and_more_is_wider() -> None:
    found = estimate(panel(41, per_wave=30), **ARGS, sensitivity=True)
    table = found.tables["sensitivity"]
    for name in ("relative_magnitudes", "smoothness"):
        mine = table[table["restriction"] == name]
        width = (mine["conf_high"] - mine["conf_low"]).to_numpy()
        assert (np.diff(width) > 0).all()
    first = table.iloc[0]
    assert first["conf_low"] == pytest.approx(found.conf_low)


def test_breakdown_is_where_the_interval_reaches_zero() -> None:
    found = estimate(panel(42, per_wave=60, effect=3.0, noise=0.4), **ARGS, sensitivity=True)
    breakdown = found.check("sensitivity").statistic
    table = found.tables["sensitivity"]
    rm = table[(table["restriction"] == "relative_magnitudes") & (table["m"] > 0)]
    slope, start = np.polyfit(rm["m"], rm["conf_low"], 1)  # it is a straight line
    assert breakdown > 0.25
    assert start + slope * breakdown == pytest.approx(0.0, abs=1e-6)
    assert found.check("sensitivity").status == "cannot-be-tested"
    assert f"{breakdown:.2f} times" in found.check("sensitivity").message


def test_intervals_hold_when_later_moves_are_as_large_as_earlier_ones() -> None:
    """Gaps step up and down by 0.5 before; after the launch by 0.5 a period, all upwards."""
    missed, covered, runs = 0, 0, 25
    for seed in range(runs):
        data = panel(seed, launches=(6, np.nan), per_wave=40, periods=7, noise=0.5)
        zigzag = np.where(data["t"] % 2 == 0, 0.5, 0.0) + np.where(data["t"] >= 6, 0.5, 0.0)
        data["y"] += zigzag * (data["g"] == 6)
        found = estimate(data, **ARGS, sensitivity=True)
        table = found.tables["sensitivity"]
        rm = table[(table["restriction"] == "relative_magnitudes") & (table["m"] == 1.0)].iloc[0]
        covered += rm["conf_low"] <= 1.0 <= rm["conf_high"]
        missed += not found.conf_low <= 1.0 <= found.conf_high
    assert covered >= stats.binom.ppf(0.001, runs, 0.95)
    assert missed > runs / 2
