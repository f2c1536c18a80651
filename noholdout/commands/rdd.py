"""``noholdout rdd``: threshold routing."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from noholdout.commands import options as opt


def rdd(
    data: opt.Data,
    outcome: opt.Outcome,
    running: Annotated[str, typer.Option(help="Column of the score that the rule looks at.")],
    cutoff: Annotated[float, typer.Option(help="Where the rule switches.")],
    treated_side: Annotated[
        Literal["above", "below"], typer.Option(help="Which side of the cutoff is treated.")
    ] = "above",
    treatment: Annotated[
        str | None, typer.Option(help="Column of the treatment received (0/1): a fuzzy design.")
    ] = None,
    denominator: Annotated[
        str | None, typer.Option(help="The effect on outcome / this, a ratio of means.")
    ] = None,
    design: Annotated[
        Literal["sharp", "fuzzy"] | None,
        typer.Option(help="Fuzzy when a treatment is given, unless said otherwise here."),
    ] = None,
    bandwidth: Annotated[
        float | None, typer.Option(help="Main bandwidth h; left out, the selector chooses it.")
    ] = None,
    bias_bandwidth: Annotated[
        float | None, typer.Option(help="Bandwidth b of the bias estimate.")
    ] = None,
    selector: Annotated[
        Literal[
            "mserd",
            "msetwo",
            "msesum",
            "msecomb1",
            "msecomb2",
            "cerrd",
            "certwo",
            "cersum",
            "cercomb1",
            "cercomb2",
        ],
        typer.Option(help="How bandwidths are chosen."),
    ] = "mserd",
    kernel: Annotated[
        Literal["triangular", "uniform", "epanechnikov"],
        typer.Option(help="How rows are weighted within the bandwidth."),
    ] = "triangular",
    degree: Annotated[int, typer.Option(help="Degree of the local polynomial, 1 to 4.")] = 1,
    variance: Annotated[
        Literal["nearest-neighbour", "hc0", "hc1", "hc2", "hc3"] | None,
        typer.Option(help="Residuals for the standard error; nearest-neighbour by default."),
    ] = None,
    covariates: opt.Covariates = None,
    other_rules: Annotated[
        str | None,
        typer.Option(help="Columns of other treatments that must not jump there, commas between."),
    ] = None,
    costs: Annotated[
        str | None,
        typer.Option(help="Cost columns (dollars, seconds): price moves of the cutoff."),
    ] = None,
    step: Annotated[
        float | None, typer.Option(help="Smallest move of the cutoff to price, such as 0.01.")
    ] = None,
    cluster: opt.Cluster = None,
    cluster_sums: Annotated[
        Literal["apart", "joint"],
        typer.Option(help="Sum residuals of a cluster on each side apart, or over both."),
    ] = "apart",
    weights: opt.Weights = None,
    donut: Annotated[
        float | None, typer.Option(help="Leave out rows within this distance of the cutoff.")
    ] = None,
    mixed_bin: Annotated[
        Literal["keep", "drop"],
        typer.Option(help="Scores rounded after the decision: leave out the cutoff's own bin?"),
    ] = "keep",
    inference: Annotated[
        Literal["robust", "conventional", "honest"],
        typer.Option(help="How the interval is made."),
    ] = "robust",
    smoothness: Annotated[
        float | None,
        typer.Option(help="Bound on the curve's second derivative, for the honest interval."),
    ] = None,
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
    """Threshold routing: what changes at the cutoff?"""
    from noholdout_rdd import estimate

    from noholdout.commands.output import deliver

    result = estimate(
        data,
        outcome=outcome,
        running=running,
        cutoff=cutoff,
        treated_side=treated_side,
        treatment=treatment,
        denominator=denominator,
        design=design,
        bandwidth=bandwidth,
        bias_bandwidth=bias_bandwidth,
        selector=selector,
        kernel=kernel,
        degree=degree,
        variance=variance,
        covariates=opt.columns(covariates),
        other_rules=opt.columns(other_rules),
        costs=opt.columns(costs),
        step=step,
        cluster=cluster,
        cluster_sums=cluster_sums,
        weights=weights,
        donut=donut,
        mixed_bin=mixed_bin,
        inference=inference,
        smoothness=smoothness,
        replicates=replicates,
        missing=missing,
        conf_level=conf_level,
        margin=margin,
        seed=seed,
        jobs=jobs,
    )
    deliver(result, as_json=as_json, report=report, plot=plot, fail_on=fail_on)
