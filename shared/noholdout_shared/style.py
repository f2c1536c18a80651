"""One plot grammar: the same colours, the same lines, readable in greyscale and colour-blind."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from noholdout_shared.estimate import Estimate

# Okabe-Ito colours that also differ in lightness.
TREATED = "#D55E00"
COMPARISON = "#0072B2"
THIRD = "#009E73"
NEUTRAL = "#6B6B6B"
FAINT = "#C9C9C9"
COUNTERFACTUAL_LINE = "--"

RC: Any = {
    "figure.figsize": (7.2, 4.2),
    "figure.dpi": 100,
    "savefig.dpi": 130,
    "savefig.bbox": "tight",
    "font.size": 10,
    # A "$" in a user's column or unit is a dollar, not the beginning of a formula.
    "text.parse_math": False,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
}


LONGEST_LABEL = 32


def short_label(text: object, most: int = LONGEST_LABEL) -> str:
    """A name from the data cut to what an axis has room for."""
    plain = str(text)
    return plain if len(plain) <= most else plain[: most - 1] + "…"


def house_style() -> AbstractContextManager[None]:
    """A context with the house style; matplotlib's own settings stay as they were."""
    import matplotlib as mpl

    return mpl.rc_context(RC)


def axes(ax: Axes | None = None) -> Axes:
    """``ax``, or the axes of a new figure in the house style."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    with house_style():
        return plt.subplots(layout="constrained")[1]


def mark_launch(ax: Axes, at: Any, label: str = "launch") -> None:
    """The vertical line at a launch or a cutoff, with its name at the top."""
    ax.axvline(at, color=NEUTRAL, linewidth=1.1, linestyle=":")
    ax.annotate(
        label,
        (at, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(3, -3),
        textcoords="offset points",
        va="top",
        ha="left",
        color=NEUTRAL,
        fontsize=9,
    )


def percent_axis(ax: Axes, proportion: bool, axis: str = "y") -> None:
    """Show a share in percent on that axis; leave other units as they are."""
    if proportion:
        from matplotlib.ticker import PercentFormatter

        getattr(ax, f"{axis}axis").set_major_formatter(PercentFormatter(xmax=1.0))


def points_axis(ax: Axes, proportion: bool, axis: str = "y") -> None:
    """Show an effect on a share in percentage points with its sign."""
    if proportion:
        from matplotlib.ticker import FuncFormatter

        formatter = FuncFormatter(lambda value, _: f"{100 * value:+.3g}" if value else "0")
        getattr(ax, f"{axis}axis").set_major_formatter(formatter)


def plot_interval(estimate: Estimate, ax: Axes | None = None) -> Axes:
    """One estimate with its interval against zero."""
    ax = axes(ax)
    ax.axvline(0, color=NEUTRAL, linewidth=1)
    half = [[estimate.estimate - estimate.conf_low], [estimate.conf_high - estimate.estimate]]
    ax.errorbar([estimate.estimate], [0], xerr=half, fmt="o", color=TREATED, capsize=4)
    ax.set_yticks([0], [estimate.method])
    ax.set_xlabel(f"effect on {estimate.outcome}" + (" (points)" if estimate.proportion else ""))
    points_axis(ax, estimate.proportion, "x")
    ax.set_title(estimate.estimand)
    return ax
