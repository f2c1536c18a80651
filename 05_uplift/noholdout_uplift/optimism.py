"""The naive answer: the effect in the top group, on the very rows that trained the ranking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from noholdout_shared.errors import DataError
from noholdout_shared.input import Missing

from noholdout_uplift.columns import ESTIMATED
from noholdout_uplift.estimators.choices import Learner, make_learner
from noholdout_uplift.kernels.ranking import top_weights
from noholdout_uplift.options import Options
from noholdout_uplift.own_score import observed_top_effect
from noholdout_uplift.preparation import Prepared, prepare


def in_sample_top_effect(
    data: Any,
    *,
    outcome: str,
    treatment: str,
    features: Sequence[str],
    learner: Learner = "x",
    model: Any = "boosting",
    propensity: float | str | None = None,
    weights: str | None = None,
    fraction: float = 0.2,
    seed: int = 0,
    missing: Missing = "refuse",
) -> float:
    """What would have been reported without held-out rows (too much, on average).

    The learner is trained on all rows; among the same rows' top ``fraction`` by its predictions
    the treated and the untreated are compared. The ranking has put rows on top because of their
    own luck, so the answer is optimistic. Arguments as in :func:`noholdout_uplift.estimate`.
    """
    if propensity == ESTIMATED:
        raise DataError(
            "in_sample_top_effect takes no estimated propensity.",
            "",
            "Use settings['in_sample_top_effect'] of the estimate.",
        )
    options = Options(
        outcome=outcome,
        treatment=treatment,
        features=features,
        model=model,
        propensity=propensity,
        weights=weights,
        fraction=fraction,
        seed=seed,
        missing=missing,
    )
    ready = prepare(data, options)
    return in_sample_top(ready, ready.propensity, learner, options)


def in_sample_top(ready: Prepared, propensity: np.ndarray, learner: str, options: Options) -> float:
    """:func:`in_sample_top_effect` of rows that are prepared already."""
    unfitted = make_learner(learner, ready.model, options.seed)
    fitted = unfitted.fit(
        *ready.arms, propensity=propensity, sample_weight=ready.weight, half=ready.half
    )
    score = fitted.predict(ready.matrix)
    mass = np.ones(score.size) if ready.weight is None else ready.weight
    top = mass * top_weights(score, options.fraction, mass)
    return observed_top_effect(ready.outcome, ready.treatment, propensity, top)
