"""The plan before a launch: its standard errors, against a simulation that it never saw."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from noholdout_shared.errors import DataError, DesignError
from noholdout_shared.inference import smallest_effect
from noholdout_synthetic_control import estimate
from noholdout_synthetic_control.kernels.fits import demeaned_problem
from noholdout_synthetic_control.kernels.noise import own_noise
from noholdout_synthetic_control.plan import HoldoutPlan, effect_with_power, plan
from synthetic_control.worlds import COLUMNS, factor_panel, panel_frame
from typer.testing import CliRunner

from noholdout.commands.plan import plan as commands


def test_more_pinned_find_less_and_the_smallest_enough_is_recommended() -> None:
    outcomes = factor_panel(1, units=30, n_pre=80, n_post=0)
    found = plan(panel_frame(outcomes), **COLUMNS, pinned=[4, 8, 14], periods=[20], draws=40)
    sizes = found.designs["smallest_effect"].tolist()
    assert sizes == sorted(sizes, reverse=True)
    assert len(found.recommended) == 14  # no effect was named: the largest
    wanted = (sizes[0] + sizes[1]) / 2
    asked = plan(
        panel_frame(outcomes), **COLUMNS, pinned=[4, 8, 14], periods=[20], draws=40, effect=wanted
    )
    assert len(asked.recommended) == 8
    assert asked.periods == 20
    assert "Pin 8 for 20 periods, the smallest design here that finds" in asked.summary()
    assert max(map(len, asked.summary().splitlines())) <= 80


def drifting_panel(seed: int, units: int, periods: int) -> np.ndarray:
    """Levels, a common path, and a random walk and noise of each unit's own: nothing shared."""
    rng = np.random.default_rng(seed)
    drift = np.cumsum(rng.normal(0, 0.15, (units, periods)), axis=1)
    common = np.cumsum(rng.normal(0, 0.3, periods))
    return rng.normal(50, 5, (units, 1)) + common + drift + rng.normal(0, 1, (units, periods))


def test_the_standard_error_is_what_fresh_panels_show() -> None:
    errors, planned = [], []
    for seed in range(60):
        outcomes = drifting_panel(seed, 24, 100)
        if seed < 15:
            found = plan(
                panel_frame(outcomes[:, :80]), **COLUMNS, pinned=[8], periods=[20], draws=20
            )
            planned.append(found.designs["std_error"][0])
        target = np.repeat([0.0, 1 / 16], [8, 16])
        noise = own_noise(outcomes, 80, None, False)
        errors.append(demeaned_problem(outcomes, 80, noise, 7).fit(target, np.arange(8)).effect)
    # 60 errors know their spread to 9%, 15 histories the mean standard error to some 10%. Where
    # strong factors are matched away, a jackknife with fixed weights is wider than the errors.
    ratio = np.mean(planned) / np.std(errors)
    assert 0.7 < ratio < 1.6


def regions_held(seed: int, regions: int = 6, **asked: object) -> HoldoutPlan:
    outcomes = drifting_panel(seed, 30, 80)
    region = np.repeat([f"r{k % regions}" for k in range(30)], 80)
    frame = panel_frame(outcomes).assign(region=region)
    return plan(frame, **COLUMNS, cluster="region", periods=[20], **asked)


def test_a_region_first_and_the_others_held() -> None:
    """Each region in turn is what ``estimate`` makes of a launch there, 20 periods from the end."""
    found = regions_held(1)
    row = found.designs.iloc[0]
    outcomes = drifting_panel(1, 30, 80)
    frame = panel_frame(outcomes).assign(region=np.repeat([f"r{k % 6}" for k in range(30)], 80))
    errors, effects = [], []
    for k in range(6):
        treated = [f"u{i:02d}" for i in range(30) if i % 6 == k]
        one = estimate(frame, **COLUMNS, treated=treated, start=60, cluster="region")
        errors.append(one.std_error)
        effects.append(one.estimate)
    assert (row["pinned"], row["periods"], row["df"]) == (5, 20, 5)
    assert row["std_error"] == pytest.approx(np.sqrt(np.mean(np.square(errors))))
    assert row["rmse"] == pytest.approx(np.sqrt(np.mean(np.square(effects))))
    assert len(found.recommended) == 5
    assert found.settings["first_region"] not in found.recommended
    text = found.summary()
    assert "Launch in one region first and hold the others for 20 periods" in text
    assert max(map(len, text.splitlines())) <= 80


def test_regions_leave_nothing_to_draw_and_must_be_four() -> None:
    with pytest.raises(DataError, match="cluster was given with pinned or draws"):
        regions_held(1, pinned=[4])
    with pytest.raises(DesignError, match="'region' holds 3 regions"):
        regions_held(1, regions=3)


def test_command(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    panel_frame(factor_panel(1, units=12, n_pre=60, n_post=0)).to_csv(path, index=False)
    asked = ["synthetic-control", str(path), "--outcome", "y", "--unit", "unit", "--time", "time"]
    shown = CliRunner().invoke(commands, [*asked, "--pinned", "4,6", "--draws", "20", "--json"])
    assert shown.exit_code == 0, shown.output
    found = json.loads(shown.stdout)
    assert [row["pinned"] for row in found["designs"]] == [4, 6]


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"pinned": [1]}, DesignError, "allow none of the designs"),
        ({"periods": [70]}, DesignError, "three times"),
        ({"effect": -1}, DataError, "effect is -1"),
        ({"draws": 2}, DataError, "draws is 2"),
    ],
)
def test_bad_requests(change: dict, error: type[Exception], message: str) -> None:
    frame = panel_frame(factor_panel(1, units=12, n_pre=60, n_post=0))
    with pytest.raises(error, match=message):
        plan(frame, **COLUMNS, **change)


def test_equal_errors_give_blooms_smallest_effect_and_unequal_ones_more() -> None:
    same, df = np.full(5, 2.0), np.full(5, 12.0)
    assert effect_with_power(same, same, df, 0.95) == pytest.approx(smallest_effect(2.0, 0.95, 12))
    # The same mean square, but every other lot has most of it: 80% on average needs more.
    unequal = np.sqrt([1.0, 7.0])
    assert effect_with_power(unequal, unequal, df[:2], 0.95) > smallest_effect(2.0, 0.95, 12)
    # An interval that allows for a bias of two as well is left later.
    wider = np.sqrt(same**2 + 4)
    assert effect_with_power(wider, same, df, 0.95) > 1.2 * smallest_effect(2.0, 0.95, 12)


def test_a_history_in_which_nobody_strays_makes_no_plan() -> None:
    path = np.sin(np.arange(60) / 5) * np.ones((12, 1))
    with pytest.raises(DesignError, match=r"No design has an error.*rounding alone"):
        plan(panel_frame(path), **COLUMNS, pinned=[4], periods=[10], draws=20)
