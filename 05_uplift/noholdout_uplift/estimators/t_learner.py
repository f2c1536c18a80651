"""The T-learner: one model an arm, and the difference of their predictions."""

from __future__ import annotations

from typing import Any

import numpy as np

from noholdout_uplift.estimators.base import TrainingRows, UpliftLearner
from noholdout_uplift.estimators.models import one_thread


class TLearner(UpliftLearner):
    """Two models: ``tau(x) = mu_1(x) - mu_0(x)`` (Künzel, Sekhon, Bickel and Yu 2019, eq. 5).

    Good when both arms are large and the effect is as complex as the outcome; it takes noise in
    either model for an effect. The parameters are those of every learner (``UpliftLearner``).
    """

    def _learn(self, rows: TrainingRows) -> None:
        self.control_model_, self.treated_model_ = self._arm_models(rows)

    @property
    def arm_models(self) -> tuple[Any, Any]:
        """The fitted models of the outcome without and with treatment."""
        return self.control_model_, self.treated_model_

    def predict_means(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predicted outcome without and with treatment, two arrays of shape ``(n,)``."""
        with one_thread():
            return self.control_model_.predict(X), self.treated_model_.predict(X)

    def _effect(self, X: np.ndarray) -> np.ndarray:
        control, treated = self.predict_means(X)
        return treated - control
