"""Pictures: scores, balance, estimators side by side, and what a hidden cause would leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from noholdout_shared.style import (
    COMPARISON,
    FAINT,
    LONGEST_LABEL,
    NEUTRAL,
    TREATED,
    axes,
    house_style,
    points_axis,
    short_label,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from noholdout_propensity.result import PropensityEstimate

BINS = 40
MOST_COVARIATES = 30
NEAR_X, NEAR_Y = 0.3, 0.04  # shares of the axes: two names so near to each other would overlap


def plot_audit(estimate: PropensityEstimate) -> Axes:
    """The audit's four pictures in one new figure."""
    import matplotlib.pyplot as plt

    with house_style():
        _, grid = plt.subplots(2, 2, figsize=(12, 9), layout="constrained")
        plot_scores(estimate, grid[0, 0])
        plot_balance(estimate, grid[0, 1])
        plot_estimators(estimate, grid[1, 0])
        plot_hidden_cause(estimate, grid[1, 1])
    return grid[0, 0]


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
            "No score exists: covariates decide the opt-in.",
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
        each = np.ones(detail.score.size) if detail.copies is None else detail.copies
        total = round(float(each[inside].sum()))
        counts, lost = (
            np.histogram(detail.score[part], edges, weights=each[part])[0]
            for part in (inside & detail.kept, inside & ~detail.kept)
        )
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
    ax.set_ylim(-1.03 * top, 1.03 * top)
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
    ax.set_yticks(places, [covariate_label(str(name)) for name in table["covariate"]])
    ax.set_ylim(-0.7, len(table) - 0.3)
    ax.set_xlabel(f"standardised difference ({estimate.settings['smd_denominator']})")
    ax.set_title("Balance before and after")
    ax.legend(loc="lower right", fontsize=9)
    return ax


def covariate_label(name: str) -> str:
    """A covariate's name cut to what an axis has room for; of an indicator both parts stay."""
    covariate, equals, level = name.partition("=")
    if not equals or len(name) <= LONGEST_LABEL:
        return short_label(name)
    room = LONGEST_LABEL - 1
    kept = min(len(level), max(room // 2, room - len(covariate)))
    return f"{short_label(covariate, room - kept)}={short_label(level, kept)}"


def plot_estimators(estimate: PropensityEstimate, ax: Axes | None = None) -> Axes:
    """Every estimator with its interval, the naive difference on top; needs the table."""
    table = estimate.tables["estimators"]
    ax = axes(ax)
    places = np.arange(len(table))[::-1]
    ax.axvline(0, color=NEUTRAL, linewidth=0.9)
    for place, (_, row) in zip(places, table.iterrows(), strict=True):
        naive = row["estimator"] == "naive"
        colour = COMPARISON if naive else TREATED
        if not naive:
            ax.hlines(place, row["conf_low"], row["conf_high"], color=colour, linewidth=2.2)
        ax.plot(
            row["estimate"],
            place,
            "o" if naive else "D",
            color=colour,
            markerfacecolor="white" if naive else colour,
        )
    same = table["n_obs"] == estimate.n_obs
    ax.set_yticks(
        places,
        [
            name if own else f"{name}\n({n_obs:,} rows)"
            for name, own, n_obs in zip(table["estimator"], same, table["n_obs"], strict=True)
        ],
    )
    ax.set_ylim(-0.7, len(table) - 0.3)
    unit = " (points)" if estimate.proportion else ""
    below = estimate.settings.get("denominator")
    what = estimate.outcome if below is None else f"{estimate.outcome} / {below}"
    ax.set_xlabel(f"effect on {what}{unit}")
    points_axis(ax, estimate.proportion, "x")
    ax.set_title("Every estimator, one question" if same.all() else "Every estimator")
    return ax


def plot_hidden_cause(estimate: PropensityEstimate, ax: Axes | None = None) -> Axes:
    """What a hidden cause would leave of the effect, with named covariates as landmarks.

    Contours of the adjusted regression estimate over the partial R2 of the hidden cause with the
    treatment (x) and with the outcome (y); Cinelli and Hazlett (2020), figure 2.
    """
    from matplotlib.ticker import MaxNLocator

    bounds = estimate.tables["sensitivity"]
    ax = axes(ax)
    value, error = estimate.settings["regression_estimate"], estimate.settings["regression_error"]
    df = estimate.settings["regression_df"]
    reach = max(0.1, 1.35 * float(bounds["r2_treatment"].max()))
    height = max(0.1, 1.15 * float(bounds["r2_outcome"].max()))
    x, y = np.meshgrid(np.linspace(0, min(reach, 0.95), 160), np.linspace(0, min(height, 1), 160))
    bias = error * np.sqrt(df) * np.sqrt(y * x / (1 - x))
    left = np.sign(value) * (abs(value) - bias)
    scale = 100 if estimate.proportion else 1
    levels = [v for v in MaxNLocator(9).tick_values(scale * left.min(), scale * left.max()) if v]
    lines = ax.contour(
        x, y, scale * left, levels=levels, colors=FAINT, linewidths=1, linestyles="solid"
    )
    ax.clabel(
        lines,
        fmt=lambda v: f"{v:,.0f}" if abs(v) >= 1000 else f"{v:.3g}",
        fontsize=8,
        colors=NEUTRAL,
    )
    zero = ax.contour(x, y, left, levels=[0], colors=[TREATED], linewidths=2, linestyles="--")
    ax.clabel(zero, fmt="no effect", fontsize=9)
    for _, part in bounds.groupby("covariate", sort=False):
        ax.plot(
            part["r2_treatment"],
            part["r2_outcome"],
            "-o",
            color=COMPARISON,
            linewidth=0.8,
            markersize=4,
        )
    last = bounds.groupby("covariate", sort=False).tail(1)
    width, top = ax.get_xlim()[1], min(height, 1)
    for place, name in landmarks(last, width, top):
        # A landmark in the right half carries its name on its left, inside the axes.
        inward = place[0] > 0.5 * width
        ax.annotate(
            name,
            place,
            # Nor does a name stand above the axes.
            xytext=(-5 if inward else 5, -12 if place[1] > 0.95 * top else 3),
            textcoords="offset points",
            ha="right" if inward else "left",
            fontsize=9,
            color=COMPARISON,
        )
    unit = ", in points" if estimate.proportion else ""
    ax.set_xlabel("hidden cause explains of the opt-in (partial R²)")
    ax.set_ylabel("... and of the outcome")
    ax.set_title(f"Effect left after a hidden cause{unit}")
    return ax


def landmarks(
    last: pd.DataFrame, width: float, height: float
) -> list[tuple[tuple[float, float], str]]:
    """Where names stand and what they say; covariates too near to each other share one."""
    groups: list[tuple[tuple[float, float], list[str]]] = []
    for row in last.sort_values("r2_outcome", ascending=False).to_dict("records"):
        place = (row["r2_treatment"], row["r2_outcome"])
        name = f"{row['times']:g} x {short_label(str(row['covariate']))}"
        for (x, y), names in groups:
            if abs(place[0] - x) < NEAR_X * width and abs(place[1] - y) < NEAR_Y * height:
                names.append(name)
                break
        else:
            groups.append((place, [name]))
    return [(place, ", ".join(names)) for place, names in groups]
