"""The S-learner: one model with the treatment among its features."""

from __future__ import annotations

import numpy as np

from noholdout_uplift.estimators.base import TrainingRows, UpliftLearner


class SLearner(UpliftLearner):
    """One model: ``tau(x) = mu(x, 1) - mu(x, 0)`` (Künzel, Sekhon, Bickel and Yu 2019, eq. 4).

    It shrinks effects towards zero, since the model may leave the treatment out; a linear model
    without interactions gives everybody the same effect. The parameters are those of every
    learner (``UpliftLearner``).
    """

    def _learn(self, rows: TrainingRows) -> None:
        features = np.column_stack([rows.X, rows.treatment])
        self.model_ = self._fit_model(features, rows.y, rows.weight)

    def _effect(self, X: np.ndarray) -> np.ndarray:
        treated, control = np.ones(len(X)), np.zeros(len(X))
        with_it = self.model_.predict(np.column_stack([X, treated]))
        return with_it - self.model_.predict(np.column_stack([X, control]))
