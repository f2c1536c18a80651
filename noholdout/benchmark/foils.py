"""Naive estimators: what somebody computes who doesn't think about the design.

They stand in the leaderboard so that the price of naivety is seen. Each takes a
:class:`~noholdout.benchmark.problems.Problem` and returns the gap of two means with the standard
error of independent rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from noholdout_shared.errors import DesignError

from noholdout.benchmark.problems import Problem


def gap(outcome: np.ndarray, treated: np.ndarray) -> dict[str, float]:
    """Difference of two means, with Welch's standard error."""
    one, zero = outcome[treated], outcome[~treated]
    if min(one.size, zero.size) < 2:
        raise DesignError("One side of the comparison has fewer than 2 rows.")
    variance = one.var(ddof=1) / one.size + zero.var(ddof=1) / zero.size
    return {"estimate": float(one.mean() - zero.mean()), "std_error": float(np.sqrt(variance))}


def _outcome(problem: Problem) -> np.ndarray:
    return problem.frame[problem.arguments["outcome"]].to_numpy(dtype=float)


def before_after(problem: Problem) -> dict[str, float]:
    """Staged rollout: rows after their launch minus all others, no comparison over time."""
    frame, names = problem.frame, problem.arguments
    after = frame[names["time"]].to_numpy() >= frame[names["first_treated"]].to_numpy()
    return gap(_outcome(problem), after)


def treated_untreated(problem: Problem) -> dict[str, float]:
    """Opt-in: who opted in minus the others."""
    treated = problem.frame[problem.arguments["treatment"]].to_numpy() == 1
    return gap(_outcome(problem), treated)


def two_sides(problem: Problem) -> dict[str, float]:
    """Threshold: everybody on the treated side minus everybody on the other."""
    names = problem.arguments
    running = problem.frame[names["running"]].to_numpy(dtype=float)
    below = running < names["cutoff"]
    return gap(_outcome(problem), below if names["treated_side"] == "below" else ~below)


def treated_before_after(problem: Problem) -> dict[str, float]:
    """Global launch: the treated units after minus before."""
    frame, names = problem.frame, problem.arguments
    rows = frame[names["unit"]].isin(names["treated"]).to_numpy()
    after = (frame[names["time"]] >= names["start"]).to_numpy()
    return gap(_outcome(problem)[rows], after[rows])


def treated_donors(problem: Problem) -> dict[str, float]:
    """Global launch: the treated units minus the others, after."""
    frame, names = problem.frame, problem.arguments
    rows = (frame[names["time"]] >= names["start"]).to_numpy()
    treated = frame[names["unit"]].isin(names["treated"]).to_numpy()
    return gap(_outcome(problem)[rows], treated[rows])


def top_of_training_rows(problem: Problem) -> dict[str, Any]:
    """Uplift: the top fifth by a score, judged on the rows that trained it (a T-learner).

    The truth beside it is that of the very users whom it chose.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor

    frame, names = problem.frame, problem.arguments
    x = features(frame, names["features"])
    y, treated = _outcome(problem), frame[names["treatment"]].to_numpy() == 1
    score = np.zeros(y.size)
    for arm, sign in ((treated, 1.0), (~treated, -1.0)):
        model = HistGradientBoostingRegressor(random_state=problem.seed).fit(x[arm], y[arm])
        score += sign * model.predict(x)
    chosen = np.zeros(y.size, dtype=bool)
    chosen[np.argsort(-score, kind="stable")[: y.size // 5]] = True
    return gap(y[chosen], treated[chosen]) | {"top": chosen.astype(float)}


def features(frame: Any, columns: list[str]) -> np.ndarray:
    """Covariates as numbers, text as indicators without the first level; shape ``(n, k)``."""
    import pandas as pd

    return pd.get_dummies(frame[columns], drop_first=True, dtype=float).to_numpy()
