"""DoubleML and CausalInference on an opt-in: the average effect for everyone."""

from __future__ import annotations

import numpy as np

from noholdout.benchmark.foils import features
from noholdout.benchmark.peers import quiet
from noholdout.benchmark.problems import Problem


def _arrays(problem: Problem) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    names, frame = problem.arguments, problem.frame
    x = features(frame, names["covariates"])
    y = frame[names["outcome"]].to_numpy(dtype=float)
    return (x - x.mean(0)) / x.std(0), y, frame[names["treatment"]].to_numpy(dtype=float)


def doubleml(problem: Problem) -> dict[str, float]:
    """``DoubleMLIRM`` with a linear outcome model and an unpenalised logit, five folds."""
    from doubleml import DoubleMLData, DoubleMLIRM
    from sklearn.linear_model import LinearRegression, LogisticRegression

    x, y, d = _arrays(problem)
    with quiet():
        np.random.seed(problem.seed)  # noqa: NPY002 - it draws from numpy's global state
        data = DoubleMLData.from_arrays(x, y, d)
        model = DoubleMLIRM(data, LinearRegression(), LogisticRegression(C=1e8, max_iter=500))
        model.fit()
        bounds = model.confint(level=problem.conf_level).to_numpy()[0]
    return {
        "estimate": float(model.coef[0]),
        "std_error": float(model.se[0]),
        "conf_low": float(bounds[0]),
        "conf_high": float(bounds[1]),
        "p_value": float(model.pval[0]),
    }


def causalinference(problem: Problem) -> dict[str, float]:
    """``CausalModel``: its logit score, then its doubly robust weighting."""
    from causalinference import CausalModel

    x, y, d = _arrays(problem)
    with quiet():
        model = CausalModel(y, d, x)
        model.est_propensity()
        model.est_via_weighting()
        found = model.estimates["weighting"]
    return {"estimate": float(found["ate"]), "std_error": float(found["ate_se"])}
