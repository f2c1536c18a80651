"""The comparison as tables of at most 80 columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from noholdout_shared.render import STATUS_STYLE
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from noholdout.compare.designs import DESIGNS

if TYPE_CHECKING:
    from noholdout.compare.study import Comparison


def points(value: float) -> str:
    """A share as signed percentage points."""
    return "undefined" if math.isnan(value) else f"{100 * value:+.1f}"


def renderable(comparison: Comparison) -> RenderableType:
    """One row a method: of one seed the interval, of several how often it held the truth."""
    one = len(comparison.seeds) == 1
    table = _one_seed(comparison) if one else _many_seeds(comparison)
    notes = [Text("What each row is, and what its naive answer compares:", style="dim")]
    for name, design in DESIGNS.items():
        notes.append(Text(f"  {_command(name)}: {design.title}; {design.naive_is}", style="dim"))
    return Group(table, Text(), *notes)


def _new_table(columns: Sequence[str], title: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for name in columns:
        left = name in ("method", "verdict")
        table.add_column(name, justify="left" if left else "right", no_wrap=True)
    return table


def _one_seed(comparison: Comparison) -> Table:
    columns = ("method", "naive", "estimate", "interval", "truth", "held", "verdict")
    title = f"Effects in percentage points (seed {comparison.seeds[0]})"
    table = _new_table(columns, title)
    for row in comparison.rows:
        table.add_row(
            _command(row.method),
            points(row.naive),
            points(row.estimate),
            f"{points(row.conf_low)} to {points(row.conf_high)}",
            points(row.truth),
            Text("yes") if row.covered else Text("no", style="bold red"),
            Text(row.verdict, style=STATUS_STYLE[row.verdict]),
        )
    return table


def _many_seeds(comparison: Comparison) -> Table:
    columns = ("method", "naive", "estimate", "truth", "held truth", "sound")
    count = len(comparison.seeds)
    title = f"Effects in percentage points, means over {count} seeds"
    table = _new_table(columns, title)
    for method in DESIGNS:
        rows = comparison.of(method)
        table.add_row(
            _command(method),
            points(fmean(row.naive for row in rows)),
            points(fmean(row.estimate for row in rows)),
            points(fmean(row.truth for row in rows)),
            f"{comparison.held(method)} of {count}",
            f"{sum(row.verdict == 'sound' for row in rows)} of {count}",
        )
    held = sum(row.covered for row in comparison.rows)
    table.add_row("all", "", "", "", f"{held} of {len(comparison.rows)}", "")
    return table


def _command(method: str) -> str:
    return method.replace("_", "-")
