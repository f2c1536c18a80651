"""``noholdout demo``: the five worked examples."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Literal

import typer
from noholdout_shared.errors import DataError


def demo(
    method: Annotated[
        Literal["all", "did", "propensity", "rdd", "synthetic-control", "uplift"],
        typer.Argument(help="Which demo."),
    ] = "all",
    data: Annotated[
        str | None, typer.Option(help="A folder that 'noholdout generate' wrote; else it is drawn.")
    ] = None,
    out: Annotated[str | None, typer.Option(help="Save the pictures in this folder.")] = None,
    n_users: Annotated[int | None, typer.Option(help="Users to draw (50000).")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the draw (42).")] = None,
    jobs: Annotated[int, typer.Option(help="Demos that run at a time.", min=1)] = 2,
) -> None:
    """Run the worked examples.

    Each shows the naive answer, the checks, the estimate against the truth, and what happens when
    an assumption is broken.
    """
    from noholdout_shared.progress import track

    from noholdout.demo import SCRIPTS, run_demos

    methods = list(SCRIPTS) if method == "all" else [method.replace("-", "_")]
    arguments = _arguments(data, out, n_users, seed)
    started, failed = time.perf_counter(), []
    if sys.stderr.isatty():  # the first one takes seconds
        typer.echo(f"Running {', '.join(methods)}, {jobs} at a time ...", err=True)
    runs = run_demos(methods, arguments, jobs=jobs)
    for finished in track(runs, "running the demos", total=len(methods)):
        typer.echo(f"== {finished.method} ".ljust(80, "="))
        typer.echo(finished.output)
        if finished.exit_code:
            failed.append(finished.method)
    seconds = time.perf_counter() - started
    if failed:
        typer.echo(f"Failed: {', '.join(failed)} ({seconds:.1f} s).", err=True)
        raise typer.Exit(1)
    shown = "1 demo" if len(methods) == 1 else f"{len(methods)} demos"
    typer.echo(f"{shown} in {seconds:.1f} s" + (f"; pictures in {out}" if out else ""))


def _arguments(
    data: str | None, out: str | None, n_users: int | None, seed: int | None
) -> list[str]:
    if data is not None:
        if n_users is not None or seed is not None:
            raise DataError(
                "--n-users and --seed can't go with --data.",
                "The data in the folder are made already.",
                "Leave one of them out.",
            )
        if not (Path(data) / "truth.json").is_file():
            raise DataError(
                f"There is no truth.json in {data!r}.",
                "",
                f"Make the data first: noholdout generate --out {data}",
            )
    if out is not None:
        Path(out).mkdir(parents=True, exist_ok=True)
    flags = {"--data": data, "--out": out, "--n-users": n_users, "--seed": seed}
    given = {flag: value for flag, value in flags.items() if value is not None}
    return [part for flag, value in given.items() for part in (flag, str(value))]
