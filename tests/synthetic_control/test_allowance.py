"""Signs of trouble before and at the launch, and the interval that allows for them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from noholdout_synthetic_control import estimate
from noholdout_synthetic_control.inference import Sign, donor_sign, trend_sign
from noholdout_synthetic_control.kernels.fits import twin
from noholdout_synthetic_control.kernels.jumps import (
    Jumps,
    autocovariance,
    launch_jumps,
    mean_distance,
    split,
    step_contrast,
)
from scipy import stats
from synthetic_control.worlds import COLUMNS, factor_panel, panel_frame

PINNED = {**COLUMNS, "treated": [f"u{i:02d}" for i in range(20)], "start": 60}


def wandering_panel(seed: int, units: int = 30) -> np.ndarray:
    """Autoregressions of 0.9 and white noise, no factor: 60 periods before, 20 after."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, 1, (units, 80)) * math.sqrt(1 - 0.81)
    steps[:, 0] = rng.normal(0, 1, units)
    for t in range(1, 80):
        steps[:, t] += 0.9 * steps[:, t - 1]
    return 50 + steps + rng.normal(0, 0.5, (units, 80))


def test_trend_by_hand() -> None:
    """Two treated units rise by 1 and 3 a period, three donors by 0, 0 and 3; no noise.

    Ten periods before, two after: the middles lie 6 periods apart (4.5 and 10.5), so the slopes
    become 6 and 18 against 0, 0 and 18: means 12 and 6. Squares 72 + 216 = 288 over 3 degrees
    of freedom: 96 (1/2 + 1/3) = 80, t = 6 / sqrt(80). With weights 0, 0, 1 the fitted gap falls by
    1 a period: -6 carried forward, doubled -12, but never more than the 6 that there were.
    """
    time = np.arange(12.0)
    outcomes = np.array([1, 3, 0, 0, 3])[:, None] * time
    target, donors = np.array([0.5, 0.5, 0, 0, 0]), np.array([2, 3, 4])
    weights = np.array([0.0, 0.0, 1.0])
    fit = twin(outcomes, 10, target, donors, weights, np.full(10, 0.1))
    found = trend_sign(outcomes, fit, np.array([0, 1]), donors)
    assert found is not None
    assert found.size == pytest.approx(6)
    assert found.statistic == pytest.approx(6 / math.sqrt(80))
    assert found.p_value == pytest.approx(2 * stats.t.sf(6 / math.sqrt(80), 3))
    assert found.bias == pytest.approx(-6)


def test_allowance_by_hand() -> None:
    """p = 0.05 has z^2 = 3.8415: sqrt(1 - 2 / 3.8415) = 0.6924 of the bias; above 0.157 none."""
    nobody = np.empty(0, dtype=int)
    assert Sign(2, 0.05, -3, 3, nobody).allowance == pytest.approx(3 * 0.69241, rel=1e-4)
    assert Sign(1, 0.16, -3, 3, nobody).allowance == 0
    assert Sign(1, 1.0, -3, 3, nobody).allowance == 0
    assert Sign(9, 0.0, -3, 3, nobody).allowance == pytest.approx(3, rel=1e-2)


def test_split_by_hand() -> None:
    few, distance = split(np.array([0.0, 5.0, 1.0, 6.0, 0.5]))
    assert few.tolist() == [False, True, False, True, False]
    assert distance == pytest.approx(5.5 - 0.5)
    few, distance = split(np.array([0.0, 5.0, 6.0, 5.5]))
    assert few.tolist() == [True, False, False, False]
    assert distance == pytest.approx(-5.5)


def test_donors_that_jump_apart_by_hand() -> None:
    """Jumps 0, 0, 4, 4 of variance 2: each 2 from their centre, whose own variance is 1/2.

    So each score is 2 / sqrt(3/2). Were half of them touched, by 4, the twin would be off by 2.
    """
    found = donor_sign(Jumps(np.array([0.0, 0, 4, 4]), np.full(4, 2.0), 50), np.array([
        0.5, 0.2, 0.1, 0.2,
    ]))  # fmt: skip
    assert found is not None
    score = 2 / math.sqrt(1.5)
    ratio, df = mean_distance(np.full(4, score))
    assert found.statistic == pytest.approx(ratio)
    assert found.members.tolist() == [2, 3]
    assert found.size == pytest.approx(4)
    assert found.bias == pytest.approx(2)
    p_all = stats.f.sf(ratio**2, df, 50)
    p_one = 1 - (1 - 2 * stats.t.sf(score, 50)) ** 4
    assert found.p_value == pytest.approx(min(1, p_all / 0.9, p_one / 0.1))


@pytest.mark.parametrize("count", [3, 5, 10, 49])
def test_mean_distances_of_nothing(count: int) -> None:
    """By simulation: the mean distance of normal draws has the distribution that is claimed."""
    rng = np.random.default_rng(count)
    draws = rng.standard_normal((40_000, count))
    draws -= draws.mean(axis=1, keepdims=True)
    ratio, df = mean_distance(draws[0] / math.sqrt(1 - 1 / count))
    scale = float(np.abs(draws[0]).mean()) / ratio  # the same for every draw
    p_values = stats.chi2.sf(df * (np.abs(draws).mean(axis=1) / scale) ** 2, df)
    for level in (0.01, 0.05, 0.2):  # within four standard errors and a tenth of the level
        error = 4 * math.sqrt(level * (1 - level) / 40_000)
        assert (p_values < level).mean() == pytest.approx(level, abs=error + level / 10)


def test_many_donors_touched_alike_are_seen_before_one_is() -> None:
    """At the same sum of squares, five of ten by 1.5 each weigh more than one by itself."""
    half = np.where(np.arange(10) < 5, 1.5, -1.5)
    one = np.where(np.arange(10) < 1, 9.0, -1.0) * math.sqrt(22.5 / 90)
    assert half @ half == pytest.approx(one @ one)
    assert mean_distance(half)[0] > 1.5 * mean_distance(one)[0]


def test_the_variogram_finds_what_was_put_in() -> None:
    found = [autocovariance(_deviations(seed), 30) for seed in range(20)]
    rho, white, moving = np.mean(found, axis=0)
    # Standard deviations over the seeds are about 0.02, 0.02 and 0.1; sixty periods see a little
    # less of the movement than there is.
    assert rho == pytest.approx(0.9, abs=0.03)
    assert white == pytest.approx(0.25, abs=0.03)
    assert moving == pytest.approx(1.0, abs=0.15)


def _deviations(seed: int) -> np.ndarray:
    before = wandering_panel(seed, units=60)[:, :60]
    return before - before.mean(axis=0)


def test_the_contrast_is_the_least_squares_step() -> None:
    deviations = _deviations(1)
    contrast = step_contrast(deviations, 10)
    assert contrast[:10].sum() == pytest.approx(-1)
    assert contrast[10:].sum() == pytest.approx(1)
    rho, white, moving = autocovariance(deviations, 19)
    lag = np.abs(np.subtract.outer(np.arange(20), np.arange(20)))
    covariance = moving * rho**lag + white * np.eye(20)

    def variance(weights: np.ndarray) -> float:
        return float(weights @ covariance @ weights)

    plain = np.repeat([-0.1, 0.1], 10)
    assert variance(contrast) < variance(plain)
    rng = np.random.default_rng(1)
    for _ in range(50):  # no other contrast with these two sums has less variance
        change = rng.normal(0, 0.05, 20)
        change[:10] -= change[:10].mean()
        change[10:] -= change[10:].mean()
        assert variance(contrast + change) > variance(contrast)


def test_units_that_nothing_happened_to_seldom_jump() -> None:
    p_values = []
    for seed in range(300):
        outcomes = wandering_panel(seed)
        noise = np.full(30, 0.25)
        found = donor_sign(
            launch_jumps(outcomes, 60, np.arange(20, 30), noise), np.full(10, 0.1)
        )  # fmt: skip
        assert found is not None
        p_values.append(found.p_value)
    # Binomial(300, 0.05): more than 27 has probability 0.001.
    assert np.mean(np.array(p_values) < 0.05) <= 27 / 300
    assert np.mean(np.array(p_values) < 0.05) > 0.01


def test_half_of_the_donors_touched() -> None:
    """Each by three standard deviations of a jump: named, counted, allowed for."""
    outcomes = wandering_panel(3)
    clean = estimate(panel_frame(outcomes), **PINNED)
    outcomes[25:, 60:] += 3
    found = estimate(panel_frame(outcomes), **PINNED)
    check = found.check("contaminated_donors")
    assert check.status in ("caution", "fail")
    assert all(f"u{k}" in check.message for k in range(25, 30))
    weight = found.tables["weights"]["weight"][5:].sum()
    assert found.estimate < clean.estimate - weight
    assert found.settings["allowance"] > weight
    assert "allows for" in found.inference
    assert found.conf_low < clean.estimate < found.conf_high


def test_a_treated_side_that_was_pulling_away() -> None:
    outcomes = wandering_panel(4)
    outcomes[:20] += 3 * np.arange(80) / 60
    found = estimate(panel_frame(outcomes), **PINNED)
    assert found.check("donor_similarity").status in ("caution", "fail")
    assert found.settings["allowance"] > 0.3
    assert found.conf_low < 0 < found.conf_high  # there is no effect, only the drift


def test_an_inference_asked_by_name_allows_for_nothing() -> None:
    outcomes = wandering_panel(4)
    outcomes[:20] += 3 * np.arange(80) / 60
    default = estimate(panel_frame(outcomes), **PINNED)
    named = estimate(panel_frame(outcomes), **PINNED, inference="jackknife")
    assert named.settings["allowance"] == 0
    ours = default.std_error**2 - default.settings["allowance"] ** 2
    assert named.std_error == pytest.approx(math.sqrt(ours))


def test_a_factor_that_the_weights_follow_is_not_allowed_for() -> None:
    """Unweighted the treated side drifts away; its twin follows, so little is left to allow."""
    outcomes = factor_panel(11, units=30, noise=0.3)
    position = np.arange(80) / 60
    outcomes[:10] += 6 * position
    outcomes[20:25] += 8 * position  # donors that drift more than the treated side
    outcomes[25:30] -= 2 * position
    asked = {**COLUMNS, "treated": [f"u{i:02d}" for i in range(10)], "start": 60}
    found = estimate(panel_frame(outcomes), **asked)
    unweighted = estimate(panel_frame(outcomes), **asked, estimator="did")
    assert abs(found.estimate) < 1
    assert found.settings["allowance"] < 0.5
    assert unweighted.settings["allowance"] > 2 * found.settings["allowance"]
