"""AIPW whose outcome models are weighted by the score, fitted on all rows."""

from __future__ import annotations

from noholdout_shared.errors import DesignError

from noholdout_propensity.estimators.common import Fit, Score
from noholdout_propensity.estimators.regression import require_full_rank
from noholdout_propensity.kernels.score import ScoreFit
from noholdout_propensity.kernels.weighted_outcome import weighted_augmented_effect
from noholdout_propensity.kernels.weighting import own_weights
from noholdout_propensity.problem import Problem
from noholdout_propensity.trimming import Trim


def fit_weighted_aipw(
    problem: Problem, score_fit: ScoreFit, link: Score, folds: int, trim: Trim | None
) -> Fit:
    """AIPW with outcome models weighted by ``(1 - e) / e^2``."""
    if problem.estimand != "ate" or folds != 1 or trim is not None:
        raise DesignError(
            f"outcome_fit='weighted' was asked with estimand {problem.estimand!r}, {folds} folds"
            + (f" and trim {trim!r}." if trim else "."),
            "Its weights are derived for the effect on everyone, both models fitted on all rows.",
            "Use --estimand ate --folds 1, or estimator regression with --outcome-fit weighted.",
        )
    y, treated, rows = problem.outcome, problem.treated, problem.sampling
    effect, rank = weighted_augmented_effect(
        y, treated, problem.score_design, problem.outcome_design, score_fit, rows
    )
    require_full_rank(rank, problem.outcome_design.shape[1])
    return Fit(
        estimator="aipw",
        title="AIPW on weighted outcome models",
        estimate=effect.estimate,
        weights=own_weights(score_fit.score, treated, problem.estimand, rows),
        mean_treated=effect.mean_treated,
        mean_control=effect.mean_control,
        score=score_fit.score,
        influence=effect.influence,
        source="stacked estimating equations with both estimated models",
        adjusts_outcome=True,
        settings={"score": link, "outcome_model": "linear per arm, weighted", "folds": folds},
    )
