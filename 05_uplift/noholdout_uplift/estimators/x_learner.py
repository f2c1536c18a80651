"""The X-learner: imputed effects in each arm, then a model of the effect itself."""

from __future__ import annotations

import numpy as np

from noholdout_uplift.estimators.base import TrainingRows, UpliftLearner


class XLearner(UpliftLearner):
    """Effects imputed in each arm from the other arm's model, regressed on the features.

    ``D_1 = Y - mu_0(x)`` in the treated and ``D_0 = mu_1(x) - Y`` in the controls give
    ``tau_1`` and ``tau_0``; ``tau(x) = e tau_0(x) + (1 - e) tau_1(x)`` with the average
    probability of treatment ``e`` (Künzel, Sekhon, Bickel and Yu 2019, PNAS 116(10), eqs. 7 to 9,
    whose weight may be any function; a constant keeps the learner smooth in ``x``). It does well
    when the effect is simpler than the outcome or one arm is small. The parameters are those of
    every learner (``UpliftLearner``).
    """

    def _learn(self, rows: TrainingRows) -> None:
        X, y = rows.X, rows.y
        treated, control = rows.treatment == 1, rows.treatment == 0
        mu_control, mu_treated = self._arm_models(rows)
        imputed = np.empty_like(y)
        imputed[treated] = y[treated] - mu_control.predict(X[treated])
        imputed[control] = mu_treated.predict(X[control]) - y[control]
        self.treated_effect_model_ = self._fit_part(rows, imputed, treated)
        self.control_effect_model_ = self._fit_part(rows, imputed, control)
        self.weight_ = float(np.average(rows.propensity, weights=rows.weight))

    def _effect(self, X: np.ndarray) -> np.ndarray:
        on_control = self.control_effect_model_.predict(X)
        on_treated = self.treated_effect_model_.predict(X)
        return self.weight_ * on_control + (1 - self.weight_) * on_treated
