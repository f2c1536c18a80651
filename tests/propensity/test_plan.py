"""The plan against its own formula by hand, and against what the estimator then achieves."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from noholdout_propensity import estimate
from noholdout_propensity.plan import plan
from noholdout_shared.errors import DataError


def test_a_coin_flip_by_hand() -> None:
    # Scores of 1/2: 1 / (e (1 - e)) is 4, the price of choice 1. The outcome is 0 and 1 in equal
    # parts: variance n / (4 (n - 1)). z is 1.959964 + 0.841621 = 2.801585.
    frame = pd.DataFrame({"y": [0, 1] * 500, "e": 0.5})
    found = plan(frame, outcome="y", score="e", effect=0.05)
    variance = 4 * 1000 / (4 * 999)
    assert found.price_of_choice == pytest.approx(1)
    assert found.smallest_effect == pytest.approx(2.801585 * math.sqrt(variance / 1000), rel=1e-6)
    assert found.rows_needed == math.ceil(variance * (2.801585 / 0.05) ** 2)
    assert found.opted_in_needed == pytest.approx(found.rows_needed / 2)


@pytest.mark.parametrize("estimand", ["ate", "att", "ato"])
def test_the_plan_foretells_the_standard_error(estimand: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=20_000)
    e = 1 / (1 + np.exp(-0.8 * x))
    d = (rng.random(20_000) < e).astype(int)
    before = x + rng.normal(size=20_000)
    frame = pd.DataFrame({"x": x, "e": e, "d": d, "before": before, "y": before + 0.3 * d})
    found = plan(frame, outcome="before", score="e", covariates=["x"], estimand=estimand)
    answer = estimate(frame, outcome="y", treatment="d", covariates=["x"], estimand=estimand)
    # Both are estimates of one variance on 20,000 rows.
    assert math.sqrt(found.variance_per_row / 20_000) == pytest.approx(answer.std_error, rel=0.03)


@pytest.mark.parametrize(
    "change, options, message",
    [
        ({"e": 1.0}, {}, "aren't between 0 and 1"),
        ({}, {"power": 1.5}, "power is 1"),
        ({}, {"rows": 3}, "rows is 3"),
        ({}, {"rows": 50.5}, r"rows is 50\.5"),
        ({}, {"effect": 0.0}, "effect is 0"),
        ({}, {"effect": math.nan}, "effect is nan"),
        ({}, {"effect": "0.1"}, "effect is '0.1'"),
        ({}, {"effect": 1e-300}, "More than 1e.15 users"),
        ({}, {"covariates": ["y"]}, "as covariate and as outcome"),
        ({"x": [f"u{i}" for i in range(100)]}, {"covariates": ["x"]}, "100 rows for 100"),
    ],
)
def test_refusals(change: dict, options: dict, message: str) -> None:
    frame = pd.DataFrame({"y": [0, 1] * 50, "e": 0.5}).assign(**change)
    with pytest.raises(DataError, match=message):
        plan(frame, outcome="y", score="e", **options)
