"""The naive answer: the effect in the top group, on the very rows that trained the ranking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from noholdout_shared.errors import DesignError
from noholdout_shared.input import Missing

from noholdout_uplift.estimators.choices import Learner, make_learner
from noholdout_uplift.kernels.ranking import top_weights
from noholdout_uplift.preparation import prepare


def in_sample_top_effect(
    data: Any,
    *,
    outcome: str,
    treatment: str,
    features: Sequence[str],
    learner: Learner = "x",
    model: Any = "boosting",
    propensity: float | str | None = None,
    fraction: float = 0.2,
    seed: int = 0,
    missing: Missing = "refuse",
) -> float:
    """What would have been reported without held-out rows (too much, on average).

    The learner is trained on all rows; among the same rows' top ``fraction`` by its predictions
    the treated and the untreated are compared. The ranking has put rows on top because of their
    own luck, so the answer is optimistic. Arguments as in :func:`noholdout_uplift.estimate`.
    """
    ready = prepare(
        data,
        outcome_column=outcome,
        treatment=treatment,
        features=features,
        propensity=propensity,
        cluster=None,
        missing=missing,
    )
    return in_sample_top(
        ready.matrix,
        ready.outcome,
        ready.treatment,
        ready.propensity,
        make_learner(learner, model, seed),
        fraction,
    )


def in_sample_top(
    matrix: np.ndarray,
    outcome: np.ndarray,
    treatment: np.ndarray,
    propensity: np.ndarray,
    learner: Any,
    fraction: float,
) -> float:
    """Difference in (inverse-probability weighted) means in the learner's own top fraction."""
    score = learner.fit(matrix, outcome, treatment, propensity=propensity).predict(matrix)
    top = top_weights(score, fraction)
    treated = top * treatment / propensity
    control = top * (1 - treatment) / (1 - propensity)
    if treated.sum() == 0 or control.sum() == 0:
        raise DesignError(
            f"The top {fraction:.0%} by predicted effect holds no rows of one arm.",
            "There is nothing to compare.",
            "Use a larger fraction or more rows.",
        )
    return float(treated @ outcome / treated.sum() - control @ outcome / control.sum())
