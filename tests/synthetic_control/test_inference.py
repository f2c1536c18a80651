"""Placebos, regions, jackknife, bootstrap: against slow loops, and what they can't say."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from noholdout_synthetic_control import estimate
from noholdout_synthetic_control.inference import jackknife_uncertainty, rank_p, rmspe_ratio
from noholdout_synthetic_control.kernels.fits import Fit
from scipy import stats
from scipy.optimize import minimize
from synthetic_control.worlds import COLUMNS, factor_panel, launch_frame, panel_frame


def slow_demeaned(outcomes: np.ndarray, target: int, donors: list[int], n_pre: int) -> float:
    """The demeaned simplex on single periods, written plainly with SLSQP and no Gram matrix."""
    before = outcomes[:, :n_pre]
    shifted = before - before.mean(axis=1, keepdims=True)
    changes = np.diff(before - before.mean(axis=0), axis=1)
    noise = (changes**2).mean(axis=1) / 2 * len(outcomes) / (len(outcomes) - 1)
    two_way = shifted - shifted.mean(axis=0)
    small, large = sorted((two_way.shape[0] - 1, two_way.shape[1] - 1))
    squares = np.linalg.svd(two_way, compute_uv=False)[:small] ** 2
    draws = np.random.default_rng(0).normal(size=(4000, small, large))
    pure = np.median(np.linalg.svd(draws, compute_uv=False) ** 2)
    wander = max(float(np.median(squares) / pure) - float(noise.mean()), 0)
    ridge = 2 * (n_pre - 1) * (noise[donors] + wander)

    def loss(w: np.ndarray) -> float:
        return float(((shifted[target] - w @ shifted[donors]) ** 2).sum() + ridge @ w**2)

    start = np.full(len(donors), 1 / len(donors))
    unit = loss(start)
    weights = minimize(
        lambda w: loss(w) / unit,
        start,
        bounds=[(0, 1)] * len(donors),
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"ftol": 1e-13, "maxiter": 500},
    ).x
    gap = outcomes[target] - weights @ outcomes[donors]
    return float(gap[n_pre:].mean() - gap[:n_pre].mean())


def test_every_refit_agrees_with_a_plain_loop() -> None:
    outcomes = factor_panel(5, units=8, n_pre=30, n_post=10)
    found = estimate(panel_frame(outcomes), **COLUMNS, treated=["u00"], start=30)
    donors = list(range(1, 8))
    # SLSQP with numerical gradients is right to about 1e-4 in the weights.
    assert found.estimate == pytest.approx(slow_demeaned(outcomes, 0, donors, 30), abs=2e-3)
    for row, donor in enumerate(donors):
        others = [d for d in donors if d != donor]
        gap = slow_demeaned(outcomes, donor, others, 30)
        assert found.tables["placebos"]["gap"][row] == pytest.approx(gap, abs=2e-3)
        left = slow_demeaned(outcomes, 0, others, 30)
        assert found.tables["leave_one_out"]["estimate"][row] == pytest.approx(left, abs=2e-3)


def test_placebo_interval_is_t_on_the_moments_of_the_placebos() -> None:
    """DiD without counts: loadings are the same for all, so the moments can be redone here."""
    outcomes = factor_panel(6, units=12, n_pre=30, n_post=10)
    asked = {**COLUMNS, "treated": ["u00"], "start": 30, "inference": "placebo"}
    found = estimate(panel_frame(outcomes), **asked, estimator="did")
    before = outcomes[:, :30]
    changes = np.diff(before - before.mean(axis=0), axis=1)
    noise = (changes**2).mean(axis=1) / 2 * 12 / 11
    gaps = found.tables["placebos"]["gap"].to_numpy()
    span = 1 / 10 + 1 / 30
    total = noise[1:].sum()
    own = (noise[1:] + (total - noise[1:]) / 100) * span
    common = max(float((gaps**2 - own).sum()) / (11 * (1 + 1 / 10)), 0)
    variance = common * (1 + 1 / 11) + (noise[0] + total / 121) * span
    assert found.std_error == pytest.approx(math.sqrt(variance))
    assert found.df == 10
    half = stats.t.ppf(0.975, 10) * found.std_error
    assert found.conf_high - found.estimate == pytest.approx(half)


def region_frame(seed: int) -> pd.DataFrame:
    frame = launch_frame(seed, treated=3, units=18)
    region = frame["unit"].str[1:].astype(int) // 3
    return frame.assign(region=[f"r{k}" for k in region])


def test_a_region_is_compared_with_placebo_regions() -> None:
    treated = ["u00", "u01", "u02"]
    found = estimate(region_frame(2), **COLUMNS, treated=treated, start=60, cluster="region")
    assert found.inference.startswith("5 placebo regions, t(5)")
    assert "1/6" in found.inference
    assert found.df == 5
    assert found.tables["placebo_regions"]["region"].tolist() == ["r1", "r2", "r3", "r4", "r5"]
    assert len(found.tables["placebos"]) == 15


def test_all_but_the_pinned_get_a_jackknife() -> None:
    treated = [f"u{i:02d}" for i in range(14)]
    found = estimate(launch_frame(2, treated=14), **COLUMNS, treated=treated, start=60)
    assert found.inference.startswith("jackknife over 20 units")
    assert found.tables["intervals"]["inference"].tolist() == ["jackknife", "placebo", "bootstrap"]


def test_one_effective_donor_leaves_the_jackknife_undefined() -> None:
    frame = launch_frame(1, treated=3, units=4)
    found = estimate(frame, **COLUMNS, treated=["u00", "u01", "u02"], start=60)
    assert math.isnan(found.std_error)
    assert "undefined" in found.inference
    assert found.verdict == "do-not-use"


def test_below_one_degree_of_freedom_there_is_no_interval() -> None:
    """Weights 0.99 and 0.01 are 1.02 effective donors: t(0.02) would say plus or minus 1e13."""
    rng = np.random.default_rng(1)
    outcomes = rng.normal(0, 1, (6, 12))
    outcomes[4] += np.where(np.arange(12) < 8, 0.0, 40.0)  # the donors' part leads the variance
    before = np.full(8, 1 / 8)
    found = [
        jackknife_uncertainty(
            outcomes,
            Fit(np.array(weights), before, np.zeros(12), 0.0, 0.0),
            np.arange(4),
            np.array([4, 5]),
        )
        for weights in ([0.99, 0.01], [0.5, 0.5])
    ]
    assert math.isnan(found[0].std_error)
    assert "one donor carries nearly all the weight (1.0 effective)" in found[0].label
    assert math.isfinite(found[1].std_error)


def test_bootstrap_is_reproducible_and_narrower() -> None:
    frame = launch_frame(4)
    kwargs = {**COLUMNS, "treated": ["u00"], "start": 60, "inference": "bootstrap"}
    first = estimate(frame, **kwargs, seed=1, replicates=100)
    again = estimate(frame, **kwargs, seed=1, replicates=100)
    other = estimate(frame, **kwargs, seed=2, replicates=100)
    assert first.to_dict() == again.to_dict()
    assert first.conf_low != other.conf_low
    default = estimate(frame, **COLUMNS, treated=["u00"], start=60)
    assert first.conf_high - first.conf_low < default.conf_high - default.conf_low
    table = default.tables["intervals"].set_index("inference")
    assert (
        table.loc["bootstrap", "conf_low"] < default.estimate < table.loc["bootstrap", "conf_high"]
    )


def test_a_copied_donor_weighs_as_one_drawn_twice() -> None:
    """The bootstrap's shortcut: copies of a donor share its weight and divide its penalty."""
    from noholdout_synthetic_control.kernels.fits import demeaned_problem

    outcomes = factor_panel(9, units=6, n_pre=40, n_post=10)
    noise = np.linspace(0.5, 2, 6)
    target = np.eye(6)[0]
    # The wander is measured on the whole panel, which the copies would change.
    short = demeaned_problem(outcomes, 40, noise, 1, wanders=False).fit(
        target, np.array([1, 2, 4]), np.array([2, 1, 3])
    )
    rows = [0, 1, 1, 2, 4, 4, 4]
    longer = demeaned_problem(outcomes[rows], 40, noise[rows], 1, wanders=False)
    copied = longer.fit(np.eye(7)[0], np.arange(1, 7))
    assert short.effect == pytest.approx(copied.effect, abs=1e-10)
    np.testing.assert_allclose(
        short.weights,
        [copied.weights[:2].sum(), copied.weights[2], copied.weights[3:].sum()],
        atol=1e-9,
    )


def test_rmspe_ratio_and_rank() -> None:
    gaps = np.array([[1.0, -1.0, 2.0, 2.0], [0.0, 0.0, 3.0, 3.0]])
    ratios = rmspe_ratio(gaps, 2)
    assert ratios[0] == pytest.approx(2.0)
    assert math.isnan(ratios[1])  # a perfect fit before the launch has no ratio
    assert rank_p(2.0, np.array([1.0, 3.0, 0.5])) == pytest.approx(2 / 4)
    assert math.isnan(rank_p(math.nan, np.array([1.0])))


@pytest.mark.parametrize("inference", ["by-design", "conformal", "jackknife-plus", "bootstrap"])
@pytest.mark.parametrize("treated", [1, 6])
def test_what_rounding_leaves_is_no_standard_error(inference: str, treated: int) -> None:
    """All units move as one, so that no spread of theirs says how far off the answer may be."""
    path = np.sin(np.arange(80) / 5) * np.ones((12, 1))
    path[:treated, 60:] += 0.05
    units = [f"u{i:02d}" for i in range(treated)]
    frame = panel_frame(path)
    found = estimate(frame, **COLUMNS, treated=units, start=60, inference=inference)
    assert found.estimate == pytest.approx(0.05)
    assert math.isnan(found.std_error) and math.isnan(found.conf_low)
    assert "undefined" in found.inference and found.verdict != "sound"


def test_launches_at_two_dates_and_no_spread_at_all() -> None:
    path = np.sin(np.arange(80) / 5) * np.ones((12, 1))
    frame = panel_frame(path).assign(first=np.nan)
    frame.loc[frame["unit"] == "u00", "first"] = 60
    frame.loc[frame["unit"] == "u01", "first"] = 70
    found = estimate(frame, **COLUMNS, first_treated="first")
    assert math.isnan(found.std_error) and found.verdict != "sound"


@pytest.mark.parametrize("treated", [1, 12])
def test_the_outcomes_unit_does_not_matter(treated: int) -> None:
    frame = launch_frame(2, treated=treated)
    asked = {**COLUMNS, "treated": [f"u{i:02d}" for i in range(treated)], "start": 60}
    plain = estimate(frame, **asked)
    found = estimate(frame.assign(y=frame["y"] * 1e-90), **asked)
    assert found.df == pytest.approx(plain.df, rel=1e-9)
    assert found.conf_high == pytest.approx(1e-90 * plain.conf_high, rel=1e-7)
