"""The T-learner: one model an arm, and the difference of their predictions."""

from __future__ import annotations

import numpy as np

from noholdout_uplift.estimators.base import UpliftLearner


class TLearner(UpliftLearner):
    """Two models: ``tau(x) = mu_1(x) - mu_0(x)`` (Künzel, Sekhon, Bickel and Yu 2019, eq. 5).

    Good when both arms are large and the effect is as complex as the outcome; it takes noise in
    either model for an effect. The parameters are those of every learner (``UpliftLearner``).
    """

    def _learn(
        self,
        X: np.ndarray,
        y: np.ndarray,
        treatment: np.ndarray,
        propensity: np.ndarray,
        weight: np.ndarray | None,
    ) -> None:
        self.control_model_ = self._fit_arm(X, y, treatment == 0, weight)
        self.treated_model_ = self._fit_arm(X, y, treatment == 1, weight)

    def _effect(self, X: np.ndarray) -> np.ndarray:
        return self.treated_model_.predict(X) - self.control_model_.predict(X)
