"""``noholdout uplift``: personalised rollouts."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from noholdout.commands import options as opt


def uplift(
    data: opt.Data,
    outcome: opt.Outcome,
    treatment: opt.Treatment,
    features: Annotated[
        str | None, typer.Option(help="Columns known before the treatment, commas between them.")
    ] = None,
    denominator: Annotated[
        str | None, typer.Option(help="The outcome is a ratio over this column.")
    ] = None,
    learner: Annotated[
        Literal["s", "t", "x", "r", "dr", "class", "all"] | None,
        typer.Option(help="How each user's effect is predicted: x if left out; all, compared."),
    ] = None,
    model: Annotated[str, typer.Option(help="What the learner stands on: boosting, linear.")] = (
        "boosting"
    ),
    scores: Annotated[
        str | None, typer.Option(help="Column of a score of your own, in place of a learner.")
    ] = None,
    trained_on: Annotated[
        str | None, typer.Option(help="Column with 1 for rows that trained that score.")
    ] = None,
    propensity: Annotated[
        str | None,
        typer.Option(help="Probability of treatment: a number, a column, or 'estimate'."),
    ] = None,
    cluster: opt.Cluster = None,
    weights: opt.Weights = None,
    cost: Annotated[
        str | None, typer.Option(help="What treating a user costs: a number or a column.")
    ] = None,
    budget: Annotated[
        float | None, typer.Option(help="What may be spent, as a mean per user of all users.")
    ] = None,
    current: Annotated[
        str | None, typer.Option(help="Column with 1 for users whom today's rule treats.")
    ] = None,
    guardrails: Annotated[
        str | None, typer.Option(help="Metrics that must not get worse than minus the margin.")
    ] = None,
    slices: Annotated[
        str | None, typer.Option(help="Columns within which the shipped rule is shown.")
    ] = None,
    fraction: Annotated[
        float, typer.Option(help="Share of users, best first, that the answer is about.")
    ] = 0.2,
    folds: Annotated[int, typer.Option(help="Folds; the first only trains.")] = 5,
    inference: Annotated[
        Literal["influence", "bootstrap"], typer.Option(help="How the interval is made.")
    ] = "influence",
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
    """Personalised rollouts: whom does it help?"""
    from noholdout_uplift import estimate

    from noholdout.commands.output import deliver

    result = estimate(
        data,
        outcome=outcome,
        treatment=treatment,
        features=opt.columns(features),
        denominator=denominator,
        learner=learner,
        model=model,
        scores=scores,
        trained_on=trained_on,
        propensity=_number_or_column(propensity),
        cluster=cluster,
        weights=weights,
        cost=_number_or_column(cost),
        budget=budget,
        current=current,
        guardrails=opt.columns(guardrails),
        slices=opt.columns(slices),
        fraction=fraction,
        folds=folds,
        inference=inference,
        replicates=replicates,
        sample=sample,
        missing=missing,
        conf_level=conf_level,
        margin=margin,
        seed=seed,
        jobs=jobs,
    )
    deliver(result, as_json=as_json, report=report, plot=plot, fail_on=fail_on)


def _number_or_column(text: str | None) -> float | str | None:
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        return text
