"""``noholdout generate``: the synthetic product's files."""

from __future__ import annotations

from typing import Annotated, Literal

import typer


def generate(
    n_users: Annotated[int, typer.Option(help="Rows of the users table.")] = 50_000,
    seed: Annotated[int, typer.Option(help="Seed of every draw; the same seed, same bytes.")] = 42,
    out: Annotated[str, typer.Option(help="Folder for the files; made if need be.")] = "data/",
    format: Annotated[Literal["csv", "parquet"], typer.Option(help="Of the tables.")] = "csv",
    scenario: Annotated[str, typer.Option(help="clean, or a trap by name.")] = "clean",
    severity: Annotated[
        float, typer.Option(help="How badly a trap breaks its assumption: bias over std error.")
    ] = 1.0,
    launch: Annotated[
        Literal["one-workspace", "one-region", "pinned", "everyone"],
        typer.Option(help="Who gets the model upgrade in the telemetry."),
    ] = "pinned",
) -> None:
    """Make a synthetic product with known effects.

    Files of users, of telemetry, and of the truth.
    """
    from noholdout_data_generator import write

    files = write(
        out,
        n_users=n_users,
        seed=seed,
        scenario=scenario,
        severity=severity,
        launch=launch,
        format=format,
        progress=True,
    )
    typer.echo(f"Wrote into {out}:\n  {', '.join(file.name for file in files)}")
