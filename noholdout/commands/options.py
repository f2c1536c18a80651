"""The flags that several commands share, each written once."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from noholdout.files import picture_kind, require_folder


def _writable_page(path: str | None) -> str | None:
    if path is not None:
        require_folder(path)
    return path


def _writable_picture(path: str | None) -> str | None:
    if path is not None:
        picture_kind(path)
    return path


Data = Annotated[
    str, typer.Argument(help="csv, csv.gz, parquet, a glob, or a connection URL with #table.")
]
Outcome = Annotated[str, typer.Option(help="Column of the outcome.")]
Unit = Annotated[str, typer.Option(help="Column that names the unit.")]
Time = Annotated[str, typer.Option(help="Column of the period.")]
Treatment = Annotated[str, typer.Option(help="Column with 1 for treated, 0 for not.")]
Cluster = Annotated[str | None, typer.Option(help="Column of the groups whose rows move together.")]
Weights = Annotated[str | None, typer.Option(help="Column of sampling weights.")]
Covariates = Annotated[str | None, typer.Option(help="Covariate columns, commas between them.")]

ConfLevel = Annotated[float, typer.Option(help="Confidence level of the interval.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of every random step.")]
Jobs = Annotated[
    int, typer.Option(min=1, help="Processes to use; the result doesn't depend on it.")
]
MissingRule = Annotated[
    Literal["refuse", "drop"],
    typer.Option(help="Rows with missing values: refuse, or drop and count."),
]
Replicates = Annotated[
    int | None, typer.Option(help="Draws of the resampling inference; an error with any other.")
]
Sample = Annotated[
    int | None, typer.Option(help="Read this many random rows only; the answer says what it costs.")
]
Margin = Annotated[
    float | None, typer.Option(min=0, help="Also answer: is the effect not worse than minus this?")
]

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
# Files to write are looked at before the work is done, not after it.
Report = Annotated[
    str | None,
    typer.Option(help="Write a self-contained HTML page here.", callback=_writable_page),
]
Plot = Annotated[
    str | None,
    typer.Option(help="Write the picture here (png, svg, pdf).", callback=_writable_picture),
]
FailOn = Annotated[
    Literal["caution", "do-not-use"] | None,
    typer.Option(help="Exit with 3 when the verdict is this or worse."),
]


def columns(text: str | None) -> list[str]:
    """Column names from ``a,b,c``."""
    return [name.strip() for name in text.split(",") if name.strip()] if text else []
