"""What every method's command does with its estimate: show it, save it, set the exit code."""

from __future__ import annotations

import json
import shlex
import sys
from typing import TYPE_CHECKING

import typer

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
        from noholdout.files import picture, picture_kind, write_picture

        write_picture(picture(estimate, picture_kind(plot)), plot)
    if report:
        from noholdout.report import write_report

        write_report(estimate, report, shlex.join(["noholdout", *sys.argv[1:]]))
    if as_json:
        typer.echo(json.dumps(estimate.to_dict(), allow_nan=False, indent=2))
    else:
        from noholdout_shared.render import renderable
        from rich.console import Console

        Console().print(renderable(estimate))
    if fail_on and SEVERITY[estimate.verdict] >= SEVERITY[fail_on]:
        raise typer.Exit(EXIT_VERDICT)
