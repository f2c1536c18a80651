"""Before a launch: how many tenants to pin, and for how long, to see an effect of a given size."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from noholdout_shared.arguments import check_level, check_seed
from noholdout_shared.errors import DataError, DesignError
from noholdout_shared.inference import POWER, critical_value
from noholdout_shared.input import Missing, read_rows
from noholdout_shared.jsonable import jsonable, records
from scipy import optimize, special

from noholdout_synthetic_control.estimators.demeaned import demeaned_build
from noholdout_synthetic_control.estimators.study import make_study
from noholdout_synthetic_control.panel import Panel, read_panel

SIZES = (4, 6, 8, 10, 12, 16)
MIN_PINNED = 3
DRAWS = 100
MIN_REGIONS = 4  # one to launch in, three placebos


@dataclass(frozen=True)
class HoldoutPlan:
    """What pinning would buy.

    Parameters
    ----------
    designs
        One row a number of pinned units and of periods after the launch: the mean standard
        error, its degrees of freedom, the smallest effect found with 80% power, and, over the
        fake launches in the history, the error made and the share of intervals that held zero.
    recommended, periods
        Units (or regions) to pin, and for how long after the launch, in the smallest design that
        finds ``effect``, or in the largest tried.
    effect
        The effect to be found, or ``None``.
    settings
        Draws, fake launches and history used.
    """

    designs: pd.DataFrame
    recommended: tuple[Any, ...]
    periods: int
    effect: float | None
    settings: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: the designs as rows, the recommended units, the settings."""
        return {
            "designs": records(self.designs),
            "recommended": jsonable(self.recommended),
            "periods": self.periods,
            "effect": self.effect,
            "settings": jsonable(self.settings),
        }

    def summary(self) -> str:
        """The table and the recommendation as text of 80 columns."""
        regions = self.settings["first_region"] is not None
        lines = [
            f"{'Regions held back' if regions else 'Pinned tenants'}: what could be found, from "
            "fake launches in your own history",
            "",
            "pinned  periods  std error    df  smallest effect  error made  held zero",
        ]
        for row in self.designs.itertuples():
            lines.append(
                f"{row.pinned:>6}  {row.periods:>7}  {row.std_error:>9.4f}  {row.df:>4.1f}"
                f"  {row.smallest_effect:>15.4f}  {row.rmse:>10.4f}  {row.coverage:>9.2f}"
            )
        explained = (
            "Smallest effect: what a launch must change for the interval to leave zero out four "
            "times in five. Error made, held zero: of the fake launches' estimates and intervals. "
            f"All in units of {self.settings['outcome']}."
        )
        enough = ""
        if self.effect is not None:
            enough = (
                f", the smallest design here that finds an effect of {self.effect:g}"
                if (self.designs["smallest_effect"] <= self.effect).any()
                else f", the largest design here; none finds an effect of {self.effect:g}"
            )
        names = ", ".join(str(unit) for unit in self.recommended)
        told = (
            f"Pin {len(self.recommended)} for {self.periods} periods{enough}. "
            f"Drawn by lot: {names}."
        )
        if regions:
            told = (
                f"Launch in one region first and hold the others for {self.periods} periods"
                f"{enough}. Drawn by lot: launch in {self.settings['first_region']}, hold {names}."
            )
        lines += ["", *textwrap.wrap(explained, 80), "", *textwrap.wrap(told, 80)]
        return "\n".join(lines)


def plan(
    data: Any,
    *,
    outcome: str,
    unit: str,
    time: str,
    effect: float | None = None,
    pinned: Sequence[int] | None = None,
    periods: Sequence[int] = (14, 28),
    draws: int | None = None,
    weights: str | None = None,
    cluster: str | None = None,
    conf_level: float = 0.95,
    missing: Missing = "refuse",
    seed: int = 0,
) -> HoldoutPlan:
    """How many units must stay on the old version, and how long, before a launch is measurable?

    For each design, units to pin are drawn by lot ``draws`` times, a launch without effect is
    placed at the end of the history, and the default estimate with its interval is taken: the
    smallest effect is the one for which, over the draws, such intervals leave zero out with 80%
    power, and the errors made check it. All draws share one history, so that the last two columns
    check it only roughly. Nothing may have been launched in these data.

    With ``cluster`` whole regions are held: the launch comes in one region first, each in turn for
    the table, and the other regions are its placebos.

    Parameters
    ----------
    data, outcome, unit, time, weights, missing
        As in :func:`noholdout_synthetic_control.estimate`; only the time before the launch.
    effect
        The effect to be found, in the outcome's units (0.03 is three points of a share).
    pinned, periods
        Numbers of units to pin (4, 6, 8, 10, 12 and 16) and of periods after the launch to try.
    draws
        Draws of units a design (100).
    cluster
        Column of regions, which then are held instead of units; no ``pinned`` and no ``draws``.

    Raises
    ------
    DesignError
        The history is too short, or there are too few units, for any design asked.
    """
    check_level(conf_level)
    check_seed(seed)
    if effect is not None and not effect > 0:
        raise DataError(f"effect is {effect}.", "", "Give the size to be found, above zero.")
    if cluster is not None and not (pinned is None and draws is None):
        raise DataError(
            "cluster was given with pinned or draws.",
            "Regions are held whole: all but the one that the launch comes to first, each in turn.",
            "Leave pinned and draws out, or cluster.",
        )
    pinned, draws = SIZES if pinned is None else pinned, DRAWS if draws is None else draws
    if draws < 20:
        raise DataError(f"draws is {draws}.", "Fewer than 20 say little.", "Use 100.")
    panel = _history(data, outcome, unit, time, weights, cluster, missing)
    units, length = panel.outcomes.shape
    rng = np.random.default_rng(seed)
    if panel.groups is None:
        sizes = sorted({k for k in pinned if MIN_PINNED <= k <= units // 2})
        lots = {k: [np.sort(rng.permutation(units)[:k]) for _ in range(draws)] for k in sizes}
    else:
        lots = _regions(panel.groups, str(cluster))
    spans = sorted({p for p in periods if 1 <= p <= length // 3})
    if not lots or not spans:
        raise DesignError(
            f"{units} units over {length} periods allow none of the designs asked (pinned "
            f"{list(pinned)}, periods {list(periods)}).",
            f"At least {MIN_PINNED} and at most half of the units can be pinned, and the history "
            "must be three times the time after the launch.",
            "Ask for other numbers, or bring more history.",
        )
    rows = [
        {"pinned": size, **_try(panel, tried, span, conf_level)}
        for size, tried in lots.items()
        for span in spans
    ]
    designs = pd.DataFrame(rows)
    if designs["smallest_effect"].isna().all():
        raise DesignError(
            f"No design has an error: in these {length} periods units differ by rounding alone.",
            "How far they stray by themselves is what a plan is made of.",
            "Check that the outcome was logged for each unit.",
        )
    chosen = designs.iloc[-1]
    if effect is not None and (designs["smallest_effect"] <= effect).any():
        chosen = designs[designs["smallest_effect"] <= effect].iloc[0]
    settings = {
        "outcome": outcome, "draws": draws, "seed": seed, "units": units, "history": length,
        "first_region": None,
    }  # fmt: skip
    if panel.groups is None or panel.group_labels is None:
        names = tuple(panel.units[lots[int(chosen["pinned"])][0]].tolist())
    else:
        labels = panel.group_labels.tolist()
        settings |= {
            "draws": len(labels),
            "first_region": labels.pop(int(rng.integers(len(labels)))),
        }
        names = tuple(labels)
    return HoldoutPlan(designs, names, int(chosen["periods"]), effect, settings)


def _regions(groups: np.ndarray, cluster: str) -> dict[int, list[np.ndarray]]:
    """Everyone outside each region, by the number of regions held."""
    labels = np.unique(groups)
    if labels.size < MIN_REGIONS:
        raise DesignError(
            f"{cluster!r} holds {labels.size} regions.",
            f"One gets the launch and the others are its placebos: {MIN_REGIONS} are the least.",
            "Leave cluster out and pin tenants.",
        )
    return {labels.size - 1: [np.flatnonzero(groups != label) for label in labels]}


def _history(
    data: Any,
    outcome: str,
    unit: str,
    time: str,
    weights: str | None,
    cluster: str | None,
    missing: Missing,
) -> Panel:
    """The panel; the launch is only a place holder, since nothing has been launched."""
    rows = read_rows(data, [unit, time], missing=missing).frame
    last = rows[time].max()
    return read_panel(
        data,
        outcome=outcome,
        unit=unit,
        time=time,
        treated=[rows[unit].iloc[0]],
        start=last,
        weights=weights,
        cluster=cluster,
        missing=missing,
        donors_needed=False,
    )


def _try(panel: Panel, lots: list[np.ndarray], span: int, conf_level: float) -> dict[str, float]:
    """One design: the default estimate of a launch that never was, for every lot."""
    units, length = panel.outcomes.shape
    errors, found, held = [], [], 0
    for donors in lots:
        treated = np.ones(units, dtype=bool)
        treated[donors] = False
        faked = replace(panel, treated=treated, n_pre=length - span)
        study = make_study(faked, {"conf_level": conf_level})
        build = demeaned_build(faked.default_block(), "exact")
        analysis = study.analyse(build, every_placebo=False)
        known = analysis.uncertainty
        if not known.std_error > 0:
            continue
        effect = analysis.fit.effect
        errors.append(effect)
        found.append((known.std_error, known.sampling_error, known.df))
        held += abs(effect) <= critical_value(conf_level, known.df) * known.std_error
    std_error, spread, df = np.array(found).T if found else np.full((3, 1), math.nan)
    return {
        "periods": span,
        "std_error": math.sqrt(float(np.mean(std_error**2))),
        "df": float(np.median(df)),
        "smallest_effect": effect_with_power(std_error, spread, df, conf_level),
        "rmse": float(np.sqrt(np.mean(np.square(errors)))) if errors else math.nan,
        "coverage": held / len(errors) if errors else math.nan,
    }


def effect_with_power(
    std_error: np.ndarray, spread: np.ndarray, df: np.ndarray, conf_level: float
) -> float:
    """The effect that intervals of these sizes leave zero out for, four times in five.

    Lots differ in their standard errors, so that the powers are averaged and not the errors; the
    interval may allow for more (``std_error``) than estimates stray (``spread``).
    """
    if not (std_error > 0).all():
        return math.nan
    reach = np.array([critical_value(conf_level, d) for d in df]) * std_error

    def missing(effect: float) -> float:
        return float(special.stdtr(df, (effect - reach) / spread).mean()) - POWER

    top = float((reach + 10 * spread).max())
    return float(optimize.brentq(missing, 0.0, top, xtol=1e-6 * top))
