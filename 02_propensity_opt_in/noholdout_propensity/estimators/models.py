"""Any scikit-learn models behind AIPW, cross-fitted."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from noholdout_shared.errors import ConvergenceError, DataError

from noholdout_propensity.kernels.nuisance import Nuisance
from noholdout_propensity.kernels.outcome import fit_linear
from noholdout_propensity.kernels.score import fit_score
from noholdout_propensity.problem import Problem


def check_models(score: Any, outcome_model: Any) -> None:
    """Raise a DataError unless the models can be fitted and asked for what AIPW needs."""
    for name, model in (("score", score), ("outcome_model", outcome_model)):
        if isinstance(model, type):
            raise DataError(
                f"{name} is the class {model.__name__}, not a model of it.",
                "",
                f"Pass {model.__name__}(), with its options.",
            )
    if not isinstance(score, str) and not (
        hasattr(score, "fit") and hasattr(score, "predict_proba")
    ):
        raise DataError(
            f"score is a {type(score).__name__} without predict_proba.",
            "A propensity score is a probability.",
            "Pass 'logit', 'probit', or a scikit-learn classifier.",
        )
    if outcome_model is not None and not (
        hasattr(outcome_model, "fit")
        and (hasattr(outcome_model, "predict_proba") or hasattr(outcome_model, "predict"))
    ):
        raise DataError(
            f"outcome_model is a {type(outcome_model).__name__} without fit and predict.",
            "",
            "Pass a scikit-learn regressor, or a classifier for a 0/1 outcome.",
        )
    if is_labeller(outcome_model):
        raise DataError(
            f"outcome_model is a {type(outcome_model).__name__}, a classifier without "
            "predict_proba.",
            "Its predictions are labels, and a mean outcome is a probability.",
            "Pass a classifier with predict_proba, or a regressor.",
        )


def is_labeller(model: Any) -> bool:
    """Whether the model is a classifier that predicts labels only."""
    from sklearn.base import is_classifier

    return hasattr(model, "fit") and is_classifier(model) and not hasattr(model, "predict_proba")


def cross_fit_models(
    problem: Problem, score: Any, outcome_model: Any, fold: np.ndarray
) -> Nuisance | None:
    """Out-of-fold predictions; ``None`` when the own logit separates without a fold, or when only
    one arm is left without it.

    Parameters
    ----------
    score
        ``logit``, or a classifier; cloned for each fold.
    outcome_model
        A regressor or (for a 0/1 outcome) a classifier, fitted in each arm; ``None`` is linear.
    """
    n = problem.n
    predicted = np.empty(n)
    means = np.empty((2, n))
    y, d, rows = problem.outcome, problem.treated, problem.sampling
    x, z = problem.score_design[:], problem.outcome_design[:]
    for f in range(int(fold.max()) + 1):
        out, rest = fold == f, fold != f
        if not 0 < float(d[rest].mean()) < 1:
            return None
        if isinstance(score, str):
            own = fit_score(x[rest], d[rest], weights=rows[rest])
            if not own.converged:
                return None
            predicted[out] = 1 / (1 + np.exp(-(x[out] @ own.coefficients)))
        else:
            fitted = _fitted(score, x[rest, 1:], d[rest].astype(int), rows[rest])
            predicted[out] = fitted.predict_proba(x[out, 1:])[:, 1]
        for a, arm in enumerate((1, 0)):
            inside = rest & (d == arm)
            if outcome_model is None:
                means[a, out] = z[out] @ fit_linear(z[inside], y[inside], rows[inside]).coefficients
                continue
            fitted = _fitted(outcome_model, z[inside, 1:], y[inside], rows[inside])
            if hasattr(fitted, "predict_proba"):
                means[a, out] = fitted.predict_proba(z[out, 1:])[:, 1]
            else:
                means[a, out] = fitted.predict(z[out, 1:])
    return Nuisance(predicted, np.zeros(n), means[0], means[1])


def _fitted(model: Any, x: np.ndarray, y: np.ndarray, rows: np.ndarray) -> Any:
    from sklearn.base import clone
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.utils.validation import has_fit_parameter

    if hasattr(model, "predict_proba") and not np.isin(y, (0, 1)).all():
        raise DataError(
            "outcome_model is a classifier, but the outcome isn't 0/1.", "", "Pass a regressor."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            if (rows == 1).all():
                return clone(model).fit(x, y)
            if not has_fit_parameter(model, "sample_weight"):
                raise DataError(
                    f"{type(model).__name__} takes no sampling weights.", "", "Use another model."
                )
            return clone(model).fit(x, y, sample_weight=rows)
        except ConvergenceWarning as warning:
            raise ConvergenceError(
                f"{type(model).__name__} did not converge: {str(warning).splitlines()[0]}",
                "An unfinished model would carry its own bias into the answer.",
                "Give it more iterations, or scale its inputs.",
            ) from warning
        except (TypeError, ValueError) as error:
            raise DataError(
                f"{type(model).__name__} can't be fitted: {str(error).splitlines()[0]}",
                f"It was given {len(x):,} rows of {x.shape[1]} columns, categories as 0/1.",
                "Change its options, or use another model.",
            ) from error
