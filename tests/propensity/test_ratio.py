"""A ratio metric: the difference of two ratios of means, its error by the delta method."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import pytest
from noholdout_propensity import aipw, estimate
from noholdout_propensity.estimators.aipw import fit_aipw
from noholdout_propensity.estimators.entropy_balancing import fit_entropy_balancing
from noholdout_propensity.estimators.ipw import fit_ipw
from noholdout_propensity.estimators.matching import MatchOptions, fit_matching
from noholdout_propensity.estimators.regression import fit_regression
from noholdout_propensity.inference import spread_of
from noholdout_propensity.options import Options
from noholdout_propensity.problem import prepare
from noholdout_propensity.ratio import settled
from noholdout_shared.errors import DataError
from propensity.samples import simulate

COLUMNS = {"outcome": "done", "treatment": "d", "covariates": ["a", "b"]}
FITS = {
    "aipw": fit_aipw,
    "ipw": fit_ipw,
    "regression": fit_regression,
    "entropy-balancing": fit_entropy_balancing,
    "matching": partial(fit_matching, link="logit", how=MatchOptions()),
}
ESTIMATORS = ("aipw", "ipw", "regression", "entropy-balancing", "matching")


def sessions(n: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Tasks done of tasks tried; the feature raises both, the share by 10 points."""
    rng = np.random.default_rng(seed)
    frame = simulate(n, seed, strength=0.5)
    frame["tried"] = rng.poisson(np.exp(1.5 + 0.2 * frame["b"] + 0.2 * frame["d"]))
    frame["done"] = rng.binomial(frame["tried"], 0.5 + 0.1 * frame["d"])
    return frame


def unchecked(frame: pd.DataFrame, estimator: str) -> tuple[float, float]:
    """Estimate and error alone, without the checks."""
    options = Options(frame, denominator="tried", **COLUMNS)
    problem, fit = settled(prepare(options), FITS[estimator])
    return fit.estimate, spread_of(problem, fit).std_error


def test_by_hand() -> None:
    # One yes/no covariate, both cells with two rows an arm and half of the rows each: weighting
    # changes nothing. Treated: done 3 + 5 + 4 + 4 = 16 of 8 + 8 + 8 + 8 = 32, a half; control:
    # 1 + 2 + 2 + 3 = 8 of 8 + 8 + 4 + 12 = 32, a quarter.
    rows = pd.DataFrame(
        {
            "x": [0, 0, 0, 0, 1, 1, 1, 1],
            "d": [1, 1, 0, 0, 1, 1, 0, 0],
            "done": [3, 5, 1, 2, 4, 4, 2, 3],
            "tried": [8, 8, 8, 8, 8, 8, 4, 12],
        }
    )
    answer = estimate(
        rows, outcome="done", denominator="tried", treatment="d", covariates=["x"], estimator="ipw"
    )
    assert answer.estimate == pytest.approx(0.25)
    # With the score at 1/2, row i adds (y - R z - its cell's mean of that) / (M n_a) twice over,
    # M = 8: treated residuals y - z/2 are -1, 1 | 0, 0; control y - z/4 are -1, 0 | 1, 0. Cell
    # means 0, 0 | -1/2, 1/2. The saturated score takes each arm's cell means off and puts their
    # difference back: effects of the cells +1/2, -1/2 around their mean 0, in units of 1/8.
    gap = np.array([-1 * 2 + 0.5, 1 * 2 + 0.5, 0.5 * 2 + 0.5, -0.5 * 2 + 0.5])
    gap = np.append(gap, [-0.5, -0.5, -0.5 * 2 - 0.5, 0.5 * 2 - 0.5]) / 8
    assert answer.std_error == pytest.approx(np.sqrt(gap @ gap) / 8, rel=1e-6)
    assert answer.settings["denominator"] == "tried"
    assert "delta method" in answer.inference


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_ratio_of_the_two_adjusted_means(estimator: str) -> None:
    frame = sessions()
    options = {**COLUMNS, "estimator": estimator}
    both = [
        estimate(frame, **{**options, "outcome": column}).settings for column in ("done", "tried")
    ]
    plain = both[0]["mean_treated"] / both[1]["mean_treated"] - (
        both[0]["mean_control"] / both[1]["mean_control"]
    )
    answer = estimate(frame, denominator="tried", **options)
    assert answer.estimate == pytest.approx(plain, rel=1e-8)
    assert answer.proportion


@pytest.mark.parametrize("estimator", ["aipw", "ipw", "regression"])
def test_error_against_a_bootstrap(estimator: str) -> None:
    frame = sessions(1000)
    rng = np.random.default_rng(0)
    draws = [unchecked(frame.iloc[rng.integers(0, 1000, 1000)], estimator)[0] for _ in range(150)]
    # 150 draws know a spread to 6%; three of those.
    assert unchecked(frame, estimator)[1] == pytest.approx(np.std(draws, ddof=1), rel=0.18)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_coverage(estimator: str) -> None:
    held = 0
    for seed in range(60):
        value, error = unchecked(sessions(600, seed), estimator)
        held += abs(value - 0.1) < 1.96 * error
    # 99.9% range of 60 draws at 95%.
    assert held >= 60 * (0.95 - 3.29 * np.sqrt(0.95 * 0.05 / 60))


def test_a_denominator_of_ones_changes_nothing() -> None:
    frame = simulate(800).assign(one=1)
    for estimator in ESTIMATORS:
        options = {"outcome": "y", "treatment": "d", "covariates": ["a", "b"]}
        plain = estimate(frame, estimator=estimator, **options)
        ratio = estimate(frame, estimator=estimator, denominator="one", **options)
        assert ratio.estimate == pytest.approx(plain.estimate, rel=1e-9)
        assert ratio.std_error == pytest.approx(plain.std_error, rel=1e-9)


def test_all_estimators_side_by_side() -> None:
    table = estimate(sessions(), denominator="tried", audit=True, **COLUMNS).tables["estimators"]
    frame = sessions()
    sums = frame.groupby("d")[["done", "tried"]].sum()
    rates = sums["done"] / sums["tried"]
    assert table["estimate"].iloc[0] == pytest.approx(rates[1] - rates[0])
    assert table["estimate"].iloc[1:].between(0.05, 0.15).all()


def test_the_denominator_is_looked_at() -> None:
    frame = sessions().assign(w=lambda f: 1.0 + (f.index % 3))
    answer = estimate(frame, denominator="tried", weights="w", estimator="regression", **COLUMNS)
    assert answer.rows is not None
    relative = []
    for arm in (1, 0):
        inside = (frame["d"] == arm).to_numpy()
        w, z = answer.rows.weights[inside], frame["tried"].to_numpy()[inside]
        mean = np.average(z, weights=w)
        relative.append(np.sqrt(((w * (z - mean)) ** 2).sum()) / w.sum() / mean)
    check = answer.check("ratio_denominator")
    assert check.status == "pass" and check.statistic == pytest.approx(max(relative))
    plain = estimate(frame, estimator="regression", **COLUMNS)
    assert "ratio_denominator" not in [found.name for found in plain.checks]


@pytest.mark.parametrize("estimator", ["aipw", "ipw", "matching"])
def test_a_denominator_that_is_almost_always_zero_is_no_ground(estimator: str) -> None:
    rng = np.random.default_rng(1)
    frame = sessions(1000).assign(done=lambda f: rng.poisson(1, len(f)))
    frame["tried"] = (np.arange(1000) % 60 == 0).astype(int)
    answer = estimate(frame, denominator="tried", estimator=estimator, **COLUMNS)
    check = answer.check("ratio_denominator")
    assert answer.verdict != "sound" and check.status == "caution" and check.statistic > 0.2
    assert "a symmetric interval is rough" in check.message


def test_the_denominator_by_cluster() -> None:
    # Copies of one row count once: four times the rows know the denominator no better.
    frame = sessions(300).assign(c=np.arange(300))
    copied = frame.loc[np.repeat(frame.index, 4)]
    options = {**COLUMNS, "denominator": "tried", "estimator": "ipw", "cluster": "c"}
    once, four = (estimate(rows, **options).check("ratio_denominator") for rows in (frame, copied))
    assert four.statistic == pytest.approx(once.statistic, rel=1e-6)


@pytest.mark.parametrize(
    "change, options, message",
    [
        ({}, {"denominator": "done"}, "as outcome and as denominator"),
        ({}, {"denominator": "a"}, "as covariate and as denominator"),
        ({"tried": -1}, {"denominator": "tried"}, "negative values"),
        ({"tried": 0}, {"denominator": "tried"}, "adjusted mean of denominator 'tried' is 0"),
        ({}, {"denominator": "tried", "inference": "bootstrap"}, "bootstrap was asked of a ratio"),
    ],
)
def test_refusals(change: dict, options: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        estimate(sessions(300).assign(**change), **COLUMNS, **options)


def test_models_of_ones_own_have_no_ratio() -> None:
    from sklearn.linear_model import LogisticRegression

    with pytest.raises(DataError, match="denominator was given with a model of your own"):
        aipw(sessions(300), denominator="tried", score=LogisticRegression(), **COLUMNS)
