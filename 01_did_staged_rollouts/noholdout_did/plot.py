"""Pictures of a staged rollout: raw trends by wave, and the event study with its bands."""

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
    mark_launch,
    percent_axis,
    points_axis,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from noholdout_did.result import DidEstimate

# Waves differ in colour, line and marker, so that they can be told apart in grey.
WAVES = ((TREATED, "-", "o"), (THIRD, "-.", "s"), ("#CC79A7", ":", "^"), ("#E69F00", "--", "D"))
MANY = 40  # periods beyond which single markers only clutter


def plot_rollout(result: DidEstimate) -> Axes:
    """Two panels: the raw means by wave on the left, the effect by time since launch right."""
    import matplotlib.pyplot as plt

    with house_style():
        figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.2), layout="constrained")
        plot_trends(result, left)
        plot_event_study(result, right)
        figure.suptitle("")
    return right


def plot_trends(result: DidEstimate, ax: Axes | None = None) -> Axes:
    """Mean outcome by wave and period; a dotted line at each launch."""
    ax = axes(ax)
    table = result.tables["trends"]
    cohorts = list(dict.fromkeys(table["cohort"]))
    launched = [c for c in cohorts if c != "never"]
    plain = table["time"].map(lambda t: isinstance(t, str)).any()
    position = {t: i for i, t in enumerate(pd.unique(table["time"]))} if plain else None
    for cohort in cohorts:
        mine = table[(table["cohort"] == cohort) & table["mean"].notna()]
        colour, line, marker = _look(cohort, launched)
        x = mine["time"] if position is None else mine["time"].map(position)
        ax.plot(
            x,
            mine["mean"],
            color=colour,
            linestyle=line,
            marker=marker if len(mine) <= MANY else None,
            markersize=4,
            label="never treated" if cohort == "never" else f"launch {_short(cohort)}",
        )
    for i, cohort in enumerate(launched[:6]):
        mark_launch(ax, cohort if position is None else position.get(cohort, 0), "launch" * (i < 1))
    if position is not None:
        ax.set_xticks(list(position.values())[:: max(1, len(position) // 6)])
        ax.set_xticklabels(list(position)[:: max(1, len(position) // 6)])
    percent_axis(ax, result.proportion)
    ax.set_ylabel(result.outcome)
    ax.set_xlabel("period")
    ax.set_title("Raw averages by wave")
    if len(cohorts) <= 8:
        ax.legend(fontsize=8)
    return ax


def _look(cohort: Any, launched: list[Any]) -> tuple[str, str, str]:
    if cohort == "never":
        return COMPARISON, "--", "x"
    return WAVES[launched.index(cohort) % len(WAVES)]


def _short(label: Any) -> str:
    return label.date().isoformat() if isinstance(label, pd.Timestamp) else str(label)


def plot_event_study(result: DidEstimate, ax: Axes | None = None) -> Axes:
    """Effects by periods since launch: pointwise intervals as bars, simultaneous as a band."""
    ax = axes(ax)
    table = result.tables["event_study"].sort_values("event_time")
    x = table["event_time"].to_numpy(dtype=float)
    value = table["estimate"].to_numpy(dtype=float)
    band = table[["band_low", "band_high"]].to_numpy(dtype=float)
    level = f"{100 * result.conf_level:g}%"
    ax.axhline(0, color=NEUTRAL, linewidth=1)
    if np.isfinite(band).any():
        ax.fill_between(
            x, band[:, 0], band[:, 1], color=FAINT, alpha=0.45, label=f"{level} for all at once"
        )
    for post, colour, label in ((False, COMPARISON, "before launch"), (True, TREATED, "effect")):
        mine = (x >= 0) == post
        if not mine.any():
            continue
        low = value[mine] - table["conf_low"].to_numpy(dtype=float)[mine]
        high = table["conf_high"].to_numpy(dtype=float)[mine] - value[mine]
        ax.errorbar(
            x[mine],
            value[mine],
            yerr=np.nan_to_num(np.vstack([low, high])),
            fmt="o" if post else "s",
            markersize=4,
            color=colour,
            capsize=2,
            linewidth=1.2,
            label=f"{label}, {level} each",
        )
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    mark_launch(ax, -0.5)
    points_axis(ax, result.proportion)
    ax.set_xlabel("periods since launch")
    ax.set_ylabel(f"effect on {result.outcome}" + (" (points)" if result.proportion else ""))
    ax.set_title("Effect by time since launch")
    ax.legend(fontsize=8)
    return ax
