"""Class transformation: one regression of an outcome whose mean is the effect."""

from __future__ import annotations

import numpy as np

from noholdout_uplift.estimators.base import UpliftLearner


class ClassTransformation(UpliftLearner):
    """Regression of ``Y (W - e) / (e (1 - e))``, whose mean given the features is the effect.

    For a 0/1 outcome and ``e = 1/2`` it ranks as the classifier of Jaskowski and Jaroszewicz
    (2012) does; for other outcomes and probabilities it is the transformed outcome of Athey and
    Imbens (2016, PNAS 113(27)). Simple and noisy: the outcome's level isn't removed. The
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
        transformed = y * (treatment - propensity) / (propensity * (1 - propensity))
        self.effect_model_ = self._fit_model(X, transformed, weight)

    def _effect(self, X: np.ndarray) -> np.ndarray:
        return self.effect_model_.predict(X)
