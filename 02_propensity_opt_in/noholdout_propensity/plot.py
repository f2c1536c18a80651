"""Pictures: mirrored score histograms and the love plot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from noholdout_shared.style import COMPARISON, FAINT, NEUTRAL, TREATED, axes, house_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from noholdout_propensity.result import PropensityEstimate

BINS = 40
MOST_COVARIATES = 30


def plot_overview(estimate: PropensityEstimate) -> Axes:
    """Scores on the left, balance on the right, in one new figure."""
    import matplotlib.pyplot as plt

    rows = min(len(estimate.tables["balance"]), MOST_COVARIATES)
    with house_style():
        _, (left, right) = plt.subplots(
            1, 2, figsize=(11, max(4.2, 1.6 + 0.3 * rows)), layout="constrained"
        )
        plot_scores(estimate, left)
        plot_balance(estimate, right)
    return left


def plot_scores(estimate: PropensityEstimate, ax: Axes | None = None) -> Axes:
    """Score histograms, adopters up and the others down; trimmed mass in grey."""
    ax = axes(ax)
    detail = estimate.rows
    if detail is None or np.isnan(detail.score).all():
        ax.text(
            0.5,
            0.5,
            "This estimator fits no score.",
            ha="center",
            va="center",
            transform=ax.transAxes,
            color=NEUTRAL,
        )
        ax.set_axis_off()
        return ax
    edges = np.linspace(0, 1, BINS + 1)
    width = edges[1] - edges[0]
    for arm, sign, colour, name in (
        (1, 1, TREATED, "opted in"),
        (0, -1, COMPARISON, "didn't"),
    ):
        inside = detail.treated == arm
        total = inside.sum()
        counts = np.histogram(detail.score[inside & detail.kept], edges)[0]
        lost = np.histogram(detail.score[inside & ~detail.kept], edges)[0]
        ax.bar(
            edges[:-1],
            sign * counts / total,
            width,
            align="edge",
            color=colour,
            edgecolor="white",
            linewidth=0.3,
            label=f"{name} ({total:,})",
        )
        if lost.any():
            ax.bar(
                edges[:-1],
                sign * lost / total,
                width,
                bottom=sign * counts / total,
                align="edge",
                color=FAINT,
                edgecolor=NEUTRAL,
                linewidth=0.3,
                hatch="////",
                label="trimmed" if arm == 1 else None,
            )
    ax.axhline(0, color=NEUTRAL, linewidth=0.8)
    top = max(abs(value) for value in ax.get_ylim())
    ax.set_ylim(-top, top)
    ax.yaxis.set_major_formatter(lambda value, _: f"{abs(100 * value):.0f}%")
    ax.set_xlabel("chance of opting in (propensity score)")
    ax.set_ylabel("share of each group")
    ax.set_title("Who opted in, and who could have")
    ax.legend(loc="best", fontsize=9)
    return ax


def plot_balance(estimate: PropensityEstimate, ax: Axes | None = None) -> Axes:
    """Standardised differences before and after, largest first."""
    ax = axes(ax)
    table = estimate.tables["balance"]
    size = table["smd_before"].abs()
    table = table.loc[size.sort_values(kind="stable").index][-MOST_COVARIATES:]
    places = np.arange(len(table))
    ax.axvspan(-0.1, 0.1, color="#F1F1F1", zorder=0)
    ax.axvline(0, color=NEUTRAL, linewidth=0.9)
    ax.hlines(places, table["smd_before"], table["smd_after"], color=FAINT, linewidth=1.4)
    ax.plot(
        table["smd_before"],
        places,
        "o",
        markerfacecolor="white",
        color=COMPARISON,
        label="before",
        linestyle="none",
    )
    ax.plot(table["smd_after"], places, "D", color=TREATED, label="after", linestyle="none")
    ax.set_yticks(places, list(table["covariate"]))
    ax.set_ylim(-0.7, len(table) - 0.3)
    ax.set_xlabel(f"standardised difference ({estimate.settings['smd_denominator']})")
    ax.set_title("Balance before and after")
    ax.legend(loc="lower right", fontsize=9)
    return ax
