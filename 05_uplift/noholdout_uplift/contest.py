"""Which of two learners ranks better: a paired test on the same users and the same folds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from noholdout_shared.errors import DataError
from noholdout_shared.inference import two_sided_p
from noholdout_shared.input import Missing

from noholdout_uplift.inference import METRICS, Estimates, interval_columns, std_errors
from noholdout_uplift.preparation import prepare
from noholdout_uplift.ranking_steps import Options, judge_ranking, rank_users

COMPARED = ("top", *METRICS[1:])


def compare_learners(
    data: Any,
    *,
    outcome: str,
    treatment: str,
    features: Sequence[str],
    learners: Sequence[str],
    model: Any = "boosting",
    propensity: float | str | None = None,
    cluster: str | None = None,
    weights: str | None = None,
    fraction: float = 0.2,
    folds: int = 5,
    missing: Missing = "refuse",
    conf_level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Differences between learners' rankings, with paired intervals.

    Every learner is trained on the same earlier folds and judged by the same AIPW scores of the
    next, so most of the noise cancels in the difference (as in R's grf, ``rank_average_treatment_
    effect`` with two priorities). Other arguments as in :func:`noholdout_uplift.estimate`.

    Parameters
    ----------
    learners
        Two or more names, such as ``["x", "t"]``.

    Returns
    -------
    One row a pair and metric: ``first, second, metric, estimate`` (first less second),
    ``std_error, conf_low, conf_high, p_value``. ``metric`` is ``top`` (effect in the top
    fraction), ``autoc``, ``qini``, ``auuc`` or ``uplift_at_30``.
    """
    if len(set(learners)) < 2:
        raise DataError(
            f"{len(set(learners))} learners are named.",
            "A comparison needs two.",
            "Name two or more different ones, such as learners=['x', 't'].",
        )
    ready = prepare(
        data,
        outcome_column=outcome,
        treatment=treatment,
        features=features,
        propensity=propensity,
        cluster=cluster,
        weights=weights,
        missing=missing,
    )
    found, rows = {}, None
    for learner in dict.fromkeys(learners):
        options = Options(
            outcome=outcome,
            treatment=treatment,
            features=features,
            learner=learner,
            model=model,
            propensity=propensity,
            cluster=cluster,
            weights=weights,
            cost=None,
            budget=None,
            current=None,
            guardrails=(),
            slices=(),
            fraction=fraction,
            folds=folds,
            inference="influence",
            replicates=None,
            missing=missing,
            conf_level=conf_level,
            margin=None,
            seed=seed,
            jobs=1,
        )
        ranked = rank_users(ready, options)
        rows = ranked.rows
        judged = judge_ranking(ranked, options, None)
        found[learner] = Estimates(
            np.append(judged.headline.values, judged.metrics.values[1:]),
            np.column_stack([judged.headline.psi, judged.metrics.psi[:, 1:]]),
        )
    assert rows is not None  # two learners at least were run
    parts = []
    for first, second in combinations(found, 2):
        gap = found[first].values - found[second].values
        errors = std_errors(Estimates(gap, found[first].psi - found[second].psi), rows.clusters)
        with np.errstate(invalid="ignore", divide="ignore"):
            p_values = [two_sided_p(float(t), rows.df) for t in gap / errors]
        parts.append(
            pd.DataFrame(
                {
                    "first": first,
                    "second": second,
                    "metric": COMPARED,
                    **interval_columns(gap, errors, rows.conf_level, rows.df),
                    "p_value": p_values,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)
