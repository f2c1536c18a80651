"""AIPW on scikit-learn models."""

from __future__ import annotations

import numpy as np
import pytest
from noholdout_propensity import aipw
from noholdout_shared.errors import ConvergenceError, DataError
from propensity.samples import simulate
from propensity.test_checks import curved
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

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


def test_scores_of_0_and_1_are_trimmed_when_asked_and_never_otherwise() -> None:
    # Deep trees vote 0 or 1 for some rows, whose counterpart's weight would have no end.
    frame = simulate(2500)
    forest = RandomForestClassifier(30, min_samples_leaf=5, random_state=0)
    blunt = RandomForestClassifier(15, random_state=0)
    none = aipw(frame, score=blunt, **COLUMNS)
    assert none.verdict == "do-not-use" and np.isnan(none.estimate)
    assert "trim='crump'" in none.check("separation").message
    for model, how in ((blunt, {}), (forest, {"trim_at": 0.1})):
        answer = aipw(frame, score=model, trim="crump", **how, **COLUMNS)
        assert abs(answer.estimate - 1) < 4 * answer.std_error < 0.5
        kept, score = answer.rows.kept, answer.rows.score
        assert 0 < answer.settings["trimmed_rows"] == (~kept).sum()
        assert score[kept].min() > 0 and score[kept].max() < 1
        assert "covers" in answer.settings and answer.n_obs == kept.sum()


def test_trimming_own_models_is_the_same_rule() -> None:
    # The same unpenalised logit by another name; trimmed at fixed bounds.
    frame = simulate(1500, strength=1.5)
    how = {"trim": "crump", "trim_at": 0.1, "estimand": "att"}
    ours = aipw(frame, **how, **COLUMNS)
    model = LogisticRegression(C=1e12, tol=1e-10, max_iter=2000)
    theirs = aipw(frame, score=model, outcome_model=LinearRegression(), **how, **COLUMNS)
    # Theirs trims by the scores out of fold, so a few rows at the bounds differ.
    assert theirs.n_obs == pytest.approx(ours.n_obs, rel=0.02)
    assert theirs.estimate == pytest.approx(ours.estimate, abs=0.5 * ours.std_error)
    assert theirs.std_error == pytest.approx(ours.std_error, rel=0.1)


def test_folds_without_an_arm_give_no_number() -> None:
    # One workspace opted in as a whole: the others hold nobody to learn from.
    frame = simulate(400).assign(c=lambda f: np.where(f.index < 80, 0, f.index % 4 + 1))
    frame["d"] = (frame["c"] == 0).astype(int)
    answer = aipw(frame, score=KNeighborsClassifier(), cluster="c", **COLUMNS)
    assert answer.verdict == "do-not-use" and np.isnan(answer.estimate)


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
    weighted = {"weights": "w", **COLUMNS}
    frame["w"] = np.arange(300) % 3 + 1.0
    for model in (KNeighborsClassifier(), make_pipeline(StandardScaler(), LogisticRegression())):
        with pytest.raises(DataError, match="takes no sampling weights"):
            aipw(frame, score=model, **weighted)
    with pytest.raises(DataError, match="the class LogisticRegression"):
        aipw(frame, score=LogisticRegression, **COLUMNS)
    with pytest.raises(DataError, match="can't be fitted"):
        aipw(frame, score=LogisticRegression(C=-1.0), **COLUMNS)
    shares = {**COLUMNS, "outcome": "bought"}
    with pytest.raises(DataError, match="labels, and a mean outcome is a probability"):
        aipw(frame.assign(bought=frame["y"] > 0), outcome_model=RidgeClassifier(), **shares)
