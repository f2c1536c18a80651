"""``noholdout monitor``: has any unit left its synthetic twin?"""

from __future__ import annotations

import json
from typing import Annotated, Literal

import typer

from noholdout.commands import options as opt


def monitor(
    data: opt.Data,
    outcome: Annotated[str, typer.Option(help="Column of the outcome, or a/b for a ratio.")],
    unit: opt.Unit,
    time: opt.Time,
    treated: Annotated[
        list[str] | None,
        typer.Option(help="Watch only this unit (repeat it); by default all are watched."),
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="First day watched; by default the 57th of the file.")
    ] = None,
    denominator: Annotated[
        str | None, typer.Option(help="Column that divides the outcome: sum over sum.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="Column of the tasks or users behind each row.")
    ] = None,
    cell_mean: Annotated[
        bool, typer.Option("--cell-mean", help="Average rows of the same unit and period.")
    ] = False,
    missing: opt.MissingRule = "refuse",
    limits: Annotated[
        Literal["always-valid", "alpha-spending"],
        typer.Option(help="Hold forever, or spend the error over a fixed horizon: sharper."),
    ] = "always-valid",
    horizon: Annotated[
        int | None, typer.Option(help="With alpha-spending: periods of the whole watch.")
    ] = None,
    conf_level: Annotated[
        float, typer.Option(help="One minus the chance of ever naming anybody wrongly.")
    ] = 0.95,
    seed: opt.Seed = 0,
    as_json: opt.AsJson = False,
    plot: opt.Plot = None,
    fail_on: Annotated[
        Literal["departure"] | None, typer.Option(help="Exit with 3 when a unit has left.")
    ] = None,
) -> None:
    """Day by day: has a unit left its synthetic twin?

    Ask as often as you like.
    """
    from noholdout_synthetic_control.monitor import monitor as look

    from noholdout.commands.output import EXIT_VERDICT

    found = look(
        data,
        outcome=outcome,
        unit=unit,
        time=time,
        treated=treated,
        since=since,
        denominator=denominator,
        weights=weights,
        cell_mean=cell_mean,
        missing=missing,
        limits=limits,
        horizon=horizon,
        conf_level=conf_level,
        seed=seed,
    )
    if plot:
        from noholdout.files import figure_bytes, picture_kind, write_picture

        figure = found.plot().get_figure(root=True)
        assert figure is not None  # axes that were just drawn belong to a figure
        write_picture(figure_bytes(figure, picture_kind(plot)), plot)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), allow_nan=False, indent=2))
    else:
        typer.echo(found.summary())
    if fail_on == "departure" and len(found.departures):
        raise typer.Exit(EXIT_VERDICT)
