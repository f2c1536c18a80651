"""``noholdout compare``: the five methods against the truth."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer
from noholdout_shared.errors import DataError

from noholdout.commands import options as opt

if TYPE_CHECKING:
    from noholdout.compare.study import Source


def compare(
    n_users: Annotated[int | None, typer.Option(help="Users a data set (50000).")] = None,
    seed: Annotated[int | None, typer.Option(help="One data set, of this seed (42).")] = None,
    seeds: Annotated[
        str | None,
        typer.Option(help="Several: 20 means seeds 1 to 20; 3,5,8 means these."),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="A folder that 'noholdout generate' wrote, instead.")
    ] = None,
    jobs: opt.Jobs = 1,
    as_json: opt.AsJson = False,
    plot: opt.Plot = None,
) -> None:
    """All five methods against the known truth.

    A row a method: the naive answer, the estimate with its interval, the truth and the verdict;
    over several seeds, how often each interval held its truth.
    """
    sources = _sources(n_users, seed, seeds, data)
    from noholdout.compare import compare as run

    comparison = run(sources, jobs=jobs)
    if plot:
        from noholdout.compare.plot import plot as draw
        from noholdout.files import figure_bytes, picture_kind, write_picture

        write_picture(figure_bytes(draw(comparison), picture_kind(plot)), plot)
    if as_json:
        typer.echo(json.dumps(comparison.to_dict(), allow_nan=False, indent=2))
        return
    from rich.console import Console

    from noholdout.compare.table import renderable

    Console().print(renderable(comparison))


def _sources(
    n_users: int | None, seed: int | None, seeds: str | None, data: str | None
) -> list[Source]:
    from noholdout.compare.study import DEFAULT_USERS, Source, parse_seeds

    asked = {"--n-users": n_users, "--seed": seed, "--seeds": seeds}
    if data is not None:
        given = [flag for flag, value in asked.items() if value is not None]
        if given:
            raise DataError(
                f"{' and '.join(given)} can't go with --data.",
                "The data in the folder are made already.",
                "Leave one of them out.",
            )
        return [Source.of_folder(data)]
    if seed is not None and seeds is not None:
        raise DataError("--seed and --seeds were both given.", "", "Leave one of them out.")
    numbers = parse_seeds(seeds) if seeds is not None else [42 if seed is None else seed]
    users = DEFAULT_USERS if n_users is None else n_users
    return [Source(seed=number, n_users=users) for number in numbers]
