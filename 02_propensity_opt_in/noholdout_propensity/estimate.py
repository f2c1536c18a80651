"""The front function: one call, any estimator of this method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace as replace_options
from typing import Any, Literal

from noholdout_shared.arguments import check_choice, column_names
from noholdout_shared.errors import DataError
from noholdout_shared.input import Missing

from noholdout_propensity.assemble import assemble
from noholdout_propensity.audit import abstains, with_all_estimators, withheld
from noholdout_propensity.estimators.aipw import Augmentation, fit_aipw, resolve_folds
from noholdout_propensity.estimators.common import Build, Score
from noholdout_propensity.estimators.entropy_balancing import fit_entropy_balancing
from noholdout_propensity.estimators.ipw import fit_ipw
from noholdout_propensity.estimators.matching import (
    Distance,
    MatchOptions,
    fit_matching,
    refuse_unmatched_options,
)
from noholdout_propensity.estimators.regression import OutcomeFit, fit_regression
from noholdout_propensity.kernels.weighting import Estimand
from noholdout_propensity.negative_controls import refuse_reused
from noholdout_propensity.options import Inference, Options, Pairs
from noholdout_propensity.problem import prepare
from noholdout_propensity.result import PropensityEstimate
from noholdout_propensity.trimming import Trim

Estimator = Literal["aipw", "ipw", "matching", "regression", "entropy-balancing", "all"]
ESTIMATORS = ("aipw", "ipw", "matching", "regression", "entropy-balancing")

# Which estimators an option belongs to; given with another it is refused, never ignored.
BELONGS = {
    "score": ("aipw", "ipw", "matching", "regression"),
    "outcome_covariates": ("aipw", "regression"),
    "outcome_fit": ("aipw", "regression"),
    "augmentation": ("aipw",),
    "folds": ("aipw",),
    "trim": ("aipw", "ipw"),
    "trim_at": ("aipw", "ipw"),
    "clip": ("aipw", "ipw"),
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
    outcome_fit: OutcomeFit | None = None,
    augmentation: Augmentation | None = None,
    folds: int | None = None,
    trim: Trim | None = None,
    trim_at: float | None = None,
    clip: float | None = None,
    distance: Distance | None = None,
    ratio: int | None = None,
    caliper: float | None = None,
    replace: bool | None = None,
    exact: Sequence[str] | None = None,
    denominator: str | None = None,
    negative_controls: Sequence[str] | None = None,
    covariate_times: Pairs | None = None,
    treatment_time: str | None = None,
    pre_values: Pairs | None = None,
    audit: bool = False,
    cluster: str | None = None,
    weights: str | None = None,
    inference: Inference = "analytic",
    replicates: int | None = None,
    sample: int | None = None,
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
        ``logit`` (the default) or ``probit``, unpenalised (aipw, ipw, matching, and regression
        with ``outcome_fit="weighted"``).
    outcome_covariates
        Covariates of the outcome model when they differ (aipw, regression).
    outcome_fit
        ``plain``, or ``weighted`` by inverse probability: regression becomes IPWRA; aipw (``ate``,
        ``folds=1``) its weighted variant.
    augmentation
        Of aipw: ``plain``, or ``normalised`` by the weights' own sum.
    folds
        Cross-fitting folds of aipw; 5 by default, 1 for none.
    trim, trim_at
        Leave out rows by score (aipw, ipw): ``crump`` keeps ``trim_at <= score <= 1 - trim_at``
        (by default the bound of least variance), ``percentile`` what lies between the adopters'
        lower and the others' upper percentile (0.05 by default).
    clip
        Move scores below it to it, and scores above ``1 - clip`` there (aipw, ipw); counted, and a
        caution where it moved any: such rows then weigh less than their counterparts need.
    distance, ratio, caliper, replace, exact
        Of matching: ``score`` or ``mahalanobis``; matches a row (1); largest distance, in SDs of
        the score or Mahalanobis units; with replacement (the default) or not; columns in which
        matches must be equal.
    denominator
        Column over which the outcome is a ratio, such as tasks completed over tasks: the effect
        is the difference of two ratios of means, its error by the delta method.
    negative_controls
        Outcomes that the feature can't have changed, such as activity before the launch.
    covariate_times, treatment_time
        For covariates that could have moved, the column that says when each was measured, and the
        column with each user's time of opting in (empty for the others): later ones are flagged.
        A mapping, or texts ``"covariate=column"``.
    pre_values
        For covariates that could have moved, the column with their value before the opt-in: the
        answer is computed with both. Written like ``covariate_times``.
    audit
        Also run every estimator, as ``all`` does; the command prints it as one page. Where overlap
        fails the effect is withheld: ``nan``, with the reason in ``inference``.
    cluster, weights
        Columns of the groups whose rows move together, and of sampling weights.
    inference, replicates
        ``analytic``, or ``bootstrap`` with 500 replicates by default; refused for matching.
    sample
        Read that many random rows only, drawn by ``seed``: for tables that don't fit into memory.
        The answer says what that adds to its standard error.
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
    check_choice("estimator", estimator, (*ESTIMATORS, "all"))
    check_choice("score", score or "logit", ("logit", "probit"))
    check_choice("outcome_fit", outcome_fit or "plain", ("plain", "weighted"))
    check_choice("augmentation", augmentation or "plain", ("plain", "normalised"))
    chosen = "aipw" if estimator == "all" else estimator
    given = {
        "score": score,
        "outcome_covariates": outcome_covariates,
        "outcome_fit": outcome_fit,
        "augmentation": augmentation,
        "folds": folds,
        "trim": trim,
        "trim_at": trim_at,
        "clip": clip,
        "distance": distance,
        "ratio": ratio,
        "caliper": caliper,
        "replace": replace,
        "exact": exact,
    }
    refuse_foreign_options(chosen, given)
    if chosen == "regression" and score is not None and outcome_fit != "weighted":
        raise DataError(
            f"score={score!r} was given, but a plain regression has no score.",
            "An option that changes nothing would mislead.",
            "Add --outcome-fit weighted, or leave it out.",
        )
    options = Options(
        data,
        outcome,
        treatment,
        covariates,
        estimand,
        outcome_covariates,
        denominator=denominator,
        cluster=cluster,
        weights=weights,
        inference=inference,
        replicates=replicates,
        sample=sample,
        missing=missing,
        conf_level=conf_level,
        margin=margin,
        seed=seed,
        jobs=jobs,
        exact=column_names(exact),
        negative_controls=column_names(negative_controls),
        covariate_times=covariate_times,
        treatment_time=treatment_time,
        pre_values=pre_values,
    )
    options = replace_options(options, may_sum=summable(estimator, given, options, audit))
    if chosen == "matching":
        refuse_unmatched_options(options)
    refuse_reused(options)
    problem = prepare(options)

    def build(name: str) -> Build:
        own = {key: value for key, value in given.items() if value is not None}
        if name != chosen:
            # The others stand beside the answer with their defaults.
            own = {key: own[key] for key in ("score", "trim", "trim_at", "clip") if key in own}
        return fitter(name, own)

    answer = assemble(problem, build(chosen))
    if audit and abstains(answer):
        return withheld(answer)
    if not audit and estimator != "all":
        return answer
    return with_all_estimators(answer, problem, chosen, ESTIMATORS, build)


def summable(
    estimator: str, given: dict[str, Any], options: Options, audit: bool
) -> Literal["never", "always", "largest"]:
    """Whether an engine's sums by covariates and treatment are enough: for the largest data only
    where that leaves out cross-fitting, whose folds are drawn by row."""
    only = {"score", "outcome_covariates", "folds", "augmentation"}
    if audit or estimator in ("all", "matching") or options.inference == "bootstrap":
        return "never"
    if any(value is not None for name, value in given.items() if name not in only):
        return "never"
    if estimator != "aipw" or given["folds"] == 1 or options.cluster is not None:
        return "always"
    return "largest" if given["folds"] is None else "never"


def refuse_foreign_options(estimator: str, given: dict[str, Any]) -> None:
    """Raise for an option that the chosen estimator doesn't have."""
    for name, value in given.items():
        if value is not None and estimator not in BELONGS[name]:
            raise DataError(
                f"{name}={value!r} was given, but estimator {estimator!r} has no {name}.",
                "An option that changes nothing would mislead.",
                f"Leave it out, or use estimator {' or '.join(BELONGS[name])}.",
            )


def fitter(estimator: str, options: dict[str, Any]) -> Build:
    """What fits the estimator, with those of the options that it has."""
    link = options.get("score", "logit")
    trim, trim_at, clip = (options.get(name) for name in ("trim", "trim_at", "clip"))
    outcome_fit = options.get("outcome_fit", "plain")
    if estimator == "regression":
        return lambda problem: fit_regression(problem, outcome_fit, link)
    if estimator == "entropy-balancing":
        return fit_entropy_balancing
    if estimator == "matching":
        names = ("distance", "ratio", "caliper", "replace")
        how = MatchOptions(**{name: options[name] for name in names if name in options})
        return lambda problem: fit_matching(problem, link, how)
    if estimator == "ipw":
        return lambda problem: fit_ipw(problem, link, trim, trim_at, clip)
    folds = resolve_folds(options.get("folds"))
    augmentation = options.get("augmentation", "plain")
    return lambda problem: fit_aipw(
        problem, link, folds, trim, trim_at, outcome_fit, augmentation, clip
    )
