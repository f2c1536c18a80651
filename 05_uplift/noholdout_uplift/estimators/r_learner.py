"""The R-learner: what is left of the outcome on what is left of the treatment."""

from __future__ import annotations

import numpy as np

from noholdout_uplift.estimators.base import UpliftLearner


class RLearner(UpliftLearner):
    """Residual on residual: minimise ``sum [(Y - m(x)) - (W - e(x)) tau(x)]^2``.

    As a regression of ``(Y - m) / (W - e)`` with weights ``(W - e)^2`` (Nie and Wager 2021,
    Biometrika 108(2), eq. 4, without penalty); ``m`` is cross-fitted on two halves, ``e`` is
    given. The model must take ``sample_weight``. The parameters are those of every learner
    (``UpliftLearner``).
    """

    def _learn(
        self,
        X: np.ndarray,
        y: np.ndarray,
        treatment: np.ndarray,
        propensity: np.ndarray,
        weight: np.ndarray | None,
    ) -> None:
        half = self._halves(treatment)
        mean = np.empty_like(y)
        for k in (0, 1):
            fitted = self._fit_arm(X, y, half != k, weight)
            mean[half == k] = fitted.predict(X[half == k])
        left = treatment - propensity
        importance = left**2 if weight is None else weight * left**2
        self.effect_model_ = self._fit_model(X, (y - mean) / left, importance)

    def _effect(self, X: np.ndarray) -> np.ndarray:
        return self.effect_model_.predict(X)
