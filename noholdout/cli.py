"""The command line: which commands there are, and how a refusal ends (exit codes).

Every command is a thin typed function in ``noholdout.commands`` that imports its method inside
its body, so that ``noholdout --help`` answers at once.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer
from noholdout_shared.errors import ConvergenceError, DataError, DesignError, NoholdoutError

from noholdout import __version__
from noholdout.commands.benchmark import benchmark
from noholdout.commands.calibrate import CONTEXT, calibrate
from noholdout.commands.compare import compare
from noholdout.commands.demo import demo
from noholdout.commands.did import did
from noholdout.commands.generate import generate
from noholdout.commands.guide import guide
from noholdout.commands.monitor import monitor
from noholdout.commands.plan import plan
from noholdout.commands.propensity import propensity
from noholdout.commands.rdd import rdd
from noholdout.commands.synthetic_control import synthetic_control
from noholdout.commands.uplift import uplift

EXIT_OK, EXIT_BUG, EXIT_DATA, EXIT_VERDICT, EXIT_DESIGN, EXIT_INTERRUPT = 0, 1, 2, 3, 4, 130

EXIT_CODES: dict[type[NoholdoutError], int] = {
    DataError: EXIT_DATA,
    DesignError: EXIT_DESIGN,
    ConvergenceError: EXIT_DESIGN,
}

app = typer.Typer(
    name="noholdout",
    help="Measure what an AI launch changed when nobody could run an A/B test.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for command in (
    generate,
    demo,
    guide,
    compare,
    benchmark,
    did,
    propensity,
    rdd,
    synthetic_control,
    uplift,
    monitor,
):
    app.command(name=command.__name__.replace("_", "-"))(command)
app.add_typer(plan)
# It passes flags on to the method's own command.
app.command(name="calibrate", context_settings=CONTEXT)(calibrate)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"noholdout {__version__}")
        raise typer.Exit()


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; a refusal is one message on stderr and an exit code, no traceback."""
    os.environ.setdefault("MPLBACKEND", "Agg")  # pictures go to files: no window, no display
    # At this size threads cost more than they bring; --jobs adds processes.
    for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(threads, "1")
    try:
        app()
    except NoholdoutError as error:
        kind = type(error).__name__
        typer.echo(f"{kind}: {error}", err=True)
        sys.exit(EXIT_CODES.get(type(error), EXIT_DATA))
    except KeyboardInterrupt:
        typer.echo("Interrupted.", err=True)
        sys.exit(EXIT_INTERRUPT)
