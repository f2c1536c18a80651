"""Ratio metrics: differences of ratios of sums, with the delta method's errors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from noholdout_did import estimate
from noholdout_shared.errors import DataError

# Two workspaces a wave, two periods, launch in 2; completed over tasks.
EIGHT = pd.DataFrame(
    {
        "unit": ["a", "b", "a", "b", "c", "d", "c", "d"],
        "t": [1, 1, 2, 2, 1, 1, 2, 2],
        "g": [2, 2, 2, 2, None, None, None, None],
        "done": [10.0, 10.0, 30.0, 20.0, 5.0, 15.0, 6.0, 18.0],
        "tasks": [20.0, 30.0, 40.0, 40.0, 10.0, 40.0, 12.0, 36.0],
    }
)
# Ratios of sums: treated 20/50 = 0.4 to 50/80 = 0.625; others 20/50 = 0.4 to 24/48 = 0.5.
# Effect 0.225 - 0.1 = 0.125 (a mean of the rows' own ratios would give something else).
ARGS = {"outcome": "done", "denominator": "tasks", "time": "t", "first_treated": "g"}


@pytest.mark.parametrize("estimator", ["group-time", "two-by-two"])
def test_by_hand(estimator: str) -> None:
    found = estimate(EIGHT, **ARGS, unit="unit", estimator=estimator)
    assert found.estimate == pytest.approx(0.125, abs=1e-12)
    # Linearised: (y - R d) / sum of d, after minus before, by unit.
    # a: (30 - 25)/80 - (10 - 8)/50 = 0.0225, b the opposite; c: (6 - 6)/48 - (5 - 4)/50 = -0.02,
    # d the opposite. Sums of squares times 2/(2-1), as below 40 units: 2 (2 0.0225^2 + 2 0.02^2).
    assert found.std_error == pytest.approx(np.sqrt(4 * (0.0225**2 + 0.02**2)), abs=1e-12)
    assert "ratios of sums" in found.estimand and found.outcome == "done / tasks"
    assert found.settings["denominator"] == "tasks"
    assert found.proportion  # completed of tasks: a share, in percentage points
    assert not estimate(EIGHT.assign(done=EIGHT["done"] / 8), **ARGS, unit="unit").proportion


def simulated(seed: int, units: int = 60, launch_effect: float = 0.1) -> pd.DataFrame:
    """Workspaces whose size goes with their success rate: a mean of ratios isn't the ratio."""
    rng = np.random.default_rng(seed)
    rows = []
    for unit in range(units):
        rate, size = rng.uniform(0.3, 0.6), rng.uniform(20, 200)
        launch = 4 if unit % 2 else np.nan
        for t in range(1, 7):
            tasks = rng.poisson(size * (0.5 + rate)) + 1
            p = rate + 0.01 * t + launch_effect * (t >= launch)
            rows.append((unit, t, launch, rng.binomial(tasks, p), tasks))
    return pd.DataFrame(rows, columns=["unit", "t", "g", "done", "tasks"])


def test_against_a_slow_jackknife_and_the_sums_written_out() -> None:
    data = simulated(1)
    found = estimate(data, **ARGS, unit="unit")

    def by_sums(frame: pd.DataFrame) -> float:
        cell = frame.groupby([frame["g"].notna(), "t"])[["done", "tasks"]].sum()
        r = (cell["done"] / cell["tasks"]).unstack()
        change = r[[4, 5, 6]].sub(r[3], axis=0)
        return float((change.loc[True] - change.loc[False]).mean())

    assert found.estimate == pytest.approx(by_sums(data), abs=1e-12)
    left_out = np.array([by_sums(data[data["unit"] != u]) for u in range(60)])
    jackknife = np.sqrt(59 / 60 * ((left_out - left_out.mean()) ** 2).sum())
    assert found.std_error == pytest.approx(jackknife, rel=0.05)


def test_intervals_cover() -> None:
    held = sum(
        (f := estimate(simulated(s), **ARGS, unit="unit")).conf_low <= 0.1 <= f.conf_high
        for s in range(60)
    )
    assert held >= 51  # the 0.1% point of 60 draws at 95%


def test_users_sum_to_the_same_as_workspaces_and_units_of_measure_cancel() -> None:
    data = simulated(2)
    halves = pd.concat([data.assign(done=data["done"] / 2, tasks=data["tasks"] / 2)] * 2)
    args = {**ARGS, "cluster": "unit"}
    whole, split = estimate(data, **args), estimate(halves, **args)
    assert split.estimate == pytest.approx(whole.estimate)
    assert split.std_error == pytest.approx(whole.std_error)
    thousands = estimate(data.assign(done=1e3 * data["done"], tasks=1e3 * data["tasks"]), **args)
    assert thousands.estimate == pytest.approx(whole.estimate)
    averaged = estimate(halves, **ARGS, unit="unit", cell_mean=True)
    assert averaged.estimate == pytest.approx(whole.estimate)


def test_refusals() -> None:
    def refuse(match: str, data: pd.DataFrame = EIGHT, **more: object) -> None:
        with pytest.raises(DataError, match=match):
            estimate(data, **{**ARGS, "unit": "unit", **more})

    refuse("estimator 'imputation'", estimator="imputation")
    refuse("other columns", covariates=["t"])
    refuse("both 'done'", denominator="done")
    refuse("1 negative values", EIGHT.assign(tasks=EIGHT["tasks"].where(EIGHT.index > 0, -1)))
    refuse("a denominator of 0", EIGHT.assign(tasks=EIGHT["tasks"].where(EIGHT.index > 0, 0)))
    refuse("in all rows", EIGHT.assign(done=2 * EIGHT["tasks"]))
    idle = pd.concat([EIGHT, EIGHT.iloc[:1].assign(unit="z", done=0, tasks=0)])
    assert estimate(idle, **ARGS, cluster="unit").estimate == pytest.approx(0.125)
