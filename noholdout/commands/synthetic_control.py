"""``noholdout synthetic-control``: global launches."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from noholdout.commands import options as opt


def synthetic_control(
    data: opt.Data,
    outcome: Annotated[
        str,
        typer.Option(help="Column of the outcome; commas between several, a/b for a ratio."),
    ],
    unit: opt.Unit,
    time: opt.Time,
    treated: Annotated[
        list[str] | None, typer.Option(help="A unit that got the launch; repeat it for several.")
    ] = None,
    start: Annotated[
        str | None, typer.Option(help="First treated period, as in the time column.")
    ] = None,
    first_treated: Annotated[
        str | None,
        typer.Option(help="Instead of both: column of each unit's first treated period."),
    ] = None,
    denominator: Annotated[
        str | None, typer.Option(help="Column that divides the outcome: sum over sum.")
    ] = None,
    estimator: Annotated[
        Literal[
            "demeaned",
            "classic",
            "synthetic-did",
            "augmented",
            "did",
            "all",
            "interrupted-time-series",
        ],
        typer.Option(help="How the synthetic twin is fitted."),
    ] = "demeaned",
    solver: Annotated[
        Literal["exact", "slsqp"], typer.Option(help="How the weights are found.")
    ] = "exact",
    block: Annotated[
        int | None,
        typer.Option(help="Periods that the fit averages over; a week of days by default."),
    ] = None,
    predictors: Annotated[
        str | None,
        typer.Option(help="What the classic fit matches: column, column@1975, column@1980..1988."),
    ] = None,
    importance: Annotated[
        str | None, typer.Option(help="Of the predictors: search, regression, or numbers 1,2,3.")
    ] = None,
    covariates: Annotated[
        str | None,
        typer.Option(help="Control series of the interrupted time series, commas between them."),
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(help="Column of regions, when one whole region got the launch.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="Column of the tasks or users behind each row.")
    ] = None,
    negative_controls: Annotated[
        str | None,
        typer.Option(help="Columns that the launch can't have moved, commas between them."),
    ] = None,
    cell_mean: Annotated[
        bool, typer.Option("--cell-mean", help="Average rows of the same unit and period.")
    ] = False,
    in_time_placebos: Annotated[
        int | None, typer.Option(help="Fake launches before the real one to answer like it.")
    ] = None,
    inference: Annotated[
        Literal[
            "by-design",
            "placebo",
            "placebo-regions",
            "jackknife",
            "bootstrap",
            "user-bootstrap",
            "conformal",
            "jackknife-plus",
        ],
        typer.Option(help="How the interval is made."),
    ] = "by-design",
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
    """Global launches: what did they change?

    Against a synthetic twin, made of units that stayed on the old version.
    """
    from noholdout_synthetic_control import estimate

    from noholdout.commands.output import deliver

    several = opt.columns(outcome)
    result = estimate(
        data,
        outcome=several if len(several) > 1 else outcome,
        unit=unit,
        time=time,
        treated=treated or None,
        start=start,
        first_treated=first_treated,
        denominator=denominator,
        estimator=estimator,
        solver=solver,
        block=block,
        predictors=opt.columns(predictors) or None,
        importance=importance,
        covariates=opt.columns(covariates) or None,
        cluster=cluster,
        weights=weights,
        negative_controls=opt.columns(negative_controls) or None,
        cell_mean=cell_mean,
        in_time_placebos=in_time_placebos,
        inference=inference,
        replicates=replicates,
        missing=missing,
        conf_level=conf_level,
        margin=margin,
        seed=seed,
        jobs=jobs,
    )
    deliver(result, as_json=as_json, report=report, plot=plot, fail_on=fail_on)
