"""The naive answer: the effect in the top group, on the very rows that trained the ranking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from noholdout_shared.errors import DataError, DesignError
from noholdout_shared.input import Missing

from noholdout_uplift.estimators.choices import Learner, make_learner
from noholdout_uplift.kernels.ranking import top_weights
from noholdout_uplift.preparation import ESTIMATED, prepare


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
    ready = prepare(
        data,
        outcome_column=outcome,
        treatment=treatment,
        features=features,
        propensity=propensity,
        weights=weights,
        missing=missing,
    )
    return in_sample_top(
        *ready.arms, ready.propensity, make_learner(learner, model, seed), fraction, ready.weight
    )


def in_sample_top(
    matrix: np.ndarray,
    outcome: np.ndarray,
    treatment: np.ndarray,
    propensity: np.ndarray,
    learner: Any,
    fraction: float,
    weight: np.ndarray | None = None,
) -> float:
    """Difference in (inverse-probability weighted) means in the learner's own top fraction."""
    learner = learner.fit(matrix, outcome, treatment, propensity=propensity, sample_weight=weight)
    mass = np.ones(outcome.size) if weight is None else weight
    top = mass * top_weights(learner.predict(matrix), fraction, mass)
    treated = top * treatment / propensity
    control = top * (1 - treatment) / (1 - propensity)
    if treated.sum() == 0 or control.sum() == 0:
        raise DesignError(
            f"The top {fraction:.0%} by predicted effect holds no rows of one arm.",
            "There is nothing to compare.",
            "Use a larger fraction or more rows.",
        )
    return float(treated @ outcome / treated.sum() - control @ outcome / control.sum())
