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
        str, typer.Option(help="Column of each unit's first treated period; empty is never.")
    ],
    unit: Annotated[
        str | None, typer.Option(help="Column of the unit; leave out for repeated cross-sections.")
    ] = None,
    cluster: opt.Cluster = None,
    inference: Annotated[
        Literal["analytic", "bootstrap"], typer.Option(help="How the interval is made.")
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
    """Staged rollouts: what did the launch change in the waves that got it?"""
    from noholdout_did import estimate

    from noholdout.commands.output import deliver

    result = estimate(
        data,
        outcome=outcome,
        unit=unit,
        time=time,
        first_treated=first_treated,
        cluster=cluster,
        inference=inference,
        replicates=replicates,
        missing=missing,
        conf_level=conf_level,
        margin=margin,
        seed=seed,
        jobs=jobs,
    )
    deliver(result, as_json=as_json, report=report, plot=plot, fail_on=fail_on)
