"""Designs of a launch in a panel: staged waves, a synthetic twin, or the units' own past."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from noholdout.guide.columns import Table
from noholdout.guide.designs.design import Design, names_text
from noholdout.guide.designs.panel import (
    LONG_HISTORY,
    Launch,
    Panel,
    on_and_off,
    value_texts,
)

ENOUGH_DONORS = 3


def launch_designs(
    table: Table, panel: Panel, launch: Launch | None, outcome: str | None
) -> tuple[list[Design], dict[str, str]]:
    """What fits this panel, and by method why it can't work."""
    if outcome is None:
        still = f"No number moves within {panel.unit} over {panel.time}."
        return [], dict.fromkeys(("did", "synthetic_control"), still)
    if launch is None:
        return [_unknown(panel, outcome, on_and_off(table, panel))], {}
    starts = launch.starts
    before = sum(1 for t in panel.times if t < starts[0])
    if len(starts) > 1:
        return _staged(table, panel, launch, outcome, before)
    return _one_date(table, panel, launch, outcome, before)


def _basics(table: Table, panel: Panel, outcome: str) -> dict[str, Any]:
    return {"outcome": outcome, "unit": panel.unit, "time": panel.time}


def _closing(table: Table, names: list[str]) -> dict[str, Any]:
    return {"missing": "drop"} if table.any_missing(names) else {}


def _staged(
    table: Table, panel: Panel, launch: Launch, outcome: str, before: int
) -> tuple[list[Design], dict[str, str]]:
    counts = launch.first.value_counts().sort_index()
    waves = names_text([f"{_text(start)} ({count:,})" for start, count in counts.items()], 6)
    because = [
        panel.found,
        f"{launch.source}: {len(counts)} waves, first treated in {waves} {panel.unit}.",
        f"{len(launch.never):,} never treated, and later waves are controls until their own turn."
        if launch.never
        else "Nobody is never treated: later waves are controls until their own turn.",
        f"{before} {_periods(before)} before the first wave, to see whether trends were parallel.",
    ]
    flag = str(launch.flag)
    if launch.column is None:
        needs = {
            "first-treated": f"a column with each {panel.unit}'s first {panel.time} with {flag} = 1"
            ", empty for the never treated; write it beside your data"
        }
        needed = "As for the waves: a column of first treated periods is needed."
        waves_of = Design("did", "Staged rollout", flag, tuple(because), {}, needs=needs)
        return [waves_of], {"synthetic_control": needed}
    arguments = _basics(table, panel, outcome) | {"first-treated": launch.column}
    arguments |= _closing(table, [outcome])
    staged = Design("did", "Staged rollout", launch.column, tuple(because), arguments)
    why = _too_few(panel, before, len(launch.never))
    if why:
        return [staged], {"synthetic_control": why}
    twins = (
        panel.found,
        f"Each wave can have a twin of its own from the {len(launch.never):,} never treated "
        f"{panel.unit}, fitted on {before} or more periods: trends needn't be parallel.",
    )
    assumed = (f"The launch didn't reach the {len(launch.never):,} never treated {panel.unit}.",)
    name = "Staged rollout, a twin a wave"
    other = Design("synthetic_control", name, launch.column, twins, arguments, assumed)
    return [staged, other], {}


def _too_few(panel: Panel, before: int, donors: int) -> str:
    """Why donors' weights can't be fitted; empty when they can."""
    if before < LONG_HISTORY:
        return (
            f"Only {before} {_periods(before)} before the launch: too few to fit donors' weights "
            f"({LONG_HISTORY} are the least)."
        )
    if donors < ENOUGH_DONORS:
        return f"Only {donors} untouched {panel.unit}: too few to weight."
    return ""


def _one_date(
    table: Table, panel: Panel, launch: Launch, outcome: str, before: int
) -> tuple[list[Design], dict[str, str]]:
    start = launch.starts[0]
    treated = value_texts(np.sort(launch.first.index.to_numpy()))
    never = value_texts(np.array(launch.never))
    donors = len(never)
    share = f"{len(treated):,} of {panel.units.size:,} {panel.unit}"
    at = f"{launch.source}: {share} from {_text(start)} on"
    history = (
        f"{before} {_periods(before)} before the launch, {panel.times.size - before} from it on."
    )
    arguments = _basics(table, panel, outcome) | {"treated": treated, "start": _text(start)}
    closing = _closing(table, [outcome])
    about = launch.flag or launch.column or names_text(treated)
    if not donors:
        alone = f"{at}: everyone at once, and nothing was left untouched."
        settings = arguments | {"estimator": "interrupted-time-series"} | closing
        assumed = ("Nothing else happened on the day of the launch.",)
        name = "Global launch without a control group"
        found = (panel.found, alone, history)
        design = Design("synthetic_control", name, about, found, settings, assumed)
        return [design], {"did": "There is one date for all, so no wave can stand for another."}
    stayed = f"{at}; {donors:,} stayed untouched ({names_text(never)})."
    because: tuple[str, ...] = (panel.found, stayed, history)
    assumed = (f"The launch didn't reach the other {panel.unit}.",)
    designs: list[Design] = []
    ruled: dict[str, str] = {}
    if not _too_few(panel, before, donors):
        region = _whole_region(table, panel, launch)
        extra = {"cluster": region} if region else {}
        if region:
            because += (f"The treated {panel.unit} are one whole {region}.",)
        designs.append(
            Design(
                "synthetic_control",
                "Launch with untouched units",
                about,
                because,
                arguments | extra | closing,
                assumed,
            )
        )
        ruled["did"] = (
            f"With {before} {_periods(before)} before the launch, donors can be weighted to follow "
            "the treated units; parallel trends needn't be assumed."
        )
        return designs, ruled
    why = _too_few(panel, before, donors)
    ruled["synthetic_control"] = why
    if launch.column:
        settings = _basics(table, panel, outcome) | {"first-treated": launch.column} | closing
        designs.append(
            Design(
                "did", "Launch with a comparison group", about, (*because, why), settings, assumed
            )
        )
    else:
        # The same two-by-two difference, where the file has no column of first treated periods.
        settings = arguments | {"estimator": "did"} | closing
        name = "Launch with a comparison group"
        both = (*because, why)
        designs.append(
            Design("did", name, about, both, settings, assumed, command="synthetic-control")
        )
    return designs, ruled


def _unknown(panel: Panel, outcome: str, pulses: list[str]) -> Design:
    last = panel.units[-1]
    needs = {
        "treated": f"which {panel.unit} got the launch, such as --treated {_text(last)!r}",
        "start": f"its first {panel.time} ({_text(panel.times[0])} to {_text(panel.times[-1])})",
    }
    short = panel.times.size <= LONG_HISTORY
    because: tuple[str, ...] = (
        panel.found,
        "No column says who got a launch, or when.",
        f"{panel.times.size} periods of {panel.time} "
        + (
            "are too few to fit donors' weights." if short else "leave room to fit donors' weights."
        ),
    )
    if pulses:
        because += (
            f"{names_text(pulses)}: 1 at times, and 0 again. If the first 1 is a launch, write a "
            f"column of each {panel.unit}'s first such {panel.time}, empty for the never treated.",
        )
    method = "did" if short else "synthetic_control"
    return Design(method, "Launch in a panel", outcome, because, {"outcome": outcome}, needs=needs)


def _whole_region(table: Table, panel: Panel, launch: Launch) -> str | None:
    """A column of groups of units of which the treated units are exactly one."""
    for name in table.names("text", "integer"):
        if name in {panel.unit, panel.time, *panel.same_as}:
            continue
        groups = table.frame.groupby(panel.unit, observed=True)[name]
        if table.columns[name].distinct < 4 or groups.nunique(dropna=False).max() != 1:
            continue
        group_of = groups.first()
        mine = group_of[launch.first.index].unique()
        if len(mine) == 1 and set(group_of[group_of == mine[0]].index) == set(launch.first.index):
            return name if len(launch.first) > 1 else None
    return None


def _text(value: Any) -> str:
    return value_texts(np.array([value]))[0]


def _periods(count: int) -> str:
    return "period" if count == 1 else "periods"


def same_type(a: pd.Series, b: pd.Series) -> bool:
    """Whether two columns can be compared: both dates or both numbers."""
    date = pd.api.types.is_datetime64_any_dtype
    number = pd.api.types.is_numeric_dtype
    return bool((date(a) and date(b)) or (number(a) and number(b)))
