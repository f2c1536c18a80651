"""The leaderboard as pictures: coverage and error by estimator, and a plot a trap."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd
from noholdout_shared.errors import DataError
from noholdout_shared.style import (
    COMPARISON,
    FAINT,
    NEUTRAL,
    THIRD,
    TREATED,
    house_style,
)

from noholdout.benchmark.arena import CLEAN, PROMISE, PROMISE_SEVERITY, WITHOUT_TRAP, traps
from noholdout.benchmark.table import heading

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOUR = {
    "default": TREATED,
    "alternative": COMPARISON,
    "naive": NEUTRAL,
    "peer": THIRD,
    "yours": "#CC79A7",
}
SEVERITY_AXIS = "severity (0: clean; where it is a bias, in standard errors at 50,000 users)"
LOWEST = 0.6  # coverage below is an arrow at the edge
MARKER = {"default": "o", "alternative": "s", "naive": "x", "peer": "^", "yours": "D"}
WORDS = {
    "default": "ours, as it comes",
    "alternative": "ours, other options",
    "naive": "naive",
    "peer": "another package",
    "yours": "yours",
}


def plot_cell(rows: pd.DataFrame, conf_level: float = 0.95) -> Figure:
    """Bias with spread, RMSE and coverage of every estimator in one cell."""
    import matplotlib.pyplot as plt

    rows = rows[rows["runs"] > rows["failed"]].iloc[::-1]
    with house_style():
        figure, panels = plt.subplots(
            1, 3, figsize=(10, 0.8 + 0.38 * max(3, len(rows))), sharey=True, layout="constrained"
        )
        for ax, name in zip(panels, ("bias", "rmse", "coverage"), strict=True):
            low, high = _edges(rows, name)
            for place, row in enumerate(rows.to_dict("records")):
                value, colour = 100 * row[name], COLOUR[row["kind"]]
                if math.isnan(value):
                    continue
                if not low <= value <= high:
                    edge, arrow = (low, "<") if value < low else (high, ">")
                    ax.plot(edge, place, marker=arrow, color=colour, clip_on=False)
                    continue
                error = 0 if math.isnan(row[f"{name}_mc"]) else 200 * row[f"{name}_mc"]
                ax.errorbar(
                    value, place, xerr=error, fmt=MARKER[row["kind"]],
                    color=colour, markersize=6, capsize=0, elinewidth=1.4,
                )  # fmt: skip
            ax.set_xlim(low, high)
        panels[0].axvline(0, color=NEUTRAL, linewidth=1)
        panels[0].set_xlabel("bias (points)")
        panels[1].set_xlabel("RMSE (points)")
        panels[2].axvspan(93.5, 96.5, color=FAINT, alpha=0.5, linewidth=0)
        panels[2].axvline(100 * conf_level, color=NEUTRAL, linewidth=1)
        panels[2].set_xlabel(f"intervals that hold (%), asked {100 * conf_level:g}")
        names = [str(name) for name in rows["estimator"]]
        panels[0].set_yticks(range(len(rows)), names)
        panels[0].set_ylim(-0.6, len(rows) - 0.4)
    return figure


def _edges(rows: pd.DataFrame, name: str) -> tuple[float, float]:
    """An axis in points or percent that shows whoever isn't naive; the rest is an arrow."""
    if name == "coverage":
        return 100 * LOWEST - 1, 101.0
    shown = rows if (rows["kind"] == "naive").all() else rows[rows["kind"] != "naive"]
    reach = 1.25 * float((100 * (shown[name].abs() + 2 * shown[f"{name}_mc"].fillna(0))).max())
    reach = reach if reach > 0 else 1.0  # also where nobody has a figure
    return (-reach if name == "bias" else 0.0), reach


def trap_rows(board: pd.DataFrame) -> list[tuple[str, int, pd.DataFrame]]:
    """Each trap that our defaults met: its title, the number of users, its and the clean rows."""
    known = traps()
    ours = board[board["kind"] == "default"]
    found = []
    met = ours[~ours["scenario"].isin(WITHOUT_TRAP)]
    for (design, scenario, users), rows in met.groupby(
        ["design", "scenario", "n_users"], sort=False
    ):
        clean = ours[
            (ours["design"] == design) & (ours["scenario"] == CLEAN) & (ours["n_users"] == users)
        ]
        title = heading(str(design), str(scenario), 0)
        if scenario in known and not known[str(scenario)].revealable:
            title += " (no promise)"
        found.append((title, int(rows["n_users"].iloc[0]), pd.concat([clean, rows])))
    return found


def plot_trap(rows: pd.DataFrame) -> Figure:
    """One estimator in one trap against severity; the clean cell stands at 0.

    Parameters
    ----------
    rows
        Leaderboard rows of one estimator and sample size: the trap's and the clean cell's.
    """
    import matplotlib.pyplot as plt

    with house_style():
        figure, ax = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
        _draw_trap(ax, rows)
        ax.set_xlabel(SEVERITY_AXIS)
        ax.set_ylabel("% of runs")
        ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


def plot_traps(board: pd.DataFrame) -> Figure:
    """Every trap against severity, small, on one sheet."""
    import matplotlib.pyplot as plt

    found = trap_rows(board)
    if not found:
        raise DataError(
            "No trap was run, so there is nothing to draw.", "", "Add --scenario traps, or all."
        )
    several = len({users for _, users, _ in found}) > 1
    columns = min(4, len(found))
    lines = math.ceil(len(found) / columns)
    with house_style():
        figure, panels = plt.subplots(
            lines, columns, figsize=(3 * columns, 0.9 + 2.2 * lines), sharex=True, sharey=True,
            squeeze=False, layout="constrained",
        )  # fmt: skip
        for ax, (title, users, rows) in zip(panels.flat, found, strict=False):
            _draw_trap(ax, rows)
            ax.set_title(f"{title}, {users:,} users" if several else title, fontsize=7)
        for ax in panels.flat[len(found) :]:
            ax.set_axis_off()
        figure.supxlabel(SEVERITY_AXIS)
        figure.supylabel("% of runs")
        handles, labels = panels.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=4, fontsize=8)
    return figure


def _draw_trap(ax: Axes, rows: pd.DataFrame) -> None:
    rows = rows.sort_values("severity")
    flagged = rows.assign(flagged=1 - rows["sound"], flagged_mc=rows["sound_mc"])
    _line(ax, flagged, "coverage", COMPARISON, "o", "intervals that hold the truth")
    _line(ax, flagged, "coverage_sound", THIRD, "s", "the same, when called sound", "--")
    _line(ax, flagged, "flagged", NEUTRAL, "^", "flagged: caution or do-not-use")
    _line(ax, flagged, "silent", TREATED, "D", "silent: sound, and it misses")
    ax.axhline(100 * PROMISE, color=TREATED, linewidth=1, linestyle=":")
    ax.axvline(PROMISE_SEVERITY, color=FAINT, linewidth=1)
    ax.set_ylim(-3, 103)


def _line(
    ax: Axes, rows: pd.DataFrame, name: str, colour: str, marker: str, label: str, line: str = "-"
) -> None:
    ax.errorbar(
        rows["severity"], 100 * rows[name], yerr=200 * rows[f"{name}_mc"], color=colour,
        marker=marker, linestyle=line, markersize=5, linewidth=1.4, elinewidth=0.9, label=label,
    )  # fmt: skip
