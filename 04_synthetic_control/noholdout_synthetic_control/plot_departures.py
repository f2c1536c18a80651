"""The monitor's picture: evidence that a unit left its twin, and the gaps of those that did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from noholdout_shared.style import (
    COMPARISON,
    FAINT,
    NEUTRAL,
    THIRD,
    TREATED,
    axes,
    house_style,
    points_axis,
)

from noholdout_synthetic_control.plot import _date_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from noholdout_synthetic_control.monitor import Departures

COLOURS = (TREATED, COMPARISON, THIRD)
STYLES = ("-", "--", ":")
SHOWN = 9  # departed units drawn in colour, the first to leave
WEEK = 7
TOP = 1e6  # evidence beyond this is drawn here


def plot_departures(found: Departures, ax: Axes | None = None) -> Axes:
    """Evidence against the limit; without ``ax``, the departed units' gaps below it."""
    if ax is not None:
        return plot_evidence(found, ax)
    import matplotlib.pyplot as plt

    with house_style():
        _, (upper, lower) = plt.subplots(
            2, 1, figsize=(7.2, 6.4), sharex=True, layout="constrained"
        )
        plot_evidence(found, upper)
        plot_gaps(found, lower)
    return upper


def styles(found: Departures) -> dict[Any, dict[str, Any]]:
    """Colour and line of each departed unit, or of every one where few are watched."""
    few = len(found.units) <= len(COLOURS)
    names = (found.units if few else found.departures)["unit"].tolist()[:SHOWN]
    return {
        name: {"color": COLOURS[k % 3], "linestyle": STYLES[k // 3], "label": str(name)}
        for k, name in enumerate(names)
    }


def plot_evidence(found: Departures, ax: Axes | None = None) -> Axes:
    """``1 / p`` of each unit so far, on a log scale: above the line it has left."""
    ax = axes(ax)
    drawn = styles(found)
    for unit, rows in found.path.groupby("unit", sort=False):
        line = drawn.get(unit, {"color": FAINT, "linewidth": 0.8})
        ax.plot(rows["time"].to_numpy(), 1 / np.maximum(rows["p_value"], 1 / TOP), **line)
    strongest = 1 / max(float(found.path["p_value"].min()), 1 / TOP)
    limit = 1 / (1 - found.conf_level)
    ax.axhline(limit, color=NEUTRAL, linewidth=1.1, linestyle=":")
    ax.annotate(
        f"limit: {100 * (1 - found.conf_level):g}% for all units and days together",
        (0.99, limit),
        xycoords=("axes fraction", "data"),
        xytext=(0, -12),
        ha="right",
        textcoords="offset points",
        color=NEUTRAL,
        fontsize=9,
    )
    ax.set_yscale("log")
    ax.set_ylim(0.8, 10 * max(strongest, limit))
    ax.set_ylabel("evidence (1 / adjusted p)")
    ax.set_title(f"Who has left its twin? {found.outcome}")
    if drawn:
        ax.legend(loc="upper left", fontsize=9, ncols=3, bbox_to_anchor=(0, 0.98))
    _date_ticks(ax, found.path["time"])
    return ax


def plot_gaps(found: Departures, ax: Axes | None = None) -> Axes:
    """Gaps to the twins, means of the last seven periods, with the day on which it was said."""
    ax = axes(ax)
    drawn = styles(found)
    said = dict(zip(found.departures["unit"], found.departures["said_on"], strict=True))
    for unit, rows in found.path.groupby("unit", sort=False):
        gap = rows["gap"].rolling(WEEK, min_periods=1).mean()
        line = drawn.get(unit, {"color": FAINT, "linewidth": 0.8})
        ax.plot(rows["time"].to_numpy(), gap, **line | {"label": None})
        if unit in said and unit in drawn:
            mark = rows["time"] == said[unit]
            ax.plot(rows["time"][mark], gap[mark], "o", color=line["color"], markersize=5)
    ax.axhline(0, color=NEUTRAL, linewidth=0.9)
    points_axis(ax, found.proportion)
    ax.set_ylabel("gap (points)" if found.proportion else "gap")
    ax.set_title("Gaps to the twins (7-period means; a dot: the day it was said)", fontsize=10)
    _date_ticks(ax, pd.Series(found.path["time"]))
    return ax
