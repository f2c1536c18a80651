"""Adjustment for covariates: recovers the truth where the plain comparison doesn't."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from noholdout_did import estimate
from noholdout_did.kernels.adjusted import Side, adjusted_gap, logit
from noholdout_shared.errors import DataError, DesignError

ARGS = {"outcome": "y", "time": "t", "first_treated": "g"}
ADJUST = ("dr", "regression", "ipw")


def drifting_by_x(seed: int, n: int = 3000, *, panel: bool = True) -> pd.DataFrame:
    """Users with a high x improve faster and are launched more often; the effect is 1."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 1, n)
    treated = rng.random(n) < 1 / (1 + np.exp(-x))
    segment = rng.choice(["a", "b", "c"], n)
    unit = np.arange(n)
    t = np.tile([1, 2, 3, 4], (n, 1))
    y = (
        x[:, None]
        + 0.8 * x[:, None] * t
        + (treated[:, None] & (t >= 3))
        + rng.normal(0, 1, t.shape)
    )
    frame = pd.DataFrame(
        {
            "unit": np.repeat(unit, 4),
            "t": t.ravel(),
            "g": np.repeat(np.where(treated, 3.0, np.nan), 4),
            "x": np.repeat(x, 4),
            "segment": np.repeat(segment, 4),
            "y": y.ravel(),
        }
    )
    return frame if panel else frame.groupby("unit").sample(1, random_state=seed)


@pytest.mark.parametrize("adjust", ADJUST)
@pytest.mark.parametrize("panel", [True, False])
def test_a_trend_that_comes_from_a_covariate(adjust: str, panel: bool) -> None:
    data = drifting_by_x(1, 3000 if panel else 30_000, panel=panel)
    unit = {"unit": "unit"} if panel else {}
    plain = estimate(data, **ARGS, **unit)
    found = estimate(data, **ARGS, **unit, covariates=["x", "segment"], adjust=adjust)
    assert plain.estimate > 1.5 and plain.verdict == "do-not-use"
    # Six draws at four standard errors: a false alarm in 2,500 runs.
    assert abs(found.estimate - 1) < 4 * found.std_error < 0.7
    assert found.check("overlap").status == "pass"
    assert found.settings["covariates"]["indicators"] == ["segment"]


@pytest.mark.parametrize("adjust", ADJUST)
def test_standard_errors_on_a_panel_against_the_jackknife(adjust: str) -> None:
    data = drifting_by_x(2, 300)
    options = {**ARGS, "unit": "unit", "covariates": ["x"], "adjust": adjust}
    found = estimate(data, **options)
    # Groups of units are left out together, 30 in all, so the jackknife itself is 13% noise.
    group = data["unit"].to_numpy() % 30
    left_out = np.array([estimate(data[group != k], **options).estimate for k in range(30)])
    jackknife = np.sqrt(29 / 30 * ((left_out - left_out.mean()) ** 2).sum())
    assert found.std_error == pytest.approx(jackknife, rel=0.4)


@pytest.mark.parametrize("adjust", ADJUST)
def test_standard_errors_on_cross_sections_against_the_spread(adjust: str) -> None:
    """40 draws: the spread's own error is 11%, so 35% is over three of them."""
    found = [
        estimate(drifting_by_x(s, 3000, panel=False), **ARGS, covariates=["x"], adjust=adjust)
        for s in range(100, 140)
    ]
    spread = np.std([f.estimate for f in found])
    assert np.mean([f.std_error for f in found]) == pytest.approx(spread, rel=0.35)
    assert np.mean([f.estimate for f in found]) == pytest.approx(1, abs=4 * spread / 40**0.5)


def sides(y: np.ndarray, d: np.ndarray, x: np.ndarray, w: np.ndarray) -> tuple[Side, Side]:
    """The treated and the controls of 0/1 treatment ``d``."""
    one, nil = (Side(y[d == v], x[d == v], w[d == v]) for v in (1, 0))
    return one, nil


def test_doubly_robust_survives_one_wrong_model() -> None:
    rng = np.random.default_rng(3)
    n = 40_000
    x = rng.normal(0, 1, n)
    d = (rng.random(n) < 1 / (1 + np.exp(-x))).astype(float)
    y = (d + np.exp(x) + rng.normal(0, 1, n))[:, None]  # the outcome isn't linear in x
    design = np.column_stack([np.ones(n), x])
    treated, control = sides(y, d, design, np.ones(n))
    gaps = {how: adjusted_gap(treated, control, how) for how in ADJUST}
    error = {how: gap.value[0] - 1 for how, gap in gaps.items()}
    assert abs(error["regression"]) > 0.3
    assert abs(error["dr"]) < 0.1 and abs(error["ipw"]) < 0.15


def test_without_covariates_that_matter_all_ways_agree() -> None:
    data = drifting_by_x(4, 400)
    data["flat"] = np.tile([0.0, 1.0], 200).repeat(4)
    found = {
        how: estimate(data, **ARGS, unit="unit", covariates=["flat"], adjust=how).estimate
        for how in ADJUST
    }
    # One binary covariate saturates both models, so the three are the same number.
    assert found["dr"] == pytest.approx(found["ipw"], abs=1e-9)
    assert found["dr"] == pytest.approx(found["regression"], abs=1e-9)


def test_logit_against_statsmodels() -> None:
    import statsmodels.api as sm

    rng = np.random.default_rng(5)
    x = np.column_stack([np.ones(500), rng.normal(0, 30, 500), rng.normal(5, 0.1, 500)])
    d = (rng.random(500) < 0.4).astype(float)
    w = rng.integers(1, 4, 500).astype(float)
    theirs = sm.GLM(d, x, family=sm.families.Binomial(), freq_weights=w).fit(tol=1e-14)
    ours = logit(*sides(np.zeros((500, 1)), d, x, w))
    assert ours is not None
    np.testing.assert_allclose(ours.treated, theirs.fittedvalues[d == 1], rtol=1e-8)
    np.testing.assert_allclose(ours.control, theirs.fittedvalues[d == 0], rtol=1e-8)
    # With frequency weights the inverse of the information is the coefficients' covariance.
    np.testing.assert_allclose(ours.bread, theirs.cov_params(), rtol=1e-6)


@pytest.mark.parametrize("how", ADJUST)
def test_a_covariates_origin_and_unit_change_nothing(how: str) -> None:
    data = drifting_by_x(7, 300)
    plain = estimate(data, **ARGS, unit="unit", covariates=["x"], adjust=how)
    for origin, unit in ((1e6, 1.0), (0.0, 1e9), (-1e9, 1e3)):
        moved = data.assign(x=origin + unit * data["x"])
        found = estimate(moved, **ARGS, unit="unit", covariates=["x"], adjust=how)
        assert found.estimate == pytest.approx(plain.estimate, rel=1e-6)
        assert found.std_error == pytest.approx(plain.std_error, rel=1e-6)


def test_no_overlap_is_refused_and_options_are_not_ignored() -> None:
    data = drifting_by_x(6, 200)
    data["x"] = data["g"].notna() * 1.0
    with pytest.raises(DesignError, match="overlap"):
        estimate(data, **ARGS, unit="unit", covariates=["x"])
    with pytest.raises(DataError, match="without covariates"):
        estimate(data, **ARGS, unit="unit", adjust="ipw")
    with pytest.raises(DataError, match="doesn't adjust"):
        estimate(data, **ARGS, unit="unit", covariates=["x"], estimator="two-by-two")
