"""The R-learner: what is left of the outcome on what is left of the treatment."""

from __future__ import annotations

import numpy as np

from noholdout_uplift.estimators.base import TrainingRows, UpliftLearner


class RLearner(UpliftLearner):
    """Residual on residual: minimise ``sum [(Y - m(x)) - (W - e(x)) tau(x)]^2``.

    As a regression of ``(Y - m) / (W - e)`` with weights ``(W - e)^2`` (Nie and Wager 2021,
    Biometrika 108(2), eq. 4, without penalty); ``m`` is cross-fitted on two halves, ``e`` is
    given. The model must take ``sample_weight``. The parameters are those of every learner
    (``UpliftLearner``).
    """

    def _learn(self, rows: TrainingRows) -> None:
        half = self._halves(rows.treatment, rows.half)
        mean = np.empty_like(rows.y)
        for k in (0, 1):
            fitted = self._fit_part(rows, rows.y, half != k)
            mean[half == k] = fitted.predict(rows.X[half == k])
        left = rows.treatment - rows.propensity
        importance = left**2 if rows.weight is None else rows.weight * left**2
        self.effect_model_ = self._fit_model(rows.X, (rows.y - mean) / left, importance)
