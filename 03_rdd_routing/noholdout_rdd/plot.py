"""The pictures of a threshold: binned means with both fits, the sweep, the density."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from noholdout_shared import style
from noholdout_shared.errors import DataError
from noholdout_shared.inference import critical_value

from noholdout_rdd.inference import Effect
from noholdout_rdd.kernels.bins import binned_means, fitted_curve, optimal_bins
from noholdout_rdd.kernels.local import Spec, local_fit
from noholdout_rdd.threshold_data import ThresholdData

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from noholdout_rdd.result import RddEstimate

Columns = dict[str, np.ndarray]

DENSITY_BINS = 20  # bins of the score a side
REACH = 3.0  # the picture shows this many bandwidths around the cutoff


def picture_tables(
    data: ThresholdData, effect: Effect, spec: Spec, conf_level: float
) -> dict[str, pd.DataFrame]:
    """``binned_means`` and ``fits`` in the outcome's units, for the picture."""
    bins: list[Columns] = []
    fits: list[Columns] = []
    for side, h, direction in zip(data.sides, effect.h, (-1, 1), strict=True):
        reach = min(REACH * h, float(side.distance[-1]))
        found = binned_means(side, reach, optimal_bins(side, reach))
        bins.append(
            {
                "score": data.cutoff + direction * found.middle,
                "mean": found.mean,
                "std_error": found.std_error,
                "n": found.rows,
            }
        )
        fit = local_fit(side, h, spec.degree, spec.kernel)
        curve = fitted_curve(side, fit, side.noise(fit.n)[0])
        half = critical_value(conf_level) * curve.std_error
        fits.append(
            {
                "score": data.cutoff + direction * curve.distance,
                "fit": curve.fit,
                "band_low": curve.fit - half,
                "band_high": curve.fit + half,
            }
        )
    return {
        "score_density": _score_density(data, max(effect.h)),
        "binned_means": _both_sides(bins),
        "fits": _both_sides(fits),
    }


def _both_sides(columns: list[Columns]) -> pd.DataFrame:
    """The columns of both sides below each other, by score."""
    below, above = columns
    score = np.concatenate((below["score"], above["score"]))
    order = np.argsort(score, kind="stable")
    names = np.repeat(["below", "above"], [below["score"].size, above["score"].size])
    table = {"side": names.astype(object)[order]}
    table |= {name: np.concatenate((below[name], above[name]))[order] for name in below}
    return pd.DataFrame(table)


def _score_density(data: ThresholdData, h: float) -> pd.DataFrame:
    """A histogram of the scores whose bins meet at the cutoff."""
    width = REACH * h / DENSITY_BINS
    # On a grid, bins that hold different numbers of its values would look like a jump.
    grid = min(float(np.diff(side.different).min(initial=np.inf)) for side in data.sides)
    if grid > width / 5:
        width = grid * max(1, round(width / grid))
    parts: list[Columns] = []
    for side, direction in zip(data.sides, (-1, 1), strict=True):
        n = side.within(REACH * h, "uniform")
        place = (side.distance[:n] / width * (1 + 1e-9)).astype(int)
        # A row at distance 0 is above; below, a row on a bin's far edge belongs to that bin.
        if direction < 0:
            place = np.maximum(np.ceil(side.distance[:n] / width * (1 - 1e-9)).astype(int) - 1, 0)
        rows = np.bincount(place, weights=side.each(n)).astype(np.int64)
        middle = data.cutoff + direction * (np.arange(rows.size) + 0.5) * width
        density = rows / (data.n_obs * width)
        parts.append(
            {
                "score": middle,
                "n": rows,
                "density": density,
                "width": np.full(rows.size, width),
            }
        )
    return _both_sides(parts)


def plot_density(estimate: RddEstimate, ax: Axes | None = None) -> Axes:
    """How many scores lie on both sides of the cutoff: a step there says that scores were moved."""
    ax = style.axes(ax)
    table = estimate.tables["score_density"]
    for side in ("below", "above"):
        is_treated = side == estimate.settings["treated_side"]
        rows = table[table["side"] == side]
        ax.bar(
            rows["score"],
            rows["density"],
            width=rows["width"] * 0.94,
            color=style.TREATED if is_treated else style.COMPARISON,
            alpha=0.55,
            hatch="//" if is_treated else None,
            edgecolor="white",
            linewidth=0,
            label="treated side" if is_treated else "other side",
        )
    cutoff = float(estimate.settings["cutoff"])
    style.mark_launch(ax, cutoff, f"cutoff {cutoff:g}")
    ax.set_xlabel(str(estimate.settings["running"]))
    ax.set_ylabel("density")
    ax.set_title("Scores on both sides of the cutoff")
    ax.legend(loc="best")
    return ax


def plot_threshold(estimate: RddEstimate, ax: Axes | None = None) -> Axes:
    """Binned means with both local fits and their bands around the cutoff."""
    ax = style.axes(ax)
    treated = "above" if estimate.settings["treated_side"] == "above" else "below"
    words = {True: "treated side", False: "other side"}
    for side in ("below", "above"):
        is_treated = side == treated
        colour = style.TREATED if is_treated else style.COMPARISON
        bins = estimate.tables["binned_means"].query("side == @side")
        fits = estimate.tables["fits"].query("side == @side")
        size = 12 + 60 * bins["n"] / estimate.tables["binned_means"]["n"].max()
        marker = "o" if is_treated else "s"
        ax.scatter(
            bins["score"], bins["mean"], s=size, color=colour, alpha=0.45, marker=marker, lw=0
        )
        ax.fill_between(
            fits["score"], fits["band_low"], fits["band_high"], color=colour, alpha=0.18, lw=0
        )
        ax.plot(fits["score"], fits["fit"], color=colour, label=words[is_treated])
    cutoff = float(estimate.settings["cutoff"])
    style.mark_launch(ax, cutoff, f"cutoff {cutoff:g}")
    style.percent_axis(ax, estimate.proportion)
    below = estimate.settings.get("denominator")
    name = f"{estimate.outcome} / {below}" if below else estimate.outcome
    ax.set_xlabel(str(estimate.settings["running"]))
    ax.set_ylabel(name)
    ax.set_title(f"The jump in {name} at the cutoff")
    ax.legend(loc="best")
    return ax


def plot_sweep(estimate: RddEstimate, ax: Axes | None = None) -> Axes:
    """The robust estimate and its interval over bandwidths; the chosen one is marked."""
    ax = style.axes(ax)
    table = estimate.tables["sweep"]
    ax.fill_between(
        table["bandwidth"], table["conf_low"], table["conf_high"], color=style.TREATED, alpha=0.18
    )
    ax.plot(table["bandwidth"], table["estimate"], color=style.TREATED, marker="o", ms=4)
    ax.axhline(0, color=style.NEUTRAL, linewidth=1)
    style.mark_launch(ax, float(estimate.tables["bandwidths"]["h"].max()), "chosen")
    style.points_axis(ax, estimate.proportion)
    ax.set_xlabel(f"bandwidth: rows within this distance in {estimate.settings['running']}")
    ax.set_ylabel("effect" + (" (points)" if estimate.proportion else ""))
    ax.set_title("The effect over bandwidths, with its interval")
    return ax


def plot_placebos(estimate: RddEstimate, ax: Axes | None = None) -> Axes:
    """The jump at the cutoff beside jumps where nothing switches."""
    ax = style.axes(ax)
    table = estimate.tables["placebo_cutoffs"]
    half = np.abs(table[["conf_low", "conf_high"]].sub(table["estimate"], axis=0).to_numpy()).T
    ax.errorbar(
        table["cutoff"],
        table["estimate"],
        yerr=half,
        fmt="s",
        color=style.COMPARISON,
        capsize=3,
        label="placebo cutoff",
    )
    own = [[estimate.estimate - estimate.conf_low], [estimate.conf_high - estimate.estimate]]
    cutoff = float(estimate.settings["cutoff"])
    ax.errorbar(
        [cutoff],
        [estimate.estimate],
        yerr=own,
        fmt="o",
        color=style.TREATED,
        capsize=3,
        label="the cutoff",
    )
    ax.axhline(0, color=style.NEUTRAL, linewidth=1)
    style.points_axis(ax, estimate.proportion)
    ax.set_xlabel(str(estimate.settings["running"]))
    ax.set_ylabel("jump" + (" (points)" if estimate.proportion else ""))
    ax.set_title("Jumps where nothing switches")
    ax.legend(loc="best")
    return ax


def plot_price(estimate: RddEstimate, ax: Axes | None = None) -> Axes:
    """The change in the outcome per 1,000 users over new cutoffs, faint beyond the reach."""
    if "price" not in estimate.tables:
        raise DataError(
            "This estimate holds no price of the threshold.",
            "",
            "Estimate again with costs=[...] or step=....",
        )
    ax = style.axes(ax)
    table = estimate.tables["price"]
    name, cutoff = estimate.outcome, float(estimate.settings["cutoff"])
    here = pd.DataFrame(
        [{"cutoff": cutoff, f"{name}_change": 0.0, f"{name}_low": 0.0, f"{name}_high": 0.0}]
    )
    full = pd.concat([table, here]).sort_values("cutoff")
    ax.fill_between(
        full["cutoff"], full[f"{name}_low"], full[f"{name}_high"], color=style.FAINT, alpha=0.5
    )
    ax.plot(full["cutoff"], full[f"{name}_change"], style.COUNTERFACTUAL_LINE, color=style.NEUTRAL)
    near = full[(full["cutoff"] - cutoff).abs() <= estimate.settings["price_reach"] * (1 + 1e-9)]
    ax.fill_between(
        near["cutoff"], near[f"{name}_low"], near[f"{name}_high"], color=style.TREATED, alpha=0.25
    )
    ax.plot(
        near["cutoff"],
        near[f"{name}_change"],
        color=style.TREATED,
        marker="o",
        ms=4,
        label="within the data's reach",
    )
    ax.axhline(0, color=style.NEUTRAL, linewidth=1)
    style.mark_launch(ax, cutoff, "cutoff now")
    ax.set_xlabel(f"new cutoff of {estimate.settings['running']}")
    below = estimate.settings.get("denominator")
    ax.set_ylabel(f"{name} / {below}, all users" if below else f"{name} per 1,000 users")
    ax.set_title("What moving the cutoff would change")
    ax.legend(loc="best")
    return ax
