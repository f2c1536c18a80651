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
from noholdout_did.kernels.relative_magnitudes import relative_magnitudes
from reference import expected, reference_file
from scipy import optimize, stats

ARGS = {"outcome": "y", "time": "t", "first_treated": "g", "unit": "unit"}
REFERENCE = [(0.5, 0.1185, 0.2715), (1.0, 0.06675, 0.318875)]


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
    data = panel(42, per_wave=60, effect=3.0, noise=0.4)
    found = estimate(data, **ARGS, sensitivity=True)
    breakdown = found.check("sensitivity").statistic
    table = found.tables["sensitivity"]
    rm = table[table["restriction"] == "relative_magnitudes"]
    assert breakdown > 0.25
    assert (rm.loc[rm["m"] < breakdown, "conf_low"] > 0).all()
    assert (rm.loc[rm["m"] > breakdown + 0.02, "conf_low"] <= 0).all()
    assert found.check("sensitivity").status == "cannot-be-tested"
    assert f"{breakdown:.2f} times" in found.check("sensitivity").message
    # Without asking for it, a bound that is quicker and never larger.
    bound = estimate(data, **ARGS).check("sensitivity")
    assert 0 < bound.statistic <= breakdown and "a bound" in bound.message


def benzarti_carloni() -> tuple[np.ndarray, np.ndarray]:
    beta = pd.read_csv(reference_file("honest_BC_beta.csv"))["estimate"].to_numpy()
    covariance = pd.read_csv(reference_file("honest_BC_vcov.csv")).to_numpy(dtype=float)
    return beta, covariance


@pytest.mark.parametrize(("m", "low", "high"), REFERENCE)
def test_relative_magnitudes_agree_with_the_reference(m: float, low: float, high: float) -> None:
    """honestdid 0.1.1 (C-LF) on the Benzarti-Carloni event study, first period after."""
    beta, covariance = benzarti_carloni()
    part = np.ix_(range(5), range(5))
    ready = relative_magnitudes(beta[:4], beta[4], covariance[part], 1.0, np.random.default_rng(1))
    # Its grid steps by 0.00025 and 0.000375, and it draws the first stage's critical value, a
    # 99.5% quantile, a thousand times only.
    assert ready.interval(m, 0.95) == pytest.approx((low, high), abs=8e-4)


def test_the_statistic_is_the_linear_programs() -> None:
    """Second way: Andrews, Roth and Pakes' program, with the second effect as a nuisance."""
    rng = np.random.default_rng(3)
    k, m, theta = 3, 0.7, 0.4
    root = rng.normal(size=(k + 2, k + 2))
    covariance = root @ root.T / 5 + np.eye(k + 2)
    value = np.array([0.5, 0.3, 1.9, 5.0, 1.0])
    steps = np.zeros((k + 2, k + 2))  # moves: three before, two after; the base is zero
    steps[0, :2], steps[1, 1:3], steps[2, 2] = (-1, 1), (-1, 1), -1
    steps[3, 3], steps[4, 3:] = 1, (-1, 1)
    move = -steps[2]  # the last one before the launch, taken as the largest, with its sign
    rows = [c * steps[t] - m * move for t in (3, 4) for c in (1, -1)]
    a = np.array(rows)
    sigma = np.sqrt(np.einsum("ij,jk,ik->i", a, covariance, a))
    nuisance = a[:, 4]
    left = a @ value - a[:, 3] * theta
    found = optimize.linprog(
        [1.0, 0.0],
        A_ub=-np.column_stack([sigma, nuisance]),
        b_ub=-left,
        bounds=[(None, None), (None, None)],
    )
    part = np.ix_(range(4), range(4))
    ready = relative_magnitudes(value[:3], value[3], covariance[part], 1.0, rng)
    piece = list(ready._pieces(m, 0.05))[5]  # the third move, negative sign
    assert (piece.level - theta * piece.slope).max() == pytest.approx(found.fun, abs=1e-9)


def test_conditional_intervals_cover_in_the_worst_case() -> None:
    """The move after the launch is exactly as large as the largest before, upwards."""
    rng = np.random.default_rng(4)
    covariance = 0.5 * np.ones((5, 5)) + 0.5 * np.eye(5)
    gaps = 3 * np.array([-0.5, 0.0, -0.3, 0.6])
    largest = np.abs(np.diff(np.append(gaps, 0.0))).max()
    runs, held = 150, 0
    for _ in range(runs):
        drawn = rng.multivariate_normal(np.append(gaps, largest), covariance)
        ready = relative_magnitudes(drawn[:4], drawn[4], covariance, 1.0, np.random.default_rng(0))
        held += ready.holds_zero(1.0, 0.95)
    assert held >= stats.binom.ppf(0.001, runs, 0.95)


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
