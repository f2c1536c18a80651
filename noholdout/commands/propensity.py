"""``noholdout propensity``: opt-in features."""

from __future__ import annotations

from contextlib import nullcontext, redirect_stdout
from io import StringIO
from typing import Annotated, Literal

import typer

from noholdout.commands import options as opt


def propensity(
    data: opt.Data,
    outcome: opt.Outcome,
    treatment: opt.Treatment,
    covariates: Annotated[
        str,
        typer.Option(help="Columns known before the opt-in that drive it and the outcome: A,B,C."),
    ],
    estimand: Annotated[
        Literal["ate", "att", "atc", "ato"],
        typer.Option(help="Everyone, those who opted in, those who didn't, or the overlap."),
    ] = "ate",
    estimator: Annotated[
        Literal["aipw", "ipw", "matching", "regression", "entropy-balancing", "all"],
        typer.Option(help="How the arms are made comparable."),
    ] = "aipw",
    score: Annotated[
        Literal["logit", "probit"] | None, typer.Option(help="Score model; logit by default.")
    ] = None,
    outcome_covariates: Annotated[
        str | None, typer.Option(help="Covariates of the outcome model when they differ.")
    ] = None,
    outcome_fit: Annotated[
        Literal["plain", "weighted"] | None,
        typer.Option(help="Outcome models by least squares, or inverse-probability weighted."),
    ] = None,
    augmentation: Annotated[
        Literal["plain", "normalised"] | None,
        typer.Option(help="Of aipw: weighted residuals divided by their weights' sum."),
    ] = None,
    folds: Annotated[
        int | None, typer.Option(help="Cross-fitting folds of aipw; 5 by default, 1 for none.")
    ] = None,
    trim: Annotated[
        Literal["crump", "percentile"] | None,
        typer.Option(help="Leave out rows by score (aipw, ipw); says whom the answer covers."),
    ] = None,
    trim_at: Annotated[
        float | None, typer.Option(help="Score (crump) or share (percentile) at which to trim.")
    ] = None,
    clip: Annotated[
        float | None,
        typer.Option(help="Move scores beyond it and 1 minus it there (aipw, ipw); counted."),
    ] = None,
    distance: Annotated[
        Literal["score", "mahalanobis"] | None,
        typer.Option(help="Distance of matching; the score by default."),
    ] = None,
    ratio: Annotated[
        int | None, typer.Option(help="Matches a row (matching); 1 by default.")
    ] = None,
    caliper: Annotated[
        float | None,
        typer.Option(help="Largest distance of a match, in SDs of the score or Mahalanobis units."),
    ] = None,
    replace: Annotated[
        bool | None, typer.Option(help="Use a row as match more than once; yes by default.")
    ] = None,
    exact: Annotated[
        str | None, typer.Option(help="Columns in which matches must be equal: A,B.")
    ] = None,
    denominator: Annotated[
        str | None, typer.Option(help="The outcome is a ratio over this column.")
    ] = None,
    negative_controls: Annotated[
        str | None, typer.Option(help="Outcomes that the feature can't have changed: A,B.")
    ] = None,
    covariate_times: Annotated[
        str | None, typer.Option(help="When covariates were measured: COVARIATE=COLUMN,...")
    ] = None,
    treatment_time: Annotated[
        str | None, typer.Option(help="Column with each user's time of opting in.")
    ] = None,
    pre_values: Annotated[
        str | None, typer.Option(help="Covariates' values before the opt-in: COVARIATE=COLUMN,...")
    ] = None,
    audit: Annotated[
        bool, typer.Option("--audit", help="One page: overlap, balance, all estimators, controls.")
    ] = False,
    cluster: opt.Cluster = None,
    weights: opt.Weights = None,
    inference: Annotated[
        Literal["analytic", "bootstrap"], typer.Option(help="How the interval is made.")
    ] = "analytic",
    replicates: opt.Replicates = None,
    sample: opt.Sample = None,
    missing: opt.MissingRule = "refuse",
    conf_level: opt.ConfLevel = 0.95,
    margin: opt.Margin = None,
    seed: opt.Seed = 0,
    jobs: opt.Jobs = 1,
    as_json: opt.AsJson = False,
    report: opt.Report = None,
    plot: opt.Plot = None,
    fail_on: opt.FailOn = None,
) -> None:
    """Opt-in features: what did they do for their users?

    Users who switched a feature on are compared with others like them.
    """
    from noholdout_propensity import audit_page, estimate

    from noholdout.commands.output import deliver

    result = estimate(
        data,
        outcome=outcome,
        treatment=treatment,
        covariates=opt.columns(covariates),
        estimand=estimand,
        estimator=estimator,
        score=score,
        outcome_covariates=opt.columns(outcome_covariates) or None,
        outcome_fit=outcome_fit,
        augmentation=augmentation,
        folds=folds,
        trim=trim,
        trim_at=trim_at,
        clip=clip,
        distance=distance,
        ratio=ratio,
        caliper=caliper,
        replace=replace,
        exact=opt.columns(exact) or None,
        denominator=denominator,
        negative_controls=opt.columns(negative_controls) or None,
        covariate_times=opt.columns(covariate_times) or None,
        treatment_time=treatment_time,
        pre_values=opt.columns(pre_values) or None,
        audit=audit,
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
    )
    if audit and not as_json:
        typer.echo(audit_page(result))
    # The audit's page takes the place of the usual summary, which would show an effect even where
    # the audit abstains.
    with redirect_stdout(StringIO()) if audit and not as_json else nullcontext():
        deliver(result, as_json=as_json, report=report, plot=plot, fail_on=fail_on)
