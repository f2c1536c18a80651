"""``noholdout plan``: before a launch, what a design could find."""

from __future__ import annotations

import json
from typing import Annotated, Literal

import typer
from noholdout_shared.errors import DataError

from noholdout.commands import options as opt

plan = typer.Typer(
    name="plan",
    help="Before a launch: what a design could find.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@plan.callback()
def _plan() -> None:
    pass


@plan.command("rdd")
def plan_rdd(
    data: opt.Data,
    running: Annotated[str, typer.Option(help="Column of the score that the rule will look at.")],
    cutoff: Annotated[float, typer.Option(help="Where the rule is planned to switch.")],
    outcome: Annotated[
        str | None, typer.Option(help="Column of the outcome before the launch.")
    ] = None,
    outcome_sd: Annotated[
        float | None, typer.Option(help="Standard deviation of the outcome, where none is logged.")
    ] = None,
    effect: Annotated[float | None, typer.Option(help="State the power for this effect.")] = None,
    rows: Annotated[int | None, typer.Option(help="Planned rows; as many as now if left out.")] = (
        None
    ),
    power: Annotated[float, typer.Option(help="Power of the smallest effect.")] = 0.8,
    bandwidth: Annotated[float | None, typer.Option(help="Bandwidth; chosen if left out.")] = None,
    kernel: Annotated[
        Literal["triangular", "uniform", "epanechnikov"],
        typer.Option(help="How rows are weighted within the bandwidth."),
    ] = "triangular",
    cluster: opt.Cluster = None,
    conf_level: opt.ConfLevel = 0.95,
    missing: opt.MissingRule = "refuse",
    as_json: opt.AsJson = False,
) -> None:
    """Threshold routing: how small an effect could a rule at this cutoff show?"""
    from noholdout_rdd.plan import plan as plan_threshold

    found = plan_threshold(
        data,
        running=running,
        cutoff=cutoff,
        outcome=outcome,
        outcome_sd=outcome_sd,
        effect=effect,
        rows=rows,
        power=power,
        bandwidth=bandwidth,
        kernel=kernel,
        cluster=cluster,
        conf_level=conf_level,
        missing=missing,
    )
    if as_json:
        typer.echo(json.dumps(found.to_dict(), allow_nan=False, indent=2))
    else:
        typer.echo(found.summary())


@plan.command("propensity")
def plan_propensity(
    data: opt.Data,
    outcome: opt.Outcome,
    score: Annotated[str, typer.Option(help="Column with each user's chance of opting in.")],
    covariates: opt.Covariates = None,
    estimand: Annotated[
        Literal["ate", "att", "atc", "ato"],
        typer.Option(help="Everyone, those who opt in, those who don't, or the overlap."),
    ] = "ate",
    effect: Annotated[float | None, typer.Option(help="Say how many users this needs.")] = None,
    rows: Annotated[int | None, typer.Option(help="Planned users; as in the data if left out.")] = (
        None
    ),
    power: Annotated[float, typer.Option(help="Power of the smallest effect.")] = 0.8,
    conf_level: opt.ConfLevel = 0.95,
    missing: opt.MissingRule = "refuse",
    as_json: opt.AsJson = False,
) -> None:
    """Opt-in features: how many users must opt in before an effect shows?"""
    from noholdout_propensity.plan import plan as plan_opt_in

    found = plan_opt_in(
        data,
        outcome=outcome,
        score=score,
        covariates=opt.columns(covariates) or None,
        estimand=estimand,
        effect=effect,
        rows=rows,
        power=power,
        conf_level=conf_level,
        missing=missing,
    )
    if as_json:
        typer.echo(json.dumps(found.to_dict(), allow_nan=False, indent=2))
    else:
        typer.echo(found.summary())


@plan.command("did")
def plan_did(
    data: opt.Data,
    outcome: opt.Outcome,
    time: opt.Time,
    unit: opt.Unit,
    effect: Annotated[float | None, typer.Option(help="Find the quickest plan for this.")] = None,
    units: Annotated[int | None, typer.Option(help="Planned units; as now if left out.")] = None,
    power: Annotated[float, typer.Option(help="Power of the smallest effect.")] = 0.8,
    conf_level: opt.ConfLevel = 0.95,
    missing: opt.MissingRule = "refuse",
    as_json: opt.AsJson = False,
) -> None:
    """Staged rollouts: how many units, in how many waves, for how long?"""
    from noholdout_did.plan import plan as plan_waves

    found = plan_waves(
        data,
        outcome=outcome,
        time=time,
        unit=unit,
        effect=effect,
        units=units,
        power=power,
        conf_level=conf_level,
        missing=missing,
    )
    if as_json:
        typer.echo(json.dumps(found.to_dict(), allow_nan=False, indent=2))
    else:
        typer.echo(found.summary())


@plan.command("uplift")
def plan_uplift(
    data: opt.Data,
    outcome: opt.Outcome,
    features: Annotated[
        str | None, typer.Option(help="Features that the ranking will use, commas between them.")
    ] = None,
    share_treated: Annotated[float, typer.Option(help="Probability of treatment.")] = 0.5,
    fraction: Annotated[float, typer.Option(help="Share of users, best first.")] = 0.2,
    folds: Annotated[int, typer.Option(help="Folds; the first only trains.")] = 5,
    gap: Annotated[
        float | None, typer.Option(help="The top group gains this much more: users needed.")
    ] = None,
    rows: Annotated[int | None, typer.Option(help="Planned users; as in the data if left out.")] = (
        None
    ),
    power: Annotated[float, typer.Option(help="Power of the smallest effect.")] = 0.8,
    conf_level: opt.ConfLevel = 0.95,
    missing: opt.MissingRule = "refuse",
    as_json: opt.AsJson = False,
) -> None:
    """Personalised rollouts: how many users before a difference between them shows?"""
    from noholdout_uplift.plan import plan as plan_targeting

    found = plan_targeting(
        data,
        outcome=outcome,
        features=opt.columns(features),
        share_treated=share_treated,
        fraction=fraction,
        folds=folds,
        gap=gap,
        rows=rows,
        power=power,
        conf_level=conf_level,
        missing=missing,
    )
    if as_json:
        typer.echo(json.dumps(found.to_dict(), allow_nan=False, indent=2))
    else:
        typer.echo(found.summary())


@plan.command("synthetic-control")
def plan_synthetic_control(
    data: opt.Data,
    outcome: opt.Outcome,
    unit: opt.Unit,
    time: opt.Time,
    effect: Annotated[
        float | None, typer.Option(help="The effect to be found; 0.03 is 3 points of a share.")
    ] = None,
    pinned: Annotated[
        str | None,
        typer.Option(help="Numbers of units to pin, commas between them (4,6,8,10,12,16)."),
    ] = None,
    periods: Annotated[
        str, typer.Option(help="Numbers of periods after the launch, commas between them.")
    ] = "14,28",
    draws: Annotated[
        int | None, typer.Option(help="Draws of units to pin, a design (100).")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="Column of the tasks or users behind each row.")
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(help="Column of regions, to hold all but one instead of units.")
    ] = None,
    conf_level: opt.ConfLevel = 0.95,
    missing: opt.MissingRule = "refuse",
    seed: opt.Seed = 0,
    as_json: opt.AsJson = False,
) -> None:
    """Global launches: how many tenants must stay on the old version, and how long?"""
    from noholdout_synthetic_control.plan import plan as plan_holdout

    found = plan_holdout(
        data,
        outcome=outcome,
        unit=unit,
        time=time,
        effect=effect,
        pinned=None if pinned is None else _whole_numbers(pinned),
        periods=_whole_numbers(periods),
        draws=draws,
        weights=weights,
        cluster=cluster,
        conf_level=conf_level,
        missing=missing,
        seed=seed,
    )
    if as_json:
        typer.echo(json.dumps(found.to_dict(), allow_nan=False, indent=2))
    else:
        typer.echo(found.summary())


def _whole_numbers(text: str) -> list[int]:
    parts = opt.columns(text)
    if not parts or not all(part.isdigit() for part in parts):
        raise DataError(f"{text!r} isn't a list of whole numbers.", "", "Write 8,10,12.")
    return [int(part) for part in parts]
