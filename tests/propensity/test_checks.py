"""Each check fires on the trouble it is for, and stays quiet without it."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from noholdout_propensity import estimate
from noholdout_propensity.checks import e_value
from noholdout_propensity.kernels.balance import distribution_gap, effective_size
from propensity.samples import simulate
from scipy import stats

COLUMNS = {"outcome": "y", "treatment": "d", "covariates": ["a", "b", "tier"]}


def test_clean_data_are_sound() -> None:
    answer = estimate(simulate(5000), **COLUMNS)
    assert answer.verdict == "sound"
    assert [c.name for c in answer.checks] == [
        "separation",
        "overlap",
        "balance",
        "covariate_timing",
        "hidden_confounder",
    ]


@pytest.mark.parametrize("estimator", ["aipw", "ipw", "matching"])
def test_a_category_without_a_choice_gives_no_number(estimator: str) -> None:
    frame = simulate(2000)
    frame.loc[frame["tier"] == "heavy", "d"] = 1
    answer = estimate(frame, estimator=estimator, **COLUMNS)
    assert answer.verdict == "do-not-use"
    assert math.isnan(answer.estimate) and math.isnan(answer.std_error)
    assert "tier=heavy opted in" in answer.check("separation").message
    assert answer.to_dict()["estimate"] is None


def test_complete_separation() -> None:
    frame = simulate(500)
    frame["d"] = (frame["a"] > 0).astype(int)
    answer = estimate(frame, **COLUMNS)
    assert answer.check("separation").status == "fail"


def test_hardly_any_overlap_is_not_for_use() -> None:
    assert estimate(simulate(2000, strength=6), **COLUMNS).verdict == "do-not-use"


def test_overlap_population_survives_weak_overlap() -> None:
    frame = simulate(5000, strength=2.5)
    everyone = estimate(frame, **COLUMNS)
    overlap = estimate(frame, estimand="ato", **COLUMNS)
    assert everyone.verdict != "sound"
    assert overlap.check("overlap").status == "pass"
    assert overlap.std_error < everyone.std_error


def test_imbalance_is_seen_when_the_score_misses_it() -> None:
    # Selection on a^2 only: a logit in a alone can't balance the square.
    rng = np.random.default_rng(0)
    a = rng.normal(size=4000)
    d = (rng.random(4000) < 1 / (1 + np.exp(1 - a**2))).astype(int)
    frame = pd.DataFrame({"a": a, "square": a**2, "d": d, "y": a**2 + d + rng.normal(size=4000)})
    columns = {"outcome": "y", "treatment": "d"}
    right = estimate(frame, covariates=["a", "square"], estimator="ipw", **columns)
    assert right.check("balance").status == "pass"
    wrong = estimate(frame, covariates=["a"], estimator="ipw", **columns)
    # In the mean of a all is well; the distribution table shows what the mean hides.
    assert wrong.tables["distributions"]["ks_after"].max() > 0.1


def test_e_values_of_the_paper() -> None:
    # VanderWeele and Ding (2017): RR 3.9 gives 7.26; RR 1.8 gives 3.0.
    assert e_value(3.9) == pytest.approx(7.263, abs=1e-3)
    assert e_value(1.8) == pytest.approx(3.0, abs=1e-9)
    assert e_value(1 / 3.9) == pytest.approx(7.263, abs=1e-3)


def test_untestable_checks_leave_the_verdict_alone() -> None:
    answer = estimate(simulate(3000), **COLUMNS)
    assert answer.check("hidden_confounder").status == "cannot-be-tested"
    assert answer.check("covariate_timing").status == "cannot-be-tested"


def test_distribution_gap_is_the_ks_statistic() -> None:
    rng = np.random.default_rng(0)
    x, d = rng.normal(size=300).round(1), rng.integers(0, 2, 300).astype(float)
    x = x + 0.3 * d
    ks, mean_gap = distribution_gap(x, d, np.ones(300))
    assert ks == pytest.approx(stats.ks_2samp(x[d == 1], x[d == 0]).statistic)
    grid = np.unique(x)
    gaps = [abs((x[d == 1] <= g).mean() - (x[d == 0] <= g).mean()) for g in grid]
    assert mean_gap == pytest.approx(np.mean(gaps))


def test_effective_size_of_equal_weights_is_the_count() -> None:
    assert effective_size(np.full(7, 3.0)) == pytest.approx(7)
