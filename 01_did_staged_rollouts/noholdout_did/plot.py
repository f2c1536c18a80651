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
    plot_interval,
    points_axis,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from noholdout_did.result import DidEstimate

# Waves differ in colour, line and marker, so that they can be told apart in grey.
WAVES = (
    (TREATED, "-", "o"),
    (THIRD, "-.", "s"),
    ("#CC79A7", ":", "^"),
    ("#E69F00", "--", "D"),
    ("#56B4E9", "-", "v"),
    ("#000000", ":", "P"),
)
MANY = 40  # periods beyond which single markers only clutter


def plot_rollout(result: DidEstimate) -> Axes:
    """Two panels: the raw means by wave on the left, the effect by time since launch right."""
    import matplotlib.pyplot as plt

    with house_style():
        _, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.2), layout="constrained")
        plot_trends(result, left)
        plot_answer(result, right)
    return right


def plot_answer(result: DidEstimate, ax: Axes) -> Axes:
    """The panel that answers: estimators side by side, the comparisons, or the event study."""
    if "estimators" in result.tables:
        return plot_estimators(result, ax)
    if "bacon_pairs" in result.tables:
        return plot_bacon(result, ax)
    if "event_study" in result.tables:
        return plot_event_study(result, ax)
    return plot_interval(result, ax)


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
    elif pd.api.types.is_integer_dtype(table["time"]):
        from matplotlib.ticker import MaxNLocator

        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
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


def plot_sensitivity(result: DidEstimate, ax: Axes | None = None) -> Axes:
    """Intervals when later moves are up to M times those before the launch; breakdown marked."""
    ax = axes(ax)
    table = result.tables["sensitivity"]
    table = table[table["restriction"] == "relative_magnitudes"]
    ax.axhline(0, color=NEUTRAL, linewidth=1)
    ax.fill_between(
        table["m"], table["conf_low"], table["conf_high"], color=TREATED, alpha=0.25, linewidth=0
    )
    for side in ("conf_low", "conf_high"):
        ax.plot(table["m"], table[side], color=TREATED)
    ax.axhline(result.estimate, color=TREATED, linestyle="--", linewidth=1.2)
    breakdown = result.check("sensitivity").statistic
    if breakdown > 0:
        mark_launch(ax, breakdown, f"breakdown {breakdown:.2f}")
    points_axis(ax, result.proportion)
    ax.set_xlabel("later moves, as a multiple of the largest before the launch")
    ax.set_ylabel(f"effect on {result.outcome}" + (" (points)" if result.proportion else ""))
    ax.set_title("How far from parallel could trends be?")
    return ax


def plot_bacon(result: DidEstimate, ax: Axes | None = None) -> Axes:
    """The two-by-twos in a two-way fixed effects coefficient: weight against estimate."""
    ax = axes(ax)
    pairs = result.tables["bacon_pairs"]
    looks = {
        "treated_vs_never": (COMPARISON, "o", "against never treated"),
        "earlier_vs_later": (THIRD, "s", "earlier against later wave"),
        "later_vs_earlier": (TREATED, "x", "later against already treated"),
    }
    for kind, (colour, marker, label) in looks.items():
        mine = pairs[pairs["comparison"] == kind]
        if len(mine):
            ax.scatter(
                mine["weight"], mine["estimate"], color=colour, marker=marker, label=label, s=36
            )
    ax.axhline(result.estimate, color=NEUTRAL, linestyle="--", linewidth=1.2)
    ax.axhline(0, color=NEUTRAL, linewidth=0.8)
    points_axis(ax, result.proportion)
    ax.set_xlabel("weight in the coefficient")
    ax.set_ylabel("two-by-two estimate")
    ax.set_title("What two-way fixed effects average")
    ax.legend(fontsize=8)
    return ax


def plot_estimators(result: DidEstimate, ax: Axes | None = None) -> Axes:
    """Every estimator with its interval, group-time on top."""
    ax = axes(ax)
    table = result.tables["estimators"].dropna(subset=["conf_low"]).iloc[::-1]
    half = [table["estimate"] - table["conf_low"], table["conf_high"] - table["estimate"]]
    place = np.arange(len(table))
    ax.axvline(0, color=NEUTRAL, linewidth=1)
    main = (table["estimator"] == "group-time").to_numpy()
    for mine, colour in ((main, TREATED), (~main, COMPARISON)):
        error = [side[mine] for side in half]
        ax.errorbar(
            table["estimate"][mine], place[mine], xerr=error, fmt="o", color=colour, capsize=3
        )
    ax.set_yticks(place, table["estimator"].tolist())
    points_axis(ax, result.proportion, "x")
    ax.set_xlabel(f"effect on {result.outcome}" + (" (points)" if result.proportion else ""))
    ax.set_title("Estimators side by side")
    return ax
