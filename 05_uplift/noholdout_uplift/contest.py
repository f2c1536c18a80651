"""Which learner ranks better: paired tests on the same users and the same folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from noholdout_shared.checks import holm
from noholdout_shared.errors import DataError
from noholdout_shared.inference import two_sided_p
from noholdout_shared.input import Missing
from noholdout_shared.render import p_text

from noholdout_uplift.estimators.choices import LEARNER_NAMES, LEARNERS
from noholdout_uplift.inference import METRICS, Estimates, interval_columns, std_errors
from noholdout_uplift.options import Options, check_options
from noholdout_uplift.preparation import Prepared, prepare
from noholdout_uplift.ranking_steps import Ranked, judge_ranking, make_judges, rank_users
from noholdout_uplift.scored import Scored

COMPARED = ("top", *METRICS[1:])
QINI = COMPARED.index("qini")
HABITS = {
    "s": "one model for both arms leaves the treatment out where it explains little, so that "
    "effects shrink towards each other",
    "t": "noise in either arm's model counts as an effect",
    "x": "it fits the effect itself, arm by arm, and smooths it",
    "r": "it divides what is left of the outcome by what is left of the treatment, without a "
    "penalty of its own",
    "dr": "it fits doubly robust scores, which are noisy where an arm is rare",
    "class": "the outcome's level stays in what it fits, as noise",
}


@dataclass(frozen=True)
class Contest:
    """Learners side by side: each one's own values, the pairs' differences, why they differ."""

    estimators: pd.DataFrame
    comparisons: pd.DataFrame
    why: str


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
    effect`` with two priorities). Other arguments as in :func:`noholdout_uplift.estimate`, whose
    ``learner="all"`` shows the same table for all of them.

    Parameters
    ----------
    learners
        Two or more names, such as ``["x", "t"]``.

    Returns
    -------
    One row a pair and metric: ``first, second, metric, estimate`` (first less second),
    ``std_error, conf_low, conf_high, p_value``, ``p_adjusted`` (Holm, over the pairs of a metric).
    ``metric`` is ``top`` (effect in the top fraction), ``autoc``, ``qini``, ``auuc`` or
    ``uplift_at_30``.
    """
    if len(set(learners)) < 2:
        raise DataError(
            f"{len(set(learners))} learners are named.",
            "A comparison needs two.",
            "Name two or more different ones, such as learners=['x', 't'].",
        )
    options = Options(
        outcome=outcome,
        treatment=treatment,
        features=features,
        model=model,
        propensity=propensity,
        cluster=cluster,
        weights=weights,
        fraction=fraction,
        folds=folds,
        missing=missing,
        conf_level=conf_level,
        seed=seed,
    )
    check_options(options)
    ready = prepare(data, options)
    judges = make_judges(ready, options)
    ranked = {
        learner: rank_users(ready, judges, learner, options) for learner in dict.fromkeys(learners)
    }
    judged = {learner: _judged(one, options) for learner, one in ranked.items()}
    return _pairs(judged, next(iter(ranked.values())).rows)


def side_by_side(ready: Prepared, headline: Ranked, options: Options) -> Contest:
    """All learners on the rows, the folds and the judges of the headline's."""
    judged = {}
    for learner in LEARNERS:
        same = learner == options.headline
        ranked = headline if same else rank_users(ready, headline.judges, learner, options)
        judged[learner] = _judged(ranked, options)
    rows = headline.rows
    errors = {learner: std_errors(found, rows.drawn) for learner, found in judged.items()}
    first = np.array([[judged[one].values[0], errors[one][0]] for one in judged])
    estimators = pd.DataFrame(
        {
            "estimator": [LEARNER_NAMES[learner] for learner in judged],
            **interval_columns(first[:, 0], first[:, 1], rows.conf_level, rows.df),
        }
    )
    for place, metric in enumerate(COMPARED[1:], start=1):
        estimators[metric] = [found.values[place] for found in judged.values()]
        estimators[f"{metric}_std_error"] = [errors[learner][place] for learner in judged]
    comparisons = _pairs(judged, rows)
    return Contest(estimators, comparisons, _why(judged, comparisons, rows.conf_level))


def _judged(ranked: Ranked, options: Options) -> Estimates:
    judged = judge_ranking(ranked, options, None)
    return Estimates(
        np.append(judged.headline.values, judged.metrics.values[1:]),
        np.column_stack([judged.headline.psi, judged.metrics.psi[:, 1:]]),
    )


def _pairs(found: Mapping[str, Estimates], rows: Scored) -> pd.DataFrame:
    parts = []
    for first, second in combinations(found, 2):
        gap = found[first].values - found[second].values
        errors = std_errors(Estimates(gap, found[first].psi - found[second].psi), rows.drawn)
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
    table = pd.concat(parts, ignore_index=True)
    # Two learners that rank alike differ by nothing, which no test can find.
    certain = table["p_value"].fillna(1.0)
    table["p_adjusted"] = certain.groupby(table["metric"]).transform(lambda p: holm(p.tolist()))
    return table


def _why(judged: Mapping[str, Estimates], comparisons: pd.DataFrame, conf_level: float) -> str:
    """The pair that is shown to rank most differently by Qini, and the loser's habit."""
    qini = {learner: float(found.values[QINI]) for learner, found in judged.items()}
    pairs = comparisons[comparisons["metric"] == "qini"].sort_values("p_adjusted", kind="stable")
    closest = pairs.iloc[0]
    p_value = p_text(float(closest["p_adjusted"]))
    if not closest["p_adjusted"] < 1 - conf_level:
        first, last = max(qini, key=qini.__getitem__), min(qini, key=qini.__getitem__)
        return (
            f"By Qini the {LEARNER_NAMES[first]} comes first and the {LEARNER_NAMES[last]} last, "
            f"but no pair is shown to differ (paired, Holm {p_value}): this table is no reason to "
            "choose."
        )
    better, worse = sorted(closest[["first", "second"]], key=lambda name: -qini[name])
    return (
        f"By Qini the {LEARNER_NAMES[better]} ranks better than the {LEARNER_NAMES[worse]} (paired,"
        f" Holm {p_value}). Of the {LEARNER_NAMES[worse]}: {HABITS[worse]}. Picking the best of "
        "six by this table is optimistic; the headline is the default's."
    )
