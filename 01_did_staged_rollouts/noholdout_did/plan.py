"""Before a launch: how many workspaces, in how many waves, for how long?"""

from __future__ import annotations

from dataclasses import dataclass, field
from textwrap import wrap
from typing import Any

import numpy as np
import pandas as pd
from noholdout_shared.arguments import check_level
from noholdout_shared.errors import DataError, DesignError
from noholdout_shared.inference import critical_value
from noholdout_shared.input import Missing, codes, is_proportion, outcome, read_rows
from noholdout_shared.jsonable import jsonable, records
from noholdout_shared.render import effect_text
from scipy import special

from noholdout_did.kernels.aggregate import aggregate
from noholdout_did.kernels.group_time import contrasts, grid
from noholdout_did.kernels.moments import Moments

WAVES = (2, 3, 4)


@dataclass(frozen=True, kw_only=True)
class DidPlan:
    """What staged rollouts of these workspaces could find.

    Parameters
    ----------
    table
        One row a plan: ``waves, periods_between, periods_total, std_error, smallest_effect,
        units_needed`` (for ``effect``; empty when none was given). The launch reaches the last
        wave after ``periods_total`` periods, and the answer is in then.
    advice
        The quickest plan that finds ``effect``, or why there is none, in a sentence.
    """

    outcome: str
    unit: str
    units: int
    periods_seen: int
    power: float
    conf_level: float
    effect: float | None
    proportion: bool
    table: pd.DataFrame
    advice: str
    settings: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON-able values."""
        plain = {name: jsonable(value) for name, value in vars(self).items() if name != "table"}
        return {"plan": "did", **plain, "table": records(self.table)}

    def summary(self) -> str:
        """The plan as plain text."""
        lines = [
            f"Plan: staged rollout over {self.units:,} values of {self.unit}",
            f"  variance     from {self.periods_seen} periods before the launch",
            f"  could find   with {self.power:.0%} power, by waves and periods between them:",
        ]
        for row in self.table.itertuples():
            size = effect_text(float(str(row.smallest_effect)), self.proportion, signed=False)
            lines.append(
                f"               {row.waves} waves, {row.periods_between} apart "
                f"(answer after {row.periods_total}): {size}"
            )
        lines += wrap(self.advice, 78, initial_indent="  ", subsequent_indent="  ")
        return "\n".join(lines)


def variogram(panel: np.ndarray) -> np.ndarray:
    """Half the variance, across units, of changes over k periods; shape ``(T,)``, 0 at k = 0.

    Parameters
    ----------
    panel
        Shape ``(units, T)``; ``nan`` where a unit wasn't seen.
    """
    n_periods = panel.shape[1]
    out = np.zeros(n_periods)
    for k in range(1, n_periods):
        change = panel[:, k:] - panel[:, :-k]
        seen = (~np.isnan(change)).sum(axis=0)
        spread = np.nanvar(change[:, seen > 1], axis=0, ddof=1)
        out[k] = 0.5 * float(np.average(spread, weights=seen[seen > 1] - 1))
    return out


def plan_std_error(half_variance: np.ndarray, sizes: np.ndarray, gap: int) -> float:
    """Standard error of the simple group-time average when wave j launches at ``1 + j * gap``.

    Parameters
    ----------
    half_variance
        From :func:`variogram`, for every lag up to ``gap * (waves - 1)``.
    sizes
        Units in each wave, shape ``(waves,)``; the last is a control throughout.
    """
    waves = len(sizes)
    n_periods = 1 + gap * (waves - 1)
    launch = 1 + gap * np.arange(waves)
    weight = np.repeat(sizes[:, None].astype(float), n_periods, axis=1)
    blank = Moments(
        launch=launch,
        mean=np.zeros_like(weight),
        weight=weight,
        gram=(),
        features=None,
        members=(),
        share_features=np.zeros(2 * n_periods),
        part_sizes=sizes,
        n_clusters=int(sizes.sum()),
        nested=True,
    )
    cells = grid(launch, n_periods, "not-yet-treated", "varying", 0)
    cells = cells.take(cells.control.any(axis=1) & (cells.period >= launch[cells.cohort]))
    overall, _ = aggregate(blank, contrasts(blank, cells), cells, "simple")
    a = overall.linear.maps[:, :n_periods, 0]
    lag = np.abs(np.subtract.outer(np.arange(n_periods), np.arange(n_periods)))
    # Weights of a unit add up to zero, so levels cancel and the variogram is all that matters.
    variance = -np.einsum("cs,st,ct,c->", a, half_variance[lag], a, sizes.astype(float))
    return float(np.sqrt(max(variance, 0.0)))


def plan(
    data: Any,
    *,
    outcome: str,
    time: str,
    unit: str,
    effect: float | None = None,
    units: int | None = None,
    power: float = 0.8,
    conf_level: float = 0.95,
    missing: Missing = "refuse",
) -> DidPlan:
    """How small an effect could each wave plan find, judged by the team's own history?

    Assumes that outcomes move after the launch as they did before it, and waves drawn at random.

    Parameters
    ----------
    data
        Rows from before any launch, as in :func:`noholdout_did.estimate`; several rows a unit and
        period are averaged.
    outcome, time, unit
        Columns; the unit is what gets the launch as a whole (the workspace).
    effect
        Look for the quickest plan that finds it; in outcome units.
    units
        Planned number of units; as many as in the data when left out.
    power, conf_level, missing
        As elsewhere.

    Raises
    ------
    DesignError
        Fewer than three periods or eight units.

    Notes
    -----
    Variance of the group-time average with weights from the plan and the variogram of the units'
    paths; smallest effect after Bloom (1995), with units minus waves degrees of freedom.
    """
    check_level(conf_level)
    _check_numbers(effect, units, power)
    rows = read_rows(data, [outcome, time, unit], missing=missing)
    panel, proportion = _panel(rows.frame, outcome, time, unit)
    planned = panel.shape[0] if units is None else units
    _check_size(panel, planned, time, unit)
    half_variance = variogram(panel)
    table = _plans(half_variance, planned, panel.shape[1] - 1, effect, power, conf_level)
    return DidPlan(
        outcome=outcome,
        unit=unit,
        units=planned,
        periods_seen=panel.shape[1],
        power=power,
        conf_level=conf_level,
        effect=effect,
        proportion=proportion,
        table=table,
        advice=_advice(table, effect, planned, unit, proportion),
        settings=dict(rows.settings),
    )


def _check_numbers(effect: float | None, units: int | None, power: float) -> None:
    if not 0 < power < 1:
        raise DataError(f"power is {power}.", "It lies between 0 and 1.", "Use 0.8.")
    if effect is not None and not effect > 0:
        raise DataError(f"effect is {effect}.", "", "Name the size of the effect, above 0.")
    if units is not None and units < 8:
        raise DataError(f"units is {units}.", "Four a side is the least.", "Use 8 or more.")


def _panel(frame: pd.DataFrame, outcome_name: str, time: str, unit: str) -> tuple[np.ndarray, bool]:
    y = outcome(frame, outcome_name)
    period, periods = codes(frame, time)
    unit_code, labels = codes(frame, unit)
    cell = unit_code * len(periods) + period
    size = len(labels) * len(periods)
    count = np.bincount(cell, minlength=size)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(cell, weights=y, minlength=size) / count
    return mean.reshape(len(labels), len(periods)), is_proportion(y)


def _check_size(panel: np.ndarray, planned: int, time: str, unit: str) -> None:
    if panel.shape[1] < 3 or panel.shape[0] < 8 or planned < 8:
        raise DesignError(
            f"The data hold {panel.shape[0]} values of {unit!r} and {panel.shape[1]} of {time!r}.",
            "The variance of changes needs eight units and three periods at least.",
            "Add history, or plan a launch to more units.",
        )


def _plans(
    half_variance: np.ndarray,
    planned: int,
    longest: int,
    effect: float | None,
    power: float,
    conf_level: float,
) -> pd.DataFrame:
    rows = []
    for waves in WAVES:
        if planned // waves < 4:
            continue
        sizes = np.full(waves, planned // waves)
        sizes[: planned % waves] += 1
        df = float(planned - waves)
        steps = critical_value(conf_level, df) + float(special.stdtrit(df, power))
        for gap in _gaps(longest // (waves - 1)):
            se = plan_std_error(half_variance, sizes, gap)
            needed = np.nan if effect is None else np.ceil(planned * (steps * se / effect) ** 2)
            rows.append((waves, gap, gap * (waves - 1), se, steps * se, needed))
    columns = [
        "waves",
        "periods_between",
        "periods_total",
        "std_error",
        "smallest_effect",
        "units_needed",
    ]
    return pd.DataFrame(rows, columns=columns)


def _gaps(longest: int) -> list[int]:
    """1, 2, 4, ... and the longest that the history can judge."""
    doubling = [2**k for k in range(12) if 2**k < longest]
    return [*doubling, longest] if longest >= 1 else []


def _advice(
    table: pd.DataFrame, effect: float | None, planned: int, unit: str, proportion: bool
) -> str:
    if effect is None:
        return "Name --effect to get the quickest plan that finds it."
    size = effect_text(effect, proportion, signed=False)
    enough = table[table["smallest_effect"] <= effect]
    if len(enough):
        best = enough.sort_values(["periods_total", "waves"]).iloc[0]
        return (
            f"Quickest for {size}: {best['waves']:.0f} waves, {best['periods_between']:.0f} apart."
        )
    best = table.sort_values("units_needed").iloc[0]
    return (
        f"No plan here finds {size}: it would take about {best['units_needed']:,.0f} values of "
        f"{unit}, not {planned:,}."
    )
