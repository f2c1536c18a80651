"""The front function: one call, any estimator of this method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from noholdout_shared.errors import DataError
from noholdout_shared.input import Missing, check_choice, resolve_replicates

from noholdout_propensity.audit import abstains, with_all_estimators
from noholdout_propensity.estimators.aipw import fit_aipw, resolve_folds
from noholdout_propensity.estimators.common import (
    ESTIMANDS,
    Fit,
    Score,
    assemble,
    fitted_score,
)
from noholdout_propensity.estimators.entropy_balancing import fit_entropy_balancing
from noholdout_propensity.estimators.ipw import fit_ipw
from noholdout_propensity.estimators.matching import (
    Distance,
    MatchOptions,
    fit_matching,
    refuse_unmatched_options,
)
from noholdout_propensity.estimators.regression import fit_regression
from noholdout_propensity.inference import DEFAULT_REPLICATES, Inference
from noholdout_propensity.kernels.weighting import Estimand
from noholdout_propensity.negative_controls import refuse_reused
from noholdout_propensity.problem import Options, Problem, prepare
from noholdout_propensity.result import PropensityEstimate
from noholdout_propensity.trimming import Trim, trimmed

Estimator = Literal["aipw", "ipw", "matching", "regression", "entropy-balancing", "all"]
ESTIMATORS = ("aipw", "ipw", "matching", "regression", "entropy-balancing")

# Which estimators an option belongs to; given with another it is refused, never ignored.
BELONGS = {
    "score": ("aipw", "ipw", "matching"),
    "outcome_covariates": ("aipw", "regression"),
    "folds": ("aipw",),
    "trim": ("aipw", "ipw"),
    "trim_at": ("aipw", "ipw"),
    "distance": ("matching",),
    "ratio": ("matching",),
    "caliper": ("matching",),
    "replace": ("matching",),
    "exact": ("matching",),
}


def estimate(
    data: Any,
    *,
    outcome: str,
    treatment: str,
    covariates: Sequence[str],
    estimand: Estimand = "ate",
    estimator: Estimator = "aipw",
    score: Score | None = None,
    outcome_covariates: Sequence[str] | None = None,
    folds: int | None = None,
    trim: Trim | None = None,
    trim_at: float | None = None,
    distance: Distance | None = None,
    ratio: int | None = None,
    caliper: float | None = None,
    replace: bool | None = None,
    exact: Sequence[str] | None = None,
    negative_controls: Sequence[str] | None = None,
    audit: bool = False,
    cluster: str | None = None,
    weights: str | None = None,
    inference: Inference = "analytic",
    replicates: int | None = None,
    missing: Missing = "refuse",
    conf_level: float = 0.95,
    margin: float | None = None,
    seed: int = 0,
    jobs: int = 1,
) -> PropensityEstimate:
    """What did the feature do for those who switched it on, or would it do for everyone?

    Assumes that nothing outside the covariates drives both the opt-in and the outcome, that every
    kind of user could have chosen either way, and that one user's opt-in doesn't change another's
    outcome. The first can't be tested; the checks say how strong a violation would have to be.

    Parameters
    ----------
    data
        A pandas, polars or Arrow frame, an Ibis table, or a path; one row a user.
    outcome
        Numeric column; effects are in its units, in points for a share.
    treatment
        Column with 1 for users who opted in, 0 for the others.
    covariates
        Columns known before the opt-in that drive both the opt-in and the outcome.
    estimand
        ``ate`` everyone, ``att`` those who opted in, ``atc`` those who didn't, ``ato`` the users
        for whom both choices were likely.
    estimator
        ``aipw`` (doubly robust, cross-fitted; the default), ``ipw``, ``matching``, ``regression``
        per arm, ``entropy-balancing``; ``all`` adds the others to the answer of aipw as the table
        ``estimators``.
    score
        ``logit`` (the default) or ``probit``, unpenalised.
    outcome_covariates
        Covariates of the outcome model when they differ (aipw, regression).
    folds
        Cross-fitting folds of aipw; 5 by default, 1 for none.
    trim, trim_at
        Leave out rows by score (aipw, ipw): ``crump`` keeps ``trim_at <= score <= 1 - trim_at``
        (by default the bound of least variance), ``percentile`` what lies between the adopters'
        lower and the others' upper percentile (0.05 by default).
    distance, ratio, caliper, replace, exact
        Of matching: ``score`` or ``mahalanobis``; matches a row (1); largest distance, in SDs of
        the score or Mahalanobis units; with replacement (the default) or not; columns in which
        matches must be equal.
    negative_controls
        Outcomes that the feature can't have changed, such as activity before the launch.
    audit
        Also run every estimator, as ``all`` does, unless overlap fails; the command prints it
        as one page.
    cluster, weights
        Columns of the groups whose rows move together, and of sampling weights.
    inference, replicates
        ``analytic``, or ``bootstrap`` with 500 replicates by default; refused for matching.
    missing, conf_level, margin, seed, jobs
        As in every method.

    Returns
    -------
    PropensityEstimate
        With the tables ``balance``, ``weights``, ``distributions``, ``sensitivity``; where asked
        ``estimators``, ``negative_controls``, ``rosenbaum``.

    Raises
    ------
    DataError, DesignError, ConvergenceError
        Unreadable data or options; an empty arm; a model without solution.
    """
    check_choice("estimand", estimand, tuple(ESTIMANDS))
    check_choice("estimator", estimator, (*ESTIMATORS, "all"))
    check_choice("inference", inference, ("analytic", "bootstrap"))
    check_choice("score", score or "logit", ("logit", "probit"))
    chosen = "aipw" if estimator == "all" else estimator
    given = {
        "score": score,
        "outcome_covariates": outcome_covariates,
        "folds": folds,
        "trim": trim,
        "trim_at": trim_at,
        "distance": distance,
        "ratio": ratio,
        "caliper": caliper,
        "replace": replace,
        "exact": exact,
    }
    refuse_foreign_options(chosen, given)
    if chosen == "matching":
        refuse_unmatched_options(cluster, weights, inference)
    draws = resolve_replicates(replicates, inference, ("bootstrap",), DEFAULT_REPLICATES)
    controls = list(negative_controls or ())
    refuse_reused([outcome, treatment, *covariates, *(outcome_covariates or ())], controls)
    problem = prepare(
        Options(
            data=data,
            outcome=outcome,
            treatment=treatment,
            covariates=covariates,
            outcome_covariates=outcome_covariates,
            cluster=cluster,
            weights=weights,
            missing=missing,
            conf_level=conf_level,
            extra_columns=(*controls, *(exact or ())),
        )
    )
    matches = MatchOptions(distance, ratio, caliper, replace, exact)

    def build(name: str) -> Callable[[Problem], Fit]:
        own = matches if name == chosen else MatchOptions()
        return lambda p: _fit(p, name, estimand, score or "logit", folds, own, trim, trim_at, seed)

    answer = assemble(
        problem,
        build(chosen)(problem),
        estimand,
        inference=inference,
        replicates=draws,
        seed=seed,
        jobs=jobs,
        margin=margin,
        negative_controls=controls,
        build=build(chosen),
    )
    if estimator != "all" and not (audit and not abstains(answer)):
        return answer
    return with_all_estimators(answer, problem, estimand, chosen, ESTIMATORS, build)


def refuse_foreign_options(estimator: str, given: dict[str, Any]) -> None:
    """Raise for an option that the chosen estimator doesn't have."""
    for name, value in given.items():
        if value is not None and estimator not in BELONGS[name]:
            raise DataError(
                f"{name}={value!r} was given, but estimator {estimator!r} has no {name}.",
                "An option that changes nothing would mislead.",
                f"Leave it out, or use estimator {' or '.join(BELONGS[name])}.",
            )


def _fit(
    problem: Problem,
    estimator: str,
    estimand: Estimand,
    link: Score,
    folds: int | None,
    matches: MatchOptions,
    trim: Trim | None,
    trim_at: float | None,
    seed: int,
) -> Fit:
    if estimator == "regression":
        return fit_regression(problem, estimand)
    if estimator == "entropy-balancing":
        return fit_entropy_balancing(problem, estimand)
    score_fit = fitted_score(problem, link)
    if estimator == "matching":
        return fit_matching(problem, score_fit, estimand, link, matches)
    kept, said = trimmed(problem, score_fit, trim, trim_at)
    if estimator == "ipw":
        return fit_ipw(problem, score_fit, estimand, link, kept, said)
    count = resolve_folds(folds)
    return fit_aipw(problem, score_fit, estimand, link, count, seed, kept, said)
