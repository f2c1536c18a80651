"""The DR-learner: doubly robust scores regressed on the features."""

from __future__ import annotations

import numpy as np

from noholdout_uplift.estimators.base import UpliftLearner
from noholdout_uplift.kernels.aipw import aipw_scores


class DRLearner(UpliftLearner):
    """Regression of AIPW scores, cross-fitted on two halves (Kennedy 2023, EJS 17(2), alg. 1).

    The effect's model is fitted once to the scores of both halves rather than once in each. The
    parameters are those of every learner (``UpliftLearner``).
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
        means = np.empty((2, y.size))
        for k in (0, 1):
            inside = half == k
            for arm in (0, 1):
                fitted = self._fit_arm(X, y, ~inside & (treatment == arm), weight)
                means[arm, inside] = fitted.predict(X[inside])
        scores = aipw_scores(y, treatment, propensity, means[0], means[1]).effect
        self.effect_model_ = self._fit_model(X, scores, weight)

    def _effect(self, X: np.ndarray) -> np.ndarray:
        return self.effect_model_.predict(X)
