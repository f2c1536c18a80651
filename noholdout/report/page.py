"""Put the words, the picture and the tables of an estimate into one HTML file."""

from __future__ import annotations

import base64
import platform
import struct
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from noholdout_shared.errors import DataError
from noholdout_shared.jsonable import jsonable
from noholdout_shared.sources import without_passwords

from noholdout import __version__
from noholdout.files import picture, require_folder
from noholdout.report import words
from noholdout.report.bar import interval_bar
from noholdout.report.tables import calibration_table, split_tables

if TYPE_CHECKING:
    from noholdout_shared.estimate import Estimate

PACKAGES = ("numpy", "pandas", "scipy", "statsmodels", "scikit-learn")
WIDE = 2.0  # width over height from which a phone shows a picture larger, to be moved sideways


def write_report(estimate: Estimate, path: str | Path, command: str | None = None) -> None:
    """Write the estimate as one HTML file that needs no network and no script.

    Parameters
    ----------
    estimate
        What a method found.
    path
        The file to write; its folder must exist.
    command
        The command line that made it, to stand on the page; passwords in it are blotted out.

    Raises
    ------
    DataError
        The file can't be written.
    """
    require_folder(path)
    text = render_report(estimate, command)
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise DataError(
            f"{str(path)!r} can't be written: {error.strerror}.", "", "Name another file."
        ) from error


def render_report(estimate: Estimate, command: str | None = None) -> str:
    """The page's HTML. The same estimate gives the same text: no clock times stand in it."""
    environment = Environment(
        loader=PackageLoader("noholdout.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    settings = jsonable(estimate.settings)
    png = picture(estimate, "png")
    moving, others = split_tables(estimate)
    calibration = estimate.calibration
    open_questions = [c for c in estimate.checks if c.status == "cannot-be-tested"]
    return environment.get_template("report.html").render(
        estimate=estimate,
        answer=words.answer_sentence(estimate),
        bar=interval_bar(estimate),
        tiles=words.tiles(estimate),
        margin=words.margin_answer(estimate),
        verdict_title=words.VERDICT_TITLES[estimate.verdict],
        verdict_words=words.VERDICT_WORDS[estimate.verdict],
        reasons=words.verdict_reasons(estimate),
        untestable=open_questions,
        checks=[
            (c, estimate.measured(c.name))
            for c in words.ordered_checks(estimate)
            if c not in open_questions
        ],
        verdict_rate=estimate.measured("verdict"),
        status_words=words.STATUS_WORDS,
        tally=words.tally(estimate),
        picture=base64.b64encode(png).decode(),
        wide=_aspect(png) >= WIDE,
        left_out=words.left_out(settings),
        moving=moving,
        others=others,
        calibration=calibration,
        calibration_table=None if calibration is None else calibration_table(calibration),
        command=None if command is None else without_passwords(command),
        settings=[(words.label(n), words.value_text(v)) for n, v in settings.items()],
        versions=versions(),
    )


def _aspect(png: bytes) -> float:
    """Width over height, from the header of a PNG."""
    width, height = struct.unpack(">II", png[16:24])
    return float(width / height)


def versions() -> list[tuple[str, str]]:
    """The versions that this answer was computed with."""
    found = [("noholdout", __version__), ("Python", platform.python_version())]
    for package in PACKAGES:
        try:
            found.append((package, version(package)))
        except PackageNotFoundError:
            found.append((package, "unknown"))
    return found
