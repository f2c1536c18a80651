"""``noholdout benchmark``: which estimator to trust, and where each breaks."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from noholdout_shared.errors import DataError

from noholdout.commands import options as opt

if TYPE_CHECKING:
    import pandas as pd

    from noholdout.benchmark.registry import Entry


def benchmark(
    design: Annotated[
        str | None, typer.Option(help="Designs, commas between them; all five by default.")
    ] = None,
    estimator: Annotated[
        list[str] | None,
        typer.Option(help="Only these by name, or your own as package.module.function; repeats."),
    ] = None,
    estimand: Annotated[
        str | None, typer.Option(help="Of your own estimator, if not the design's first.")
    ] = None,
    peers: Annotated[bool, typer.Option("--peers", help="Other packages too.")] = False,
    scenario: Annotated[
        str, typer.Option(help="Scenarios, commas between them; traps, or all.")
    ] = "clean",
    severity: Annotated[
        str, typer.Option(help="Of traps, commas between: bias over standard error.")
    ] = "3",
    curve: Annotated[
        str | None,
        typer.Option(help="More severities, met by our defaults only, --slow-runs times each."),
    ] = None,
    n_users: Annotated[str, typer.Option(help="Users a data set, commas between.")] = "50000",
    runs: Annotated[int, typer.Option(help="Data sets a cell.")] = 100,
    slow_runs: Annotated[
        int | None, typer.Option(help="Of rivals and of fits above 50 ms; as many by default.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the first data set; the next have the next.")] = 1,
    jobs: opt.Jobs = 1,
    backend: Annotated[
        str | None, typer.Option(help="A joblib backend past one machine: dask, ray.")
    ] = None,
    out: Annotated[
        str, typer.Option(help="Folder of the results; what is there isn't run again.")
    ] = "out/benchmark",
    csv: Annotated[str | None, typer.Option(help="Write the leaderboard here.")] = None,
    report: opt.Report = None,
    plot: opt.Plot = None,
    check_rates: Annotated[
        str | None, typer.Option(help="Write how often each check fires here (.json).")
    ] = None,
    as_json: opt.AsJson = False,
) -> None:
    """Score estimators on data whose truth is known.

    Bias, error, coverage, and whether the verdict said so, each with its Monte Carlo error. A run
    that is stopped goes on where it was.
    """
    from noholdout.benchmark.arena import cells
    from noholdout.benchmark.run import benchmark as run
    from noholdout.benchmark.run import plan
    from noholdout.benchmark.scores import leaderboard

    chosen = _entries(opt.columns(design), estimator or [], estimand, peers)
    designs = list(dict.fromkeys(entry.design for entry in chosen))
    users = [int(number) for number in _numbers(n_users, "--n-users")]
    where = cells(designs, opt.columns(scenario), _numbers(severity, "--severity"), users)
    beside = cells(designs, opt.columns(scenario), _numbers(curve or "", "--curve"), users)
    if not where:
        raise DataError(
            f"No scenario of {scenario!r} belongs to {', '.join(designs)}.",
            "",
            "Name a scenario of that design, or clean.",
        )
    batches = plan(
        chosen, where, runs, slow_runs, seed, curve=[cell for cell in beside if cell not in where]
    )
    results = run(batches, out, jobs=jobs, backend=backend)
    board = leaderboard(results)
    facts = _facts(runs, slow_runs, seed)
    _write(board, results, facts, csv, report, plot, check_rates)
    if as_json:
        from noholdout_shared.jsonable import jsonable, records

        shown = {"facts": jsonable(facts), "rows": records(board)}
        typer.echo(json.dumps(shown, allow_nan=False, indent=2))
        return
    from rich.console import Console

    from noholdout.benchmark.table import renderable

    Console().print(renderable(board))


def _entries(
    designs: list[str], names: list[str], estimand: str | None, peers: bool
) -> list[Entry]:
    from noholdout.benchmark.problems import ESTIMANDS
    from noholdout.benchmark.registry import entries, entry, installed, yours

    unknown = [design for design in designs if design not in ESTIMANDS]
    if unknown:
        raise DataError(f"There is no design {unknown[0]!r}.", "", f"Use: {', '.join(ESTIMANDS)}.")
    known = {found.name: found for found in [*entries(), *installed()]}
    own = [
        yours(name, designs[0] if len(designs) == 1 else None, estimand)
        for name in names
        if name not in known and ("." in name or ":" in name) and not _looks_known(name, known)
    ]
    if estimand is not None and not own:
        raise DataError(
            "--estimand was given without an estimator of your own.",
            "Ours have theirs.",
            "Leave it out.",
        )
    own_names = {found.name for found in own}
    named = [known.get(name) or entry(name) for name in names if name not in own_names]
    if named and not own:
        return named
    wanted = designs or ([found.design for found in own] if own else list(ESTIMANDS))
    rest = [
        found
        for found in known.values()
        if found.design in wanted and (peers or found.kind != "peer")
    ]
    return [*(named or rest), *own]


def _looks_known(name: str, known: dict[str, Any]) -> bool:
    # A misspelt name of ours (did:boot) gets the nearest names, not an import error.
    return ":" in name and name.partition(":")[0] in {k.partition(":")[0] for k in known}


def _numbers(text: str, flag: str) -> list[float]:
    try:
        return [float(part) for part in opt.columns(text)]
    except ValueError as error:
        raise DataError(f"{flag} is {text!r}.", "", "Give numbers, commas between them.") from error


def _facts(runs: int, slow_runs: int | None, seed: int) -> dict[str, Any]:
    import shlex

    from noholdout.benchmark.store import versions

    command = shlex.join(["noholdout", *sys.argv[1:]])
    slow = runs if slow_runs is None else slow_runs
    return {
        "command": command,
        "runs": f"{runs:,} a cell, {slow:,} of rivals and slow fits",
        "seeds": f"from {seed}",
        "versions": ", ".join(f"{name} {version}" for name, version in versions().items()),
    }


def _write(
    board: pd.DataFrame,
    results: pd.DataFrame,
    facts: dict[str, Any],
    csv: str | None,
    report: str | None,
    plot: str | None,
    check_rates: str | None,
) -> None:
    if csv:
        from noholdout.files import require_folder

        require_folder(csv)
        with open(csv, "w", encoding="utf-8") as file:
            file.writelines(f"# {name}: {value}\n" for name, value in facts.items())
            board.to_csv(file, index=False, float_format="%.8g")
    if report:
        from noholdout.benchmark.page import write_page

        write_page(board, report, facts)
    if plot:
        from pathlib import Path

        from noholdout.benchmark.plot import plot_traps
        from noholdout.files import figure_bytes, write_picture

        write_picture(figure_bytes(plot_traps(board), Path(plot).suffix.lstrip(".")), plot)
    if check_rates:
        from noholdout.benchmark.rates import write_rates

        write_rates(results, check_rates, facts)
