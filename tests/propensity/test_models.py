"""AIPW on scikit-learn models."""

from __future__ import annotations

import pytest
from noholdout_propensity import aipw
from noholdout_shared.errors import ConvergenceError, DataError
from propensity.samples import simulate
from propensity.test_checks import curved
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression

COLUMNS = {"outcome": "y", "treatment": "d", "covariates": ["a", "b", "tier"]}


def test_unpenalised_sklearn_models_are_our_models() -> None:
    frame = simulate(1500)
    ours = aipw(frame, **COLUMNS)
    theirs = aipw(
        frame,
        score=LogisticRegression(C=1e12, tol=1e-10, max_iter=2000),
        outcome_model=LinearRegression(),
        **COLUMNS,
    )
    # Two optimisers of one likelihood, stopped at their own tolerances.
    assert theirs.estimate == pytest.approx(ours.estimate, abs=1e-4)
    assert theirs.std_error == pytest.approx(ours.std_error, rel=0.02)


def test_flexible_models_see_the_curve() -> None:
    frame = curved(3000)
    flexible = aipw(
        frame,
        outcome="y",
        treatment="d",
        covariates=["a", "b"],
        score=HistGradientBoostingClassifier(max_iter=40, learning_rate=0.1, random_state=0),
        outcome_model=HistGradientBoostingRegressor(max_iter=80, random_state=0),
    )
    assert abs(flexible.estimate - 1) < 3 * flexible.std_error
    assert flexible.settings["outcome_model"] == "HistGradientBoostingRegressor"


def test_refusals() -> None:
    frame = simulate(300)
    with pytest.raises(DataError, match="without predict_proba"):
        aipw(frame, score=LinearRegression(), **COLUMNS)
    with pytest.raises(DataError, match="without fit and predict"):
        aipw(frame, outcome_model=object(), **COLUMNS)
    with pytest.raises(DataError, match="folds=1 was asked"):
        aipw(frame, outcome_model=LinearRegression(), folds=1, **COLUMNS)
    with pytest.raises(DataError, match="isn't 0/1"):
        aipw(frame, outcome_model=LogisticRegression(), **COLUMNS)
    with pytest.raises(DataError, match="isn't a choice"):
        aipw(frame, outcome_model=LinearRegression(), inference="bootstrap", **COLUMNS)
    with pytest.raises(ConvergenceError, match="did not converge"):
        aipw(frame, score=LogisticRegression(max_iter=1), **COLUMNS)
