"""Pictures of a synthetic control, all drawn from the estimate's tables."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from noholdout_shared.estimate import Estimate
from noholdout_shared.render import effect_text
from noholdout_shared.style import (
    COMPARISON,
    COUNTERFACTUAL_LINE,
    FAINT,
    NEUTRAL,
    TREATED,
    axes,
    house_style,
    mark_launch,
    percent_axis,
    points_axis,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_estimate(estimate: Estimate, ax: Axes | None = None) -> Axes:
    """Treated against synthetic; without ``ax``, a figure with the gap and its placebos below."""
    if ax is not None:
        return plot_path(estimate, ax)
    import matplotlib.pyplot as plt

    fakes = "in_time_placebos" in estimate.tables
    heights = (3, 2, 2) if fakes else (3, 2)
    with house_style():
        _, panels = plt.subplots(
            len(heights), 1, figsize=(7.2, 6.4 + 2.4 * fakes), sharex=True, layout="constrained",
            height_ratios=heights,
        )  # fmt: skip
        plot_path(estimate, panels[0])
        plot_gap(estimate, panels[1])
        panels[0].set_xlabel("")
        if fakes:
            plot_in_time(estimate, panels[2])
    first: Axes = panels[0]
    return first


def plot_metrics(estimate: Estimate) -> Axes:
    """Small multiples: each metric's path against its twin, its effect with the joint band."""
    import matplotlib.pyplot as plt

    table, paths = estimate.tables["metrics"], estimate.tables["metric_paths"]
    columns = 2 if len(table) > 1 else 1
    rows = -(-len(table) // columns)
    with house_style():
        size = (4.6 * columns, 2.9 * rows)
        figure, grid = plt.subplots(
            rows, columns, figsize=size, squeeze=False, layout="constrained"
        )
        for ax, row in zip(grid.flat, table.to_dict("records"), strict=False):
            name, shares = row["metric"], bool(row["proportion"])
            own = paths[paths["metric"] == name].reset_index(drop=True)
            plot_path(replace(estimate, proportion=shares, tables={"path": own}), ax)
            low, high = (effect_text(row[f"band_{end}"], shares) for end in ("low", "high"))
            effect = effect_text(row["estimate"], shares).removesuffix(" points")
            band = f"{effect} ({low.removesuffix(' points')} to {high})"
            ax.set_title(f"{name}\n{band}", fontsize=10)
            ax.set_ylabel("")
            legend = ax.get_legend()
            if legend is not None and ax is not grid.flat[0]:
                legend.remove()
        for ax in grid.flat[len(table) :]:
            ax.set_visible(False)
        level = f"{100 * estimate.conf_level:g}%"
        title = f"Treated against synthetic; effects with {level} joint bands"
        figure.suptitle(title, x=0.01, ha="left")
    first: Axes = grid[0, 0]
    return first


def plot_path(estimate: Estimate, ax: Axes | None = None, *, smooth: int | None = None) -> Axes:
    """Treated against synthetic (dashed) with the synthetic path's pointwise band.

    Daily paths are drawn faintly under their 7-day means when the fit was on such means;
    ``smooth`` sets another number of periods.
    """
    ax = axes(ax)
    path = estimate.tables["path"]
    time, start = _times(path["time"]), estimate.settings["launch"]
    span = estimate.settings.get("block", 1) if smooth is None else smooth
    observed, synthetic = path["observed"], path["synthetic"]
    low, high = observed - path["conf_high"], observed - path["conf_low"]
    if span > 1:
        ax.plot(time, observed, color=TREATED, linewidth=0.6, alpha=0.35)
        ax.plot(time, synthetic, color=COMPARISON, linewidth=0.6, alpha=0.35)
    after = (path["time"] >= start).to_numpy()
    lines = [_smooth(series, after, span) for series in (observed, synthetic, low, high)]
    label = f"pointwise {100 * estimate.conf_level:g}% band"
    ax.fill_between(time, lines[2], lines[3], color=COMPARISON, alpha=0.15, lw=0, label=label)
    name = "treated" if span == 1 else f"treated, {span}-period means"
    ax.plot(time, lines[0], color=TREATED, label=name)
    ax.plot(time, lines[1], color=COMPARISON, linestyle=COUNTERFACTUAL_LINE, label="synthetic")
    mark_launch(ax, _time(start))
    percent_axis(ax, estimate.proportion)
    ax.set_ylabel(estimate.outcome.replace("_", " "))
    ax.set_xlabel("periods since the launch" if "launches" in estimate.settings else "")
    ax.legend(loc="best", fontsize=9)
    ax.set_title("Treated against its synthetic twin")
    _date_ticks(ax, path["time"])
    return ax


def plot_gap(estimate: Estimate, ax: Axes | None = None) -> Axes:
    """The gap with every donor's placebo gap in grey."""
    ax = axes(ax)
    path, placebos = estimate.tables["path"], estimate.tables.get("placebo_gaps")
    start = estimate.settings["launch"]
    time, span = _times(path["time"]), estimate.settings.get("block", 1)
    after = (path["time"] >= start).to_numpy()
    groups: Any = [] if placebos is None else placebos.groupby("unit", sort=False)
    for index, (_, rows) in enumerate(groups):
        line = _smooth(rows["gap"].reset_index(drop=True), after, span)
        label = "placebos: each donor" if index == 0 else None
        ax.plot(time, line, color=FAINT, linewidth=0.7, label=label)
    ax.axhline(0, color=NEUTRAL, linewidth=0.9)
    ax.plot(time, _smooth(path["gap"], after, span), color=TREATED, label="treated")
    mark_launch(ax, _time(start))
    points_axis(ax, estimate.proportion)
    ax.set_ylabel("gap (points)" if estimate.proportion else "gap")
    ax.set_xlabel("periods since the launch" if "launches" in estimate.settings else "")
    ax.legend(loc="upper left", fontsize=9)
    ax.set_title("Gap between treated and synthetic")
    _date_ticks(ax, path["time"])
    return ax


def plot_in_time(estimate: Estimate, ax: Axes | None = None) -> Axes:
    """What fake launches would have shown, each with its interval, beside the real one."""
    ax = axes(ax)
    table, start = estimate.tables["in_time_placebos"], estimate.settings["launch"]
    level = f"{100 * estimate.conf_level:g}%"
    times = _times(table["start"])
    drawn = (
        (times, table, COMPARISON, f"fake launches, {level}"),
        ([_time(start)], vars(estimate), TREATED, "the launch"),
    )
    for where, found, colour, label in drawn:
        middle = np.atleast_1d(found["estimate"])
        reach = [middle - found["conf_low"], found["conf_high"] - middle]
        ax.errorbar(
            where, middle, yerr=np.atleast_2d(np.squeeze(reach)).reshape(2, -1), fmt="o",
            color=colour, capsize=3, label=label,
        )  # fmt: skip
    ax.axhline(0, color=NEUTRAL, linewidth=0.9)
    mark_launch(ax, _time(start))
    points_axis(ax, estimate.proportion)
    ax.set_ylabel("effect (points)" if estimate.proportion else "effect")
    ax.legend(loc="upper left", fontsize=9)
    ax.set_title(f"Would a fake launch have shown an effect? ({table['periods'][0]} periods each)")
    _date_ticks(ax, estimate.tables["path"]["time"])
    return ax


def plot_weights(estimate: Estimate, ax: Axes | None = None, *, largest: int = 15) -> Axes:
    """The donors that carry the twin, the ``largest`` at most."""
    ax = axes(ax)
    table = estimate.tables["weights"]
    shown = table[table["weight"] > 1e-6].nlargest(largest, "weight").iloc[::-1]
    ax.barh([str(unit) for unit in shown["unit"]], shown["weight"], color=COMPARISON)
    ax.set_xlabel("weight in the synthetic twin")
    left = int((table["weight"] > 1e-6).sum()) - len(shown)
    ax.set_title("Donors" + (f" (and {left} with less weight)" if left > 0 else ""))
    ax.grid(axis="y", visible=False)
    return ax


def plot_leave_one_out(estimate: Estimate, ax: Axes | None = None, *, largest: int = 15) -> Axes:
    """The estimate without each donor that carries weight, those that move it most first."""
    ax = axes(ax)
    carries = estimate.tables["weights"]["weight"] > 1e-6
    table = estimate.tables["leave_one_out"][carries].dropna()
    order = (table["estimate"] - estimate.estimate).abs().nlargest(largest).index[::-1]
    shown = table.loc[order]
    ax.axvspan(estimate.conf_low, estimate.conf_high, color=COMPARISON, alpha=0.15, lw=0)
    ax.axvline(estimate.estimate, color=COMPARISON, linestyle=COUNTERFACTUAL_LINE)
    ax.plot(shown["estimate"], [str(unit) for unit in shown["unit"]], "o", color=TREATED)
    ax.set_xlabel("effect without that donor" + (" (points)" if estimate.proportion else ""))
    points_axis(ax, estimate.proportion, "x")
    ax.set_title("Leave one donor out")
    return ax


def plot_ranking(estimate: Estimate, ax: Axes | None = None) -> Axes:
    """RMSPE after over before the launch: the treated side among every donor's placebo."""
    ax = axes(ax)
    ratios = estimate.tables["placebos"]["rmspe_ratio"].dropna().to_numpy()
    own = float(estimate.settings["rmspe_ratio"])
    everyone = np.sort(np.append(ratios, own))
    rank = int(np.searchsorted(everyone, own))
    colours = [FAINT] * everyone.size
    colours[rank] = TREATED
    ax.bar(np.arange(everyone.size), everyone, color=colours)
    place = everyone.size - rank
    ax.annotate(
        f"treated: {place} of {everyone.size}",
        (rank, own),
        xytext=(-8, 10),
        textcoords="offset points",
        ha="right" if rank > everyone.size / 2 else "left",
        color=TREATED,
    )
    ax.set_xticks([])
    ax.margins(y=0.15)
    ax.set_xlabel("treated and placebos, in order")
    ax.set_ylabel("RMSPE after / before")
    ax.set_title("How unusual is the gap?")
    return ax


def _times(values: pd.Series) -> Any:
    return values.to_numpy()


def _time(value: Any) -> Any:
    return np.datetime64(value) if isinstance(value, (pd.Timestamp, np.datetime64)) else value


def _smooth(series: pd.Series, after: np.ndarray, span: int) -> np.ndarray:
    """Centred moving means that never reach across the launch."""
    if span == 1:
        return series.to_numpy()
    parts = [
        series[side].rolling(span, center=True, min_periods=max(span // 2, 1)).mean()
        for side in (~after, after)
    ]
    return pd.concat(parts).sort_index().to_numpy()


def _date_ticks(ax: Axes, times: pd.Series) -> None:
    if not pd.api.types.is_datetime64_any_dtype(times):
        if (times == times.round()).all():  # years and weeks have no halves
            from matplotlib.ticker import MaxNLocator

            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        return
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(maxticks=8)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
