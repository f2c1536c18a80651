"""Put the words, the picture and the tables of an estimate into one HTML file."""

from __future__ import annotations

import base64
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from noholdout_shared.errors import DataError
from noholdout_shared.jsonable import jsonable, records
from noholdout_shared.render import headline_rows

from noholdout import __version__
from noholdout.files import picture, require_folder
from noholdout.report.words import (
    VERDICT_WORDS,
    answer_sentence,
    label,
    left_out,
    value_text,
    verdict_reasons,
)

if TYPE_CHECKING:
    import pandas as pd
    from noholdout_shared.estimate import Estimate

MAX_ROWS = 15
PACKAGES = ("numpy", "pandas", "scipy", "statsmodels", "scikit-learn")


@dataclass(frozen=True)
class ShortTable:
    """The first rows of a table as text, and how many rows it has."""

    name: str
    columns: list[str]
    rows: list[list[str]]
    length: int


def write_report(estimate: Estimate, path: str | Path) -> None:
    """Write the estimate as one HTML file that needs no network and no script.

    Parameters
    ----------
    estimate
        What a method found.
    path
        The file to write; its folder must exist.

    Raises
    ------
    DataError
        The file can't be written.
    """
    require_folder(path)
    text = render_report(estimate)
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise DataError(
            f"{str(path)!r} can't be written: {error.strerror}.", "", "Name another file."
        ) from error


def render_report(estimate: Estimate) -> str:
    """The page's HTML. The same estimate gives the same text: no clock times stand in it."""
    environment = Environment(
        loader=PackageLoader("noholdout.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    settings = jsonable(estimate.settings)
    return environment.get_template("report.html").render(
        estimate=estimate,
        answer=answer_sentence(estimate),
        verdict_words=VERDICT_WORDS[estimate.verdict],
        reasons=verdict_reasons(estimate),
        untestable=[c for c in estimate.checks if c.status == "cannot-be-tested"],
        facts=headline_rows(estimate),
        picture=base64.b64encode(picture(estimate, "png")).decode(),
        left_out=left_out(settings),
        settings=[(label(name), value_text(value)) for name, value in settings.items()],
        tables=[short_table(name, table) for name, table in estimate.tables.items()],
        versions=versions(),
    )


def short_table(name: str, table: pd.DataFrame) -> ShortTable:
    """The table's first rows as text."""
    rows = [[value_text(value) for value in row.values()] for row in records(table.head(MAX_ROWS))]
    return ShortTable(label(name), [label(str(c)) for c in table.columns], rows, len(table))


def versions() -> list[tuple[str, str]]:
    """The versions that this answer was computed with."""
    found = [("noholdout", __version__), ("Python", platform.python_version())]
    for package in PACKAGES:
        try:
            found.append((package, version(package)))
        except PackageNotFoundError:
            found.append((package, "unknown"))
    return found
