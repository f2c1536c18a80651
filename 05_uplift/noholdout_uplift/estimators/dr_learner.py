"""The DR-learner: doubly robust scores regressed on the features."""

from __future__ import annotations

import numpy as np

from noholdout_uplift.estimators.base import TrainingRows, UpliftLearner
from noholdout_uplift.kernels.aipw import aipw_scores


class DRLearner(UpliftLearner):
    """Regression of AIPW scores, cross-fitted on two halves (Kennedy 2023, EJS 17(2), alg. 1).

    The effect's model is fitted once to the scores of both halves rather than once in each. The
    parameters are those of every learner (``UpliftLearner``).
    """

    def _learn(self, rows: TrainingRows) -> None:
        half = self._halves(rows.treatment, rows.half)
        means = np.empty((2, rows.y.size))
        for k in (0, 1):
            inside = half == k
            for arm in (0, 1):
                fitted = self._fit_part(rows, rows.y, ~inside & (rows.treatment == arm))
                means[arm, inside] = fitted.predict(rows.X[inside])
        scores = aipw_scores(rows.y, rows.treatment, rows.propensity, means[0], means[1]).effect
        self.effect_model_ = self._fit_model(rows.X, scores, rows.weight)
