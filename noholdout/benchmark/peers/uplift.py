"""EconML and scikit-uplift on a personalised prompt: their scores, judged on held-out rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from noholdout.benchmark.foils import features, gap
from noholdout.benchmark.peers import quiet
from noholdout.benchmark.problems import Problem

FRACTION = 0.2
Fit = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def _boosting(seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(random_state=seed)


def _judged(problem: Problem, score: Fit) -> dict[str, Any]:
    """The effect in the top fifth, by scores of a model that never saw the row (two folds)."""
    names, frame = problem.arguments, problem.frame
    x = features(frame, names["features"])
    y = frame[names["outcome"]].to_numpy(dtype=float)
    d = frame[names["treatment"]].to_numpy(dtype=int)
    fold = np.random.default_rng(problem.seed).permutation(y.size) % 2
    top = np.zeros(y.size, dtype=bool)
    for part in (0, 1):
        train, held_out = fold != part, np.flatnonzero(fold == part)
        with quiet():
            predicted = np.ravel(score(x[train], y[train], d[train], x[held_out]))
        best = np.argsort(-predicted, kind="stable")[: int(FRACTION * held_out.size)]
        top[held_out[best]] = True
    return {**gap(y[top], d[top] == 1), "top": top.astype(float)}


def econml(problem: Problem) -> dict[str, Any]:
    """``econml.metalearners.XLearner`` on gradient boosting."""
    from econml.metalearners import XLearner

    def score(x: np.ndarray, y: np.ndarray, d: np.ndarray, new: np.ndarray) -> np.ndarray:
        model = XLearner(models=_boosting(problem.seed))
        return model.fit(y, d, X=x).effect(new)

    return _judged(problem, score)


def scikit_uplift(problem: Problem) -> dict[str, Any]:
    """``sklift.models.TwoModels`` on gradient boosting; of a 0/1 outcome it wants classifiers."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklift.models import TwoModels

    def score(x: np.ndarray, y: np.ndarray, d: np.ndarray, new: np.ndarray) -> np.ndarray:
        arms = [HistGradientBoostingClassifier(random_state=problem.seed) for _ in range(2)]
        model = TwoModels(*arms)
        return model.fit(x, y, d).predict(new)

    return _judged(problem, score)
