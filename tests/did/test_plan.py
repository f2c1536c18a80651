"""Plans before a launch: by hand, against the estimator itself, and refusals."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from noholdout_did import estimate
from noholdout_did.plan import plan, plan_std_error, variogram
from noholdout_shared.errors import DataError, DesignError

ARGS = {"outcome": "y", "time": "t", "unit": "u"}


def history(seed: int, units: int = 40, periods: int = 12, rho: float = 0.6) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    y = np.empty((units, periods))
    y[:, 0] = rng.normal(0, 1, units)
    for t in range(1, periods):
        y[:, t] = rho * y[:, t - 1] + np.sqrt(1 - rho**2) * rng.normal(0, 1, units)
    y += rng.normal(0, 3, (units, 1))
    return pd.DataFrame(
        {
            "u": np.repeat(np.arange(units), periods),
            "t": np.tile(np.arange(periods), units),
            "y": y.ravel(),
        }
    )


def test_two_waves_one_period_by_hand() -> None:
    # Independent noise of variance 4: a change has variance 8, half of it 4 at every lag.
    # Two waves of 10 and 10: variance 8/10 + 8/10.
    assert plan_std_error(np.array([0.0, 4.0]), np.array([10, 10]), 1) == pytest.approx(1.6**0.5)
    # Two periods apart: each wave's a = (-1, 1/2, 1/2); a'Ca = 4 (1 + 1/4 + 1/4) = 6; twice 6/10.
    found = plan_std_error(np.array([0.0, 4.0, 4.0]), np.array([10, 10]), 2)
    assert found == pytest.approx(1.2**0.5)


def test_variogram_ignores_levels_and_gaps() -> None:
    rng = np.random.default_rng(1)
    panel = rng.normal(0, 2, (4000, 6)) + rng.normal(0, 9, (4000, 1))
    panel[::5, 2] = np.nan
    assert variogram(panel)[1:] == pytest.approx(np.full(5, 4.0), rel=0.06)


def test_promised_errors_are_those_of_the_estimator() -> None:
    """Launches drawn at random in 150 histories: the estimates spread as the plan says."""
    planned = plan(history(0, units=400), **ARGS, units=40).table
    row = planned[(planned["waves"] == 3) & (planned["periods_between"] == 4)].iloc[0]
    values = []
    for seed in range(1, 151):
        data = history(seed, periods=9)
        wave = np.random.default_rng(seed).permutation(40) % 3
        data["g"] = (1 + 4 * wave)[data["u"]]
        found = estimate(data, outcome="y", time="t", first_treated="g", unit="u")
        values.append(found.estimate)
    # The spread of 150 draws has an error of 6%, the plan's own variance about 3%.
    assert np.std(values) == pytest.approx(row["std_error"], rel=0.2)


def test_more_units_and_more_time_find_less() -> None:
    few = plan(history(2), **ARGS).table["smallest_effect"]
    many = plan(history(2), **ARGS, units=160).table["smallest_effect"]
    assert (many < 0.52 * few).all()


def test_advice_names_the_quickest_plan_or_what_is_missing() -> None:
    easy = plan(history(3), **ARGS, effect=3.0)
    assert easy.advice.startswith("Quickest for 3: 2 waves, 1 apart")
    hard = plan(history(3), **ARGS, effect=0.01)
    assert "No plan here" in hard.advice
    json.dumps(hard.to_dict(), allow_nan=False)
    assert max(len(line) for line in hard.summary().splitlines()) <= 80


def test_refusals() -> None:
    with pytest.raises(DesignError, match="eight units"):
        plan(history(4, units=5), **ARGS)
    with pytest.raises(DataError, match="power"):
        plan(history(4), **ARGS, power=80)
    with pytest.raises(DataError, match="effect"):
        plan(history(4), **ARGS, effect=-1)
