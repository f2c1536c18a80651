"""Pictures of an uplift estimate: the gain curve, and predicted against observed deciles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from noholdout_shared import style
from noholdout_shared.errors import DataError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from noholdout_uplift.result import UpliftEstimate


def plot_qini(estimate: UpliftEstimate, ax: Axes | None = None) -> Axes:
    """The gain per user when the best share is treated, with its band and a random order."""
    ax = style.axes(ax)
    curve = estimate.tables["qini"]
    fraction = float(estimate.settings["fraction"])
    level = f"{100 * estimate.conf_level:g}%"
    ax.fill_between(
        curve["fraction"],
        curve["conf_low"],
        curve["conf_high"],
        color=style.TREATED,
        alpha=0.18,
        linewidth=0,
        label=f"{level} band, each point",
    )
    ax.plot(curve["fraction"], curve["uplift"], color=style.TREATED, label="best predicted first")
    ax.plot(
        curve["fraction"],
        curve["random"],
        color=style.COMPARISON,
        linestyle=style.COUNTERFACTUAL_LINE,
        label="random order",
    )
    ax.axhline(0, color=style.NEUTRAL, linewidth=0.8)
    style.mark_launch(ax, fraction, f"top {100 * fraction:g}%")
    style.percent_axis(ax, True, "x")
    style.points_axis(ax, estimate.proportion)
    ax.set_xlim(0, 1)
    ax.set_xlabel("share of users who get it")
    unit = " (points per user)" if estimate.proportion else " per user"
    ax.set_ylabel(f"gain in {estimate.outcome}{unit}")
    ax.set_title("What targeting is worth")
    ax.legend(loc="lower right")
    return ax


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
    ax.set_xlabel("tenth of users, highest predicted effect first")
    unit = " (points)" if estimate.proportion else ""
    ax.set_ylabel(f"effect on {estimate.outcome}{unit}")
    style.points_axis(ax, estimate.proportion)
    ax.set_title("Who gains, who loses")
    ax.legend(loc="best")
    return ax


def plot_toc(estimate: UpliftEstimate, ax: Axes | None = None) -> Axes:
    """How much more than the average user the top share gains, with its band."""
    ax = style.axes(ax)
    curve = estimate.tables["toc"].query("fraction >= 0.05")
    ax.axhline(
        0,
        color=style.COMPARISON,
        linestyle=style.COUNTERFACTUAL_LINE,
        label="random order",
    )
    ax.fill_between(
        curve["fraction"],
        curve["conf_low"],
        curve["conf_high"],
        color=style.TREATED,
        alpha=0.18,
        linewidth=0,
        label=f"{100 * estimate.conf_level:g}% band, each point",
    )
    ax.plot(curve["fraction"], curve["toc"], color=style.TREATED, label="best predicted first")
    style.percent_axis(ax, True, "x")
    style.points_axis(ax, estimate.proportion)
    ax.set_xlim(0, 1)
    ax.set_xlabel("top share of users by predicted effect")
    unit = " (points)" if estimate.proportion else ""
    ax.set_ylabel(f"effect on {estimate.outcome}{unit},\nabove the average user's")
    ax.set_title("How much more the top share gains")
    ax.legend(loc="upper right")
    return ax


def plot_costs(estimate: UpliftEstimate, ax: Axes | None = None) -> Axes:
    """The gain per user for every budget, with the budget marked."""
    if "costs" not in estimate.tables:
        raise DataError(
            "There is no cost curve.", "It needs what a user costs.", "Name it with --cost."
        )
    ax = style.axes(ax)
    curve = estimate.tables["costs"]
    ax.fill_between(
        curve["spend"],
        curve["conf_low"],
        curve["conf_high"],
        color=style.TREATED,
        alpha=0.18,
        linewidth=0,
        label=f"{100 * estimate.conf_level:g}% band, each point",
    )
    ax.plot(curve["spend"], curve["gain"], color=style.TREATED, label="best per cost first")
    ax.plot(
        curve["spend"],
        curve["random"],
        color=style.COMPARISON,
        linestyle=style.COUNTERFACTUAL_LINE,
        label="random order",
    )
    ax.axhline(0, color=style.NEUTRAL, linewidth=0.8)
    budget = estimate.settings["budget"]
    if budget is not None:
        style.mark_launch(ax, budget, "budget")
    style.points_axis(ax, estimate.proportion)
    ax.set_xlim(0, float(curve["spend"].max()))
    ax.set_xlabel("spend per user of all users")
    unit = " (points per user)" if estimate.proportion else " per user"
    ax.set_ylabel(f"gain in {estimate.outcome}{unit}")
    ax.set_title("What a budget buys")
    ax.legend(loc="lower right")
    return ax


def plot_profile(estimate: UpliftEstimate, ax: Axes | None = None) -> Axes:
    """Observed effects with intervals by level or quarter of each feature."""
    ax = style.axes(ax)
    table = estimate.tables["segments"].iloc[::-1]
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
        place, [f"{f}: {s}" for f, s in zip(table["feature"], table["segment"], strict=True)]
    )
    style.points_axis(ax, estimate.proportion, "x")
    unit = " (points)" if estimate.proportion else ""
    ax.set_xlabel(f"effect on {estimate.outcome}{unit}")
    ax.set_title("Who gains, who loses")
    return ax
