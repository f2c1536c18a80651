"""The comparison as a picture: a forest of one seed, or every seed's interval around its truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from noholdout_shared.style import COMPARISON, FAINT, NEUTRAL, TREATED, house_style, points_axis

from noholdout.compare.designs import DESIGNS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from noholdout.compare.study import Comparison, Row


def plot(comparison: Comparison) -> Figure:
    """A forest plot of one seed; of several, one panel a method."""
    with house_style():
        return _forest(comparison) if len(comparison.seeds) == 1 else _panels(comparison)


def _forest(comparison: Comparison) -> Figure:
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(8.2, 4.4), layout="constrained")
    rows = comparison.rows[::-1]
    heights = range(len(rows))
    ax.axvline(0, color=NEUTRAL, linewidth=1)
    for height, row in zip(heights, rows, strict=True):
        ax.plot([row.naive, row.estimate], [height, height], color=FAINT, linewidth=1, zorder=1)
    ax.scatter(
        [row.naive for row in rows],
        heights,
        marker="s",
        s=45,
        facecolor="white",
        edgecolor=COMPARISON,
        linewidth=1.6,
        zorder=3,
        label="naive answer",
    )
    ax.errorbar(
        [row.estimate for row in rows],
        heights,
        xerr=[
            [row.estimate - row.conf_low for row in rows],
            [row.conf_high - row.estimate for row in rows],
        ],
        fmt="o",
        color=TREATED,
        capsize=4,
        zorder=4,
        label="estimate, 95% interval",
    )
    ax.vlines(
        [row.truth for row in rows],
        [height - 0.28 for height in heights],
        [height + 0.28 for height in heights],
        color="black",
        linewidth=2.2,
        zorder=2,
        label="truth",
    )
    ax.set_yticks(list(heights), [_label(row) for row in rows])
    ax.set_ylim(-0.6, len(rows) - 0.4)
    ax.set_xlabel("effect on task completion (percentage points)")
    points_axis(ax, True, "x")
    ax.set_title("Five launches without an A/B test")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3)
    return figure


def _label(row: Row) -> str:
    return f"{DESIGNS[row.method].title}\n{row.method.replace('_', ' ')} · {row.verdict}"


def _panels(comparison: Comparison) -> Figure:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(DESIGNS), figsize=(11, 5), sharey=True, layout="constrained")
    for ax, (method, design) in zip(axes, DESIGNS.items(), strict=True):
        _panel(ax, comparison.of(method))
        held = f"held {comparison.held(method)} of {len(comparison.seeds)}"
        ax.set_title(f"{design.title}\n{held}", fontsize=10)
    axes[0].set_ylabel("seed")
    axes[0].invert_yaxis()
    figure.supxlabel(
        "estimate minus truth (percentage points); thick: the interval misses", fontsize=10
    )
    return figure


def _panel(ax: Axes, rows: list[Row]) -> None:
    ax.axvline(0, color=NEUTRAL, linewidth=1)
    for place, row in enumerate(rows, 1):
        ax.plot(
            [row.conf_low - row.truth, row.conf_high - row.truth],
            [place, place],
            color=COMPARISON if row.covered else TREATED,
            linewidth=1.2 if row.covered else 3.2,
        )
        ax.plot(row.estimate - row.truth, place, "o", markersize=3, color="black")
    if len(rows) <= 25:
        ax.set_yticks(range(1, len(rows) + 1), [str(row.seed) for row in rows])
    points_axis(ax, True, "x")
