"""What all learners share: validation in scikit-learn's way, one model an arm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from noholdout_shared.errors import DataError
from sklearn.base import BaseEstimator
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    has_fit_parameter,
    validate_data,
)

from noholdout_uplift.estimators.models import make_model, one_thread


@dataclass(frozen=True)
class TrainingRows:
    """What a learner is fitted to: features of shape ``(n, k)``, the rest of shape ``(n,)``.

    ``arm_models`` holds the models of the untreated and the treated, where they are there already,
    ``half`` which of two halves each row belongs to, where that is decided.
    """

    X: np.ndarray
    y: np.ndarray
    treatment: np.ndarray
    propensity: np.ndarray
    weight: np.ndarray | None
    arm_models: tuple[Any, Any] | None = None
    half: np.ndarray | None = None


class UpliftLearner(BaseEstimator):
    """A model of a row's treatment effect given its features.

    Parameters
    ----------
    model
        ``boosting``, ``linear``, or an unfitted scikit-learn regressor.
    random_state
        Seed of models that draw at random.
    """

    def __init__(self, model: Any = "boosting", random_state: int = 0) -> None:
        self.model = model
        self.random_state = random_state

    def fit(
        self,
        X: Any,
        y: Any,
        treatment: Any,
        *,
        propensity: Any = None,
        sample_weight: Any = None,
        arm_models: tuple[Any, Any] | None = None,
        half: Any = None,
    ) -> Self:
        """Learn the effect.

        Parameters
        ----------
        X
            Features, shape ``(n, k)``.
        y
            Outcome, shape ``(n,)``.
        treatment
            1 for treated, 0 for not, shape ``(n,)``.
        propensity
            Probability of treatment: a number, shape ``(n,)``, or ``None`` for the share treated.
        sample_weight
            Shape ``(n,)``.
        arm_models
            Models of the outcome without and with treatment that were fitted to these very rows.
            A learner that fits the same (T and X) takes them instead.
        half
            0 or 1 for each row: whose models of the outcome predict whom, in learners that
            cross-fit (R and DR). Drawn at random within arms when ``None``.
        """
        X, y = validate_data(self, X, y, y_numeric=True, dtype=np.float64)
        treatment = _as_arms(treatment, len(y))
        weight = None if sample_weight is None else _check_sample_weight(sample_weight, X)
        share = treatment.mean() if propensity is None else propensity
        probability = np.broadcast_to(np.asarray(share, dtype=float), y.shape)
        if not ((probability > 0) & (probability < 1)).all():
            raise DataError(
                f"propensity lies between {probability.min():g} and {probability.max():g}.",
                "Who can't be treated, or must be, has no comparison.",
                "Pass probabilities between 0 and 1, and leave out rows of 0 or 1.",
            )
        with one_thread():
            y = np.asarray(y, dtype=float)
            self._learn(TrainingRows(X, y, treatment, probability, weight, arm_models, half))
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predicted effect of treatment on the outcome, shape ``(n,)``."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        with one_thread():
            return self._effect(X)

    def _learn(self, rows: TrainingRows) -> None:
        raise NotImplementedError

    def _effect(self, X: np.ndarray) -> np.ndarray:
        return self.effect_model_.predict(X)

    def _fit_model(self, X: np.ndarray, y: np.ndarray, weight: np.ndarray | None) -> Any:
        model = make_model(self.model, len(y), self.random_state)
        if weight is None:
            return model.fit(X, y)
        if not has_fit_parameter(model, "sample_weight"):
            raise DataError(
                f"model is a {type(model).__name__}, whose fit takes no sample_weight.",
                f"Rows have weights here ({type(self).__name__}), which it would ignore.",
                "Use a regressor that takes them, or a learner and data without weights.",
            )
        return model.fit(X, y, sample_weight=weight)

    def _fit_part(self, rows: TrainingRows, y: np.ndarray, part: np.ndarray) -> Any:
        weight = None if rows.weight is None else rows.weight[part]
        return self._fit_model(rows.X[part], y[part], weight)

    def _arm_models(self, rows: TrainingRows) -> tuple[Any, Any]:
        """Models of the outcome without and with treatment."""
        if rows.arm_models is not None:
            return rows.arm_models
        control = self._fit_part(rows, rows.y, rows.treatment == 0)
        return control, self._fit_part(rows, rows.y, rows.treatment == 1)

    def _halves(self, treatment: np.ndarray, told: np.ndarray | None = None) -> np.ndarray:
        """0 or 1 for each row, as told or at random within arms: whose models score whom."""
        if told is not None:
            return told
        rng = np.random.default_rng(self.random_state)
        half = np.empty(treatment.size, dtype=np.int64)
        for arm in (0, 1):
            inside = np.flatnonzero(treatment == arm)
            half[rng.permutation(inside)] = np.arange(inside.size) % 2
        return half


def _as_arms(treatment: Any, n_rows: int) -> np.ndarray:
    values = np.asarray(treatment)
    if values.shape != (n_rows,) or not np.isin(values, (0, 1)).all():
        raise DataError(
            f"treatment has shape {values.shape} with values {np.unique(values)[:5].tolist()}.",
            f"It must say of each of the {n_rows:,} rows whether it was treated.",
            "Pass a one-dimensional array of 0 and 1.",
        )
    arms = values.astype(np.int8)
    for arm, name in ((1, "treated"), (0, "control")):
        if not (arms == arm).any():
            raise DataError(f"There are no {name} rows.", "An effect compares the two arms.")
    return arms
