"""Class transformation: one regression of an outcome whose mean is the effect."""

from __future__ import annotations

from noholdout_uplift.estimators.base import TrainingRows, UpliftLearner


class ClassTransformation(UpliftLearner):
    """Regression of ``Y (W - e) / (e (1 - e))``, whose mean given the features is the effect.

    For a 0/1 outcome and ``e = 1/2`` it ranks as the classifier of Jaskowski and Jaroszewicz
    (2012) does; for other outcomes and probabilities it is the transformed outcome of Athey and
    Imbens (2016, PNAS 113(27)). Simple and noisy: the outcome's level isn't removed. The
    parameters are those of every learner (``UpliftLearner``).
    """

    def _learn(self, rows: TrainingRows) -> None:
        chance = rows.propensity
        transformed = rows.y * (rows.treatment - chance) / (chance * (1 - chance))
        self.effect_model_ = self._fit_model(rows.X, transformed, rows.weight)
