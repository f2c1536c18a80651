"""``noholdout did``: staged rollouts."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from noholdout.commands import options as opt


def did(
    data: opt.Data,
    outcome: opt.Outcome,
    time: opt.Time,
    first_treated: Annotated[
        str | None, typer.Option(help="Column of each unit's first treated period; empty is never.")
    ] = None,
    rollout_log: Annotated[
        str | None,
        typer.Option(
            help="Table of flag events (flag, unit, time, event), in place of that column."
        ),
    ] = None,
    flag: Annotated[
        str | None, typer.Option(help="Flag of the launch under study, if the log has several.")
    ] = None,
    treated_by: Annotated[
        Literal["intention-to-treat", "exposure"],
        typer.Option(help="Launched from the first time switched on, or first exposed."),
    ] = "intention-to-treat",
    ramp_threshold: Annotated[
        float, typer.Option(help="Percentage from which on a ramp counts as launched; 0: any.")
    ] = 0.0,
    unlisted: Annotated[
        Literal["refuse", "never"],
        typer.Option(help="Units without an event of the flag: refuse, or never treated."),
    ] = "refuse",
    unit: Annotated[
        str | None, typer.Option(help="Column of the unit; leave out for repeated cross-sections.")
    ] = None,
    cluster: opt.Cluster = None,
    weights: opt.Weights = None,
    denominator: Annotated[
        str | None, typer.Option(help="The outcome is a ratio over this column.")
    ] = None,
    covariates: opt.Covariates = None,
    adjust: Annotated[
        Literal["dr", "regression", "ipw"],
        typer.Option(help="How covariates are held equal: doubly robust, regression, weighting."),
    ] = "dr",
    composition: Annotated[
        str | None, typer.Option(help="Columns to watch for a change of who is in the data.")
    ] = None,
    estimator: Annotated[
        Literal[
            "group-time", "two-by-two", "twfe", "imputation", "two-stage", "sun-abraham", "all"
        ],
        typer.Option(help="How the effect is computed."),
    ] = "group-time",
    control_group: Annotated[
        Literal["not-yet-treated", "never-treated"], typer.Option(help="Whom to compare with.")
    ] = "not-yet-treated",
    base_period: Annotated[
        Literal["varying", "universal"],
        typer.Option(help="Before launch, compare with the period before, or the last clean one."),
    ] = "varying",
    anticipation: Annotated[
        int, typer.Option(help="Periods before the launch in which people may already react.")
    ] = 0,
    aggregate: Annotated[
        Literal["simple", "event", "group", "calendar"],
        typer.Option(help="Which average of the effects by wave and period."),
    ] = "simple",
    balance: Annotated[
        int | None,
        typer.Option(help="With --aggregate event: only waves seen this long after launch."),
    ] = None,
    sensitivity: Annotated[
        bool, typer.Option("--sensitivity", help="Add intervals for nearly parallel trends.")
    ] = False,
    cell_mean: Annotated[
        bool, typer.Option("--cell-mean", help="Average the rows of each unit and period.")
    ] = False,
    inference: Annotated[
        Literal["analytic", "bootstrap", "randomization", "leave-out"],
        typer.Option(help="How the interval is made."),
    ] = "analytic",
    replicates: opt.Replicates = None,
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
    """Staged rollouts: what did the launch change?

    In the waves that got it, against those that hadn't yet.
    """
    from noholdout_did import estimate

    from noholdout.commands.output import deliver

    result = estimate(
        data,
        outcome=outcome,
        unit=unit,
        time=time,
        first_treated=first_treated,
        rollout_log=rollout_log,
        flag=flag,
        treated_by=treated_by,
        ramp_threshold=ramp_threshold,
        unlisted=unlisted,
        cluster=cluster,
        weights=weights,
        denominator=denominator,
        covariates=opt.columns(covariates),
        adjust=adjust,
        composition=opt.columns(composition),
        estimator=estimator,
        control_group=control_group,
        base_period=base_period,
        anticipation=anticipation,
        aggregate=aggregate,
        balance=balance,
        sensitivity=sensitivity,
        cell_mean=cell_mean,
        inference=inference,
        replicates=replicates,
        missing=missing,
        conf_level=conf_level,
        margin=margin,
        seed=seed,
        jobs=jobs,
    )
    deliver(result, as_json=as_json, report=report, plot=plot, fail_on=fail_on)
