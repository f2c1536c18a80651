"""What every method's command does with its estimate: show it, save it, set the exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from noholdout_shared.errors import DataError

if TYPE_CHECKING:
    from noholdout_shared.estimate import Estimate

EXIT_VERDICT = 3
SEVERITY = {"sound": 0, "caution": 1, "do-not-use": 2}


def deliver(
    estimate: Estimate,
    *,
    as_json: bool,
    report: str | None,
    plot: str | None,
    fail_on: str | None,
) -> None:
    """Print the estimate (as text or JSON), write the files asked for, exit 3 on ``fail_on``."""
    if plot:
        save_plot(estimate, plot)
    if report:
        from noholdout.report import write_report

        write_report(estimate, report)
    if as_json:
        typer.echo(json.dumps(estimate.to_dict(), allow_nan=False, indent=2))
    else:
        from noholdout_shared.render import renderable
        from rich.console import Console

        Console().print(renderable(estimate))
    if fail_on and SEVERITY[estimate.verdict] >= SEVERITY[fail_on]:
        raise typer.Exit(EXIT_VERDICT)


def save_plot(estimate: Estimate, path: str) -> None:
    """Draw the estimate's own picture into a file."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    from noholdout_shared.style import house_style

    require_folder(path)
    with house_style():
        estimate.plot()
        try:
            plt.gcf().savefig(path)
        except ValueError as error:
            raise DataError(f"No picture can be written to {path!r}: {error}") from error
        finally:
            plt.close("all")


def require_folder(path: str) -> None:
    """Raise a DataError when the folder of an output file doesn't exist."""
    folder = Path(path).parent
    if not folder.is_dir():
        raise DataError(
            f"{path!r} can't be written: there is no folder {str(folder)!r}.", "", "Make it first."
        )
