"""The leaderboard as tables of at most 80 columns."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from noholdout.benchmark.promises import promises

if TYPE_CHECKING:
    import pandas as pd

NAME_WIDTH = 20
COLUMNS = ("bias", "RMSE", "covers", "width", "power", "sound", "silent", "sec")
LEGEND = (
    "bias, RMSE and width in points, the rest in %; in brackets the Monte Carlo error in units of",
    "the last digit. covers: intervals that hold the truth. sound: runs called sound. silent:",
    "called sound, and the interval misses. sec: median of a fit.",
)


def points(value: float, error: float, signed: bool = False) -> str:
    """A share in points with its error behind it: ``+0.04(6)``, or ``+0.4(12)`` when few ran."""
    return with_error(
        100 * value, 100 * error, 2 if math.isnan(error) or error < 1e-3 else 1, signed
    )


def percent(value: float, error: float) -> str:
    """A share in percent with its error: ``95(2)``."""
    return with_error(100 * value, 100 * error, 0)


def with_error(value: float, error: float, digits: int, signed: bool = False) -> str:
    """``0.04(6)``: the error in units of the last digit; empty where undefined."""
    if math.isnan(value):
        return ""
    sign = "+" if signed else ""
    text = f"{value:{sign}.{digits}f}"
    return text if math.isnan(error) else f"{text}({max(1, round(error * 10**digits))})"


def cells(row: dict[str, Any]) -> list[str]:
    """One estimator's figures, in the order of ``COLUMNS``."""
    has_size = not math.isnan(row["size"])
    rejects = "size" if has_size else "power"
    return [
        points(row["bias"], row["bias_mc"], signed=True),
        points(row["rmse"], row["rmse_mc"]),
        percent(row["coverage"], row["coverage_mc"]),
        points(row["width"], math.nan),
        percent(row[rejects], row[f"{rejects}_mc"]),
        percent(row["sound"], row["sound_mc"]),
        percent(row["silent"], row["silent_mc"]),
        _seconds(row["seconds"]),
    ]


def all_cells(row: dict[str, Any]) -> dict[str, str]:
    """Every figure by its heading, each with its error: what 80 columns have no room for too."""
    shown = dict(zip(COLUMNS, cells(row), strict=True))
    shown["width"] = points(row["width"], row["width_mc"])
    shown["sec"] = _seconds(row["seconds"], row["seconds_mc"])
    shown["abstains"] = percent(row["abstains"], row["abstains_mc"])
    if not math.isnan(row["size"]):
        shown["size"] = shown.pop("power")
    order = ("bias", "RMSE", "covers", "width", "power", "size", "abstains", "sound", "silent")
    return {name: shown[name] for name in (*order, "sec") if name in shown}


def _seconds(value: float, error: float = math.nan) -> str:
    return with_error(value, error, 3 if value < 0.1 else 2)


def renderable(board: pd.DataFrame) -> RenderableType:
    """One table a design and cell, ours first."""
    parts: list[RenderableType] = []
    keys = ["design", "scenario", "severity", "n_users"]
    for key, rows in board.groupby(keys, sort=False):
        parts += [_one(key, as_dicts(rows)), Text()]
    found = promises(board)
    if len(found):
        parts.append(promises_table(found))
    parts += [Text(line[:80], style="dim") for line in _wrapped(" ".join(LEGEND))]
    return Group(*parts)


def as_dicts(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """The leaderboard's rows, each a dict."""
    return [{str(k): v for k, v in row.items()} for row in rows.to_dict("records")]


def heading(design: str, scenario: str, severity: float) -> str:
    """``did: pre-trends at 3``."""
    method = design.replace("_", "-")
    trap = scenario.removeprefix(f"{method}-")
    return f"{method}: {trap}" if severity == 0 else f"{method}: {trap} at {severity:g}"


def where(row: dict[str, Any]) -> str:
    """The heading of a promise's row, with the option that the default call lacks."""
    told = row["estimator"].partition(":")[2]
    shown = heading(row["design"], row["scenario"], row["severity"])
    return f"{shown}, {told}" if told else shown


def _wrapped(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, 79)


def promises_table(found: pd.DataFrame) -> RenderableType:
    """What was promised of our defaults, and where it isn't kept."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("where", "promise", "achieved", "99.9% range", "kept"):
        table.add_column(name, justify="left" if name in ("where", "promise") else "right")
    for row in as_dicts(found):
        ratio = row["promise"].startswith("RMSE")
        shown = [f"{row[k]:.2f}" if ratio else f"{row[k]:.1%}" for k in ("achieved", "low", "high")]
        style = {"yes": "green", "no": "bold red"}.get(row["kept"], "yellow")
        table.add_row(
            where(row),
            f"{row['promise']} {row['promised']}",
            shown[0],
            f"{shown[1]} to {shown[2]}",
            Text(row["kept"], style=style),
        )
    return Group(Text("promises", style="bold"), table, Text())


def _one(key: Any, rows: list[dict[str, Any]]) -> RenderableType:
    design, scenario, severity, n_users = key
    runs = sorted({row["runs"] for row in rows})
    count = f"{runs[0]:,}" if len(runs) == 1 else f"{runs[0]:,} to {runs[-1]:,}"
    title = f"{heading(design, scenario, severity)}, {n_users:,} users, {count} runs"
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    # Only names may be cut when figures are wide.
    table.add_column("estimator", overflow="ellipsis", max_width=NAME_WIDTH)
    null = any(not math.isnan(row["size"]) for row in rows)
    for name in COLUMNS:
        table.add_column(
            "size" if null and name == "power" else name, justify="right", no_wrap=True
        )
    notes: list[RenderableType] = []
    for row in rows:
        style = {"default": "bold", "naive": "dim"}.get(row["kind"], "")
        shown = row["estimator"]
        if ":" in shown and row["kind"] == "alternative":
            shown = "  " + shown.partition(":")[2]
        table.add_row(Text(shown, style=style), *cells(row))
        if row["failed"]:
            notes.append(
                Text(f"{shown.strip()} failed in {row['failed']}: {row['message']}", style="red")
            )
        if row["refused"]:
            notes.append(Text(f"{shown.strip()} refused {row['refused']} of {row['runs']}"))
    return Group(Text(title, style="bold"), table, *notes)
