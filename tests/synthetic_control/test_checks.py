"""Each check fires on the violation that it is for, and stays quiet on clean panels."""

from __future__ import annotations

import numpy as np
import pytest
from noholdout_synthetic_control import estimate
from synthetic_control.worlds import COLUMNS, factor_panel, panel_frame

ONE = {**COLUMNS, "treated": ["u00"], "start": 60}


def status(outcomes: np.ndarray, name: str, **changes: object) -> str:
    return estimate(panel_frame(outcomes), **{**ONE, **changes}).check(name).status


def test_clean_panels_are_seldom_doubted() -> None:
    doubted = 0
    for seed in range(30):
        found = estimate(panel_frame(factor_panel(seed)), **ONE)
        doubted += found.verdict != "sound"
    # Binomial with 5%: four or more of 30 has probability 0.06, seven or more 0.001.
    assert doubted < 7


def test_a_path_that_no_donor_has() -> None:
    outcomes = factor_panel(1)
    outcomes[0] += 8 * np.sin(np.arange(80) / 8)
    assert status(outcomes, "pre_fit") == "fail"
    assert status(outcomes, "convex_hull") == "caution"


def test_a_level_outside_the_hull_without_an_intercept() -> None:
    outcomes = factor_panel(1)
    outcomes[0] += 60
    assert status(outcomes, "convex_hull", estimator="classic") == "fail"
    assert status(outcomes, "convex_hull") == "pass"


def test_an_effect_before_the_launch() -> None:
    outcomes = factor_panel(2)
    outcomes[0, 45:] += 8  # felt 15 periods early
    assert status(outcomes, "in_time_placebo") in ("caution", "fail")


def test_a_donor_touched_by_the_launch() -> None:
    outcomes = factor_panel(3)
    heavy = int(estimate(panel_frame(outcomes), **ONE).tables["weights"]["weight"].argmax()) + 1
    outcomes[heavy, 60:] += 15
    found = estimate(panel_frame(outcomes), **ONE).check("contaminated_donors")
    assert found.status in ("caution", "fail")
    assert f"u{heavy:02d}" in found.message


def test_few_donors_and_a_short_history() -> None:
    outcomes = factor_panel(4)
    assert status(outcomes[:4], "donor_pool") == "caution"
    assert status(outcomes[:2], "donor_pool") == "fail"
    assert status(outcomes[:, 55:], "short_history", start=5) == "caution"
    assert status(outcomes[:, 57:], "short_history", start=3) == "fail"
    assert status(outcomes[:, 57:], "short_history", start=3, estimator="did") == "caution"
    assert status(outcomes, "short_history") == "pass"
    # As long before as after is asked for, whatever the number of blocks.
    assert status(outcomes, "short_history", start=30) == "caution"


def test_an_answer_that_hangs_on_one_donor() -> None:
    rng = np.random.default_rng(0)
    shared = np.cumsum(rng.normal(0, 2, 80))
    outcomes = rng.normal(0, 0.3, (12, 80))
    outcomes[0] += shared
    outcomes[5] += shared  # the only donor that moves like the treated unit
    found = estimate(panel_frame(outcomes), **ONE)
    assert found.check("leave_one_out").status == "caution"
    assert "u05" in found.check("leave_one_out").message


@pytest.mark.parametrize("name", ["treated_only_shock", "same_ruler"])
def test_what_no_data_can_show_is_said(name: str) -> None:
    assert status(factor_panel(1), name) == "cannot-be-tested"


def test_the_size_that_would_overturn() -> None:
    outcomes = factor_panel(1)
    outcomes[0, 60:] += 30
    found = estimate(panel_frame(outcomes), **ONE)
    assert found.check("treated_only_shock").statistic == pytest.approx(found.conf_low)


def test_a_shock_in_the_launch_week_that_some_donors_share() -> None:
    outcomes = factor_panel(5)
    for unit, size in zip(range(2, 20, 2), (14, -14) * 5, strict=False):
        outcomes[unit, 60:67] += size
    found = estimate(panel_frame(outcomes), **ONE).check("launch_week_shock")
    assert found.p_value < 1e-4
    assert found.statistic > 10


def test_more_donors_than_periods_and_the_range_of_effects() -> None:
    """Twelve donors, four periods: the range must hold weights found by hand, and ours."""
    outcomes = factor_panel(6, units=13, n_pre=4, n_post=10)
    asked = {**COLUMNS, "treated": ["u00"], "start": 4, "estimator": "classic"}
    # The first unit in the middle of the others: many mixes of them meet its past exactly.
    outcomes[0, :4] = outcomes[1:, :4].mean(axis=0)
    found = estimate(panel_frame(outcomes), **asked)
    check = found.check("unique_weights")
    assert check.statistic > 0.1
    equal = float((outcomes[0] - outcomes[1:].mean(axis=0))[4:].mean())
    low, high = (float(x) for x in check.message.split(" from ")[1].split(" (")[0].split(" to "))
    assert low - 0.01 <= equal <= high + 0.01
    assert low - 0.01 <= found.estimate <= high + 0.01


def test_fewer_donors_than_periods_have_one_answer() -> None:
    check = estimate(panel_frame(factor_panel(7)), **ONE, estimator="classic")
    assert check.check("unique_weights").statistic < 1e-6


def test_an_outcome_that_stood_still_before_the_launch() -> None:
    """A new feature's own metric: nothing to fit, nothing to divide by."""
    outcomes = factor_panel(8)
    outcomes[:, :60] = 0.0
    found = estimate(panel_frame(outcomes), **ONE)
    assert np.isfinite(found.estimate)
    assert found.check("pre_fit").implied_bias == 0


def test_checks_do_not_depend_on_the_outcomes_scale() -> None:
    outcomes = factor_panel(9)
    found, small = (estimate(panel_frame(outcomes * size), **ONE) for size in (1.0, 1e-9))
    assert small.std_error == pytest.approx(found.std_error * 1e-9, rel=1e-9)
    for one, other in zip(found.checks, small.checks, strict=True):
        assert other.p_value == pytest.approx(one.p_value, rel=1e-6, nan_ok=True)
