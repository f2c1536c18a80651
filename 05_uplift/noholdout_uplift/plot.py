"""Pictures of an uplift estimate: gain, TOC and cost curves, deciles, who gains and who loses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from noholdout_shared import style
from noholdout_shared.errors import DataError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from noholdout_uplift.result import UpliftEstimate

MOST_FEATURES = 6


def _measured(estimate: UpliftEstimate) -> str:
    below = estimate.settings.get("denominator")
    return estimate.outcome if below is None else f"{estimate.outcome} / {below}"


def _curve(
    estimate: UpliftEstimate, ax: Axes, table: pd.DataFrame, x: str, y: str, label: str
) -> None:
    """A curve of the ranking with its band, against a random order."""
    ax.fill_between(
        table[x],
        table["band_low"],
        table["band_high"],
        color=style.TREATED,
        alpha=0.18,
        linewidth=0,
        label=f"{100 * estimate.conf_level:g}% band, the whole curve",
    )
    ax.plot(table[x], table[y], color=style.TREATED, label=label)
    ax.plot(
        table[x],
        table["random"],
        color=style.COMPARISON,
        linestyle=style.COUNTERFACTUAL_LINE,
        label="random order",
    )
    ax.axhline(0, color=style.NEUTRAL, linewidth=0.8)
    ax.set_xlim(0, float(table[x].max()))


def _finish(
    estimate: UpliftEstimate, ax: Axes, x_label: str, y_label: str, unit: str, title: str
) -> Axes:
    """Labels in product units; ``unit`` follows "points" where the outcome is a share."""
    points = f"points{unit}" if estimate.proportion else unit.strip()
    style.points_axis(ax, estimate.proportion)
    ax.set_xlabel(x_label)
    ax.set_ylabel(f"{y_label} ({points})" if points else y_label)
    ax.set_title(title)
    ax.legend(loc="best")
    return ax


def plot_qini(estimate: UpliftEstimate, ax: Axes | None = None) -> Axes:
    """The gain per user when the best share is treated, with its band and a random order."""
    ax = style.axes(ax)
    fraction = float(estimate.settings["fraction"])
    _curve(estimate, ax, estimate.tables["qini"], "fraction", "uplift", "best predicted first")
    style.mark_launch(ax, fraction, f"top {100 * fraction:g}%")
    style.percent_axis(ax, True, "x")
    gain = f"gain in {_measured(estimate)}"
    title = "What targeting is worth"
    return _finish(estimate, ax, "share of users who get it", gain, " per user", title)


def plot_deciles(estimate: UpliftEstimate, ax: Axes | None = None) -> Axes:
    """Observed effect by tenth of the ranking with its interval, beside the predicted one."""
    ax = style.axes(ax)
    table = estimate.tables["deciles"]
    half = [
        table["estimate"] - table["conf_low"],
        table["conf_high"] - table["estimate"],
    ]
    ax.axhline(0, color=style.NEUTRAL, linewidth=0.8)
    metrics = estimate.tables["metrics"]
    ate = float(metrics["estimate"][metrics["name"] == "ate"].iloc[0])
    ax.axhline(
        ate,
        color=style.COMPARISON,
        linestyle=style.COUNTERFACTUAL_LINE,
        linewidth=1.2,
        label="average of all users",
    )
    ax.errorbar(
        table["decile"],
        table["estimate"],
        yerr=half,
        fmt="o",
        color=style.TREATED,
        capsize=3,
        label=f"observed, {100 * estimate.conf_level:g}% interval",
    )
    ax.plot(
        table["decile"],
        table["predicted"],
        color=style.NEUTRAL,
        marker="D",
        markersize=4,
        linestyle="none",
        label="predicted",
    )
    ax.set_xticks(table["decile"])
    x_label = "tenth of users, highest predicted effect first"
    effect = f"effect on {_measured(estimate)}"
    return _finish(estimate, ax, x_label, effect, "", "Predicted against observed")


def plot_toc(estimate: UpliftEstimate, ax: Axes | None = None) -> Axes:
    """How much more than the average user the top share gains, with its band."""
    ax = style.axes(ax)
    curve = estimate.tables["toc"].dropna().assign(random=0.0)
    _curve(estimate, ax, curve, "fraction", "toc", "best predicted first")
    style.percent_axis(ax, True, "x")
    above = f"effect on {_measured(estimate)},\nabove the average user's"
    x_label, title = "top share of users by predicted effect", "How much more the top share gains"
    return _finish(estimate, ax, x_label, above, "", title)


def plot_costs(estimate: UpliftEstimate, ax: Axes | None = None) -> Axes:
    """The gain per user for every budget, with the budget marked."""
    if "costs" not in estimate.tables:
        raise DataError(
            "There is no cost curve.", "It needs what a user costs.", "Name it with --cost."
        )
    ax = style.axes(ax)
    _curve(estimate, ax, estimate.tables["costs"], "spend", "gain", "best per cost first")
    if estimate.settings["budget"] is not None:
        style.mark_launch(ax, estimate.settings["budget"], "budget")
    gain, x_label = f"gain in {_measured(estimate)}", "spend per user of all users"
    return _finish(estimate, ax, x_label, gain, " per user", "What a budget buys")


def plot_profile(estimate: UpliftEstimate, ax: Axes | None = None) -> Axes:
    """Observed effects with intervals by level or quarter of the features that differ most."""
    ax = style.axes(ax)
    if "segments" not in estimate.tables:
        raise DataError(
            "There are no segments.", "They are levels of features.", "Name them with --features."
        )
    table = estimate.tables["segments"].iloc[::-1]
    spread = table.groupby("feature")["estimate"].agg(np.ptp).nlargest(MOST_FEATURES)
    table = table[table["feature"].isin(spread.index)]
    value, low, high = (table[c].to_numpy() for c in ("estimate", "conf_low", "conf_high"))
    place = np.arange(len(table))
    for chosen, colour, marker in (
        (value >= 0, style.TREATED, "o"),
        (value < 0, style.COMPARISON, "s"),
    ):
        half = [(value - low)[chosen], (high - value)[chosen]]
        ax.errorbar(value[chosen], place[chosen], xerr=half, fmt=marker, color=colour, capsize=3)
    ax.axvline(0, color=style.NEUTRAL, linewidth=0.8)
    ax.set_yticks(
        place,
        [
            f"{style.short_label(feature)}: {style.short_label(segment)}"
            for feature, segment in zip(table["feature"], table["segment"], strict=True)
        ],
    )
    style.points_axis(ax, estimate.proportion, "x")
    unit = " (points)" if estimate.proportion else ""
    ax.set_xlabel(f"effect on {_measured(estimate)}{unit}")
    ax.set_title("Who gains, who loses")
    return ax
