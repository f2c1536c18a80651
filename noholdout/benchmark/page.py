"""The leaderboard as one self-contained HTML page."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from noholdout_shared.errors import DataError

from noholdout.benchmark.plot import WORDS, plot_cell, plot_trap, trap_rows
from noholdout.benchmark.promises import promises
from noholdout.benchmark.table import all_cells, as_dicts, heading, where
from noholdout.files import figure_bytes, require_folder

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_page(board: pd.DataFrame, path: str | Path, facts: Mapping[str, Any]) -> None:
    """Write the page.

    Parameters
    ----------
    board
        From :func:`noholdout.benchmark.leaderboard`.
    facts
        Shown at its foot: the command, the versions, the seeds.
    """
    require_folder(path)
    try:
        Path(path).write_text(render_page(board, facts), encoding="utf-8")
    except OSError as error:
        raise DataError(
            f"{str(path)!r} can't be written: {error.strerror}.", "", "Name another file."
        ) from error


def render_page(board: pd.DataFrame, facts: Mapping[str, Any]) -> str:
    """The page's HTML; it needs no network and no script."""
    environment = Environment(
        loader=PackageLoader("noholdout.benchmark"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("leaderboard.html").render(
        sections=_sections(board),
        promises=_promises(board),
        traps=_traps(board),
        facts=dict(facts),
    )


def _sections(board: pd.DataFrame) -> list[dict[str, Any]]:
    sections = []
    keys = ["design", "scenario", "severity", "n_users"]
    for (design, scenario, _, n_users), rows in board.groupby(keys, sort=False):
        records = as_dicts(rows)
        sections.append(
            {
                "title": heading(str(design), str(scenario), rows["severity"].iloc[0]),
                "n_users": f"{n_users:,}",
                "columns": list(all_cells(records[0])),
                "picture": _inline(plot_cell(rows)) if scenario == "clean" else None,
                "rows": [
                    {
                        "name": row["estimator"],
                        "kind": WORDS[row["kind"]],
                        "runs": f"{row['runs']:,}",
                        "cells": list(all_cells(row).values()),
                        "note": _note(row),
                    }
                    for row in records
                ],
            }
        )
    return sections


def _promises(board: pd.DataFrame) -> list[dict[str, str]]:
    rows = []
    for row in as_dicts(promises(board)):
        shape = "{:.2f}" if row["promise"].startswith("RMSE") else "{:.1%}"
        low, high = shape.format(row["low"]), shape.format(row["high"])
        rows.append(
            {
                "where": where(row),
                "n_users": f"{row['n_users']:,}",
                "promise": f"{row['promise']} {row['promised']}",
                "achieved": shape.format(row["achieved"]),
                "range": f"{low} to {high}",
                "runs": f"{row['runs']:,}",
                "kept": row["kept"],
            }
        )
    return rows


def _note(row: Mapping[str, Any]) -> str:
    notes = []
    if row["failed"]:
        notes.append(f"failed in {row['failed']}: {row['message']}")
    if row["refused"]:
        notes.append(f"refused in {row['refused']}")
    return "; ".join(notes)


def _traps(board: pd.DataFrame) -> list[dict[str, str]]:
    return [
        {"title": f"{title} ({users:,} users)", "picture": _inline(plot_trap(rows))}
        for title, users, rows in trap_rows(board)
    ]


def _inline(figure: Figure) -> str:
    return base64.b64encode(figure_bytes(figure, "png")).decode()
