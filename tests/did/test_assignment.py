"""Randomization inference and the composition check."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from did.simulate import cross_sections, panel
from noholdout_did import estimate
from noholdout_shared.errors import DataError, DesignError

ARGS = {"outcome": "y", "time": "t", "first_treated": "g"}


def randomized(data: pd.DataFrame, **options: Any) -> Any:
    return estimate(data, **ARGS, unit="unit", inference="randomization", **options)


def test_p_value_against_all_assignments() -> None:
    data = panel(51, launches=(2, np.nan), per_wave=3, periods=2, effect=2.0)
    change = data.pivot(index="unit", columns="t", values="y").diff(axis=1)[2].to_numpy()
    every = [
        change[list(c)].mean() - np.delete(change, c).mean()
        for c in itertools.combinations(range(6), 3)
    ]
    seen = change[:3].mean() - change[3:].mean()
    exact = np.mean(np.abs(every) >= abs(seen) - 1e-12)
    found = randomized(data, replicates=4000)
    assert found.estimate == pytest.approx(seen)
    assert found.p_value == pytest.approx(exact, abs=0.025)  # 4,000 draws: three errors
    # Twenty assignments can't reject at 5% on both sides: 2/20.
    assert np.isnan(found.conf_low) and "undefined" in found.inference


def test_interval_is_where_the_test_stops_rejecting() -> None:
    data = panel(52, launches=(3, np.nan), per_wave=7, periods=4)
    found = randomized(data, replicates=1999)
    for bound, inside in ((found.conf_low, 1), (found.conf_high, -1)):
        moved = data.copy()
        treated = moved["t"] >= moved["g"]
        moved.loc[treated, "y"] -= bound + inside * 0.02
        assert randomized(moved, replicates=1999).p_value > 0.05
        moved.loc[treated, "y"] += inside * 0.04
        assert randomized(moved, replicates=1999).p_value <= 0.05
    analytic = estimate(data, **ARGS, unit="unit")
    assert found.conf_high - found.conf_low == pytest.approx(
        analytic.conf_high - analytic.conf_low, rel=0.4
    )


def test_three_clusters_are_a_caution_and_designs_are_refused() -> None:
    three = panel(53, per_wave=3)
    assert estimate(three, **ARGS, unit="unit").check("clusters").status == "fail"
    assert randomized(three).check("clusters").status == "caution"
    with pytest.raises(DesignError, match="redraws whole clusters"):
        estimate(cross_sections(1), **ARGS, inference="randomization")
    with pytest.raises(DataError, match="isn't there"):
        randomized(three, estimator="twfe")


def people(seed: int, shift: float) -> pd.DataFrame:
    """Heavy users do better by 0.3, and ``shift`` more of them come with the first launch."""
    data = cross_sections(seed, n=20_000, clusters=40)
    rng = np.random.default_rng(seed)
    arrived = (data["g"] == 4) & (data["t"] >= 4)
    heavy = rng.random(len(data)) < 0.3 + shift * arrived
    data["tier"] = np.where(heavy, "heavy", "light")
    data["y"] = data["y"] + 0.3 * heavy
    return data


def test_composition_is_found_with_its_bias_and_adjusting_removes_it() -> None:
    moved = people(54, 0.3)
    found = estimate(moved, **ARGS, cluster="workspace", composition=["tier"])
    check = found.check("composition")
    assert check.status == "fail" and found.verdict == "do-not-use"
    assert check.implied_bias * found.std_error == pytest.approx(0.3 * 0.3, abs=0.02)
    adjusted = estimate(moved, **ARGS, cluster="workspace", covariates=["tier"])
    assert abs(adjusted.estimate - 0.05) < 3 * adjusted.std_error
    assert found.estimate - adjusted.estimate == pytest.approx(0.09, abs=0.02)


def test_steady_composition_passes_and_is_never_both() -> None:
    steady = people(55, 0.0)
    found = estimate(steady, **ARGS, cluster="workspace", composition=["tier"])
    assert found.check("composition").status == "pass"
    with pytest.raises(DataError, match="in composition and in covariates"):
        estimate(steady, **ARGS, composition=["tier"], covariates=["tier"])
    with pytest.raises(DataError, match="has no such check"):
        estimate(steady, **ARGS, composition=["tier"], estimator="twfe")
