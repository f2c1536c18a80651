"""Is this a panel (one row a unit and period), and which launches do its columns hold?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from noholdout_shared.errors import DataError
from noholdout_shared.jsonable import jsonable

from noholdout.guide.columns import Table, outcome_rank

FILLED = 0.7  # of the unit-by-period cells must hold a row
FEWEST_PERIODS = 2
LONG_HISTORY = 8  # periods before the launch that a fit of weights needs


@dataclass(frozen=True)
class Panel:
    """One row a unit and period."""

    unit: str
    time: str
    units: np.ndarray
    times: np.ndarray
    filled: float
    same_as: frozenset[str]  # other names of the units or periods: day beside date

    @property
    def found(self) -> str:
        """What was found, in a sentence."""
        shape = f"{self.units.size:,} {self.unit} × {self.times.size:,} {self.time}"
        whole = "every cell" if self.filled > 0.999 else f"{self.filled:.0%} of the cells"
        return f"The rows are a panel: {shape}, {whole} filled, none twice."


@dataclass(frozen=True)
class Launch:
    """Who got it and when, in a panel: ``first`` maps treated units to their first period."""

    source: str
    first: pd.Series
    never: list[Any]
    column: str | None = None  # a column with each unit's first treated period
    flag: str | None = None  # a 0/1 column that switches on
    marks: frozenset[str] = field(default_factory=frozenset)  # columns that only restate it

    @property
    def starts(self) -> list[Any]:
        """The launch dates, sorted."""
        return sorted(self.first.unique())


def find_panel(table: Table, unit: str | None = None, time: str | None = None) -> Panel | None:
    """The best pair of unit and time columns in which no pair of values stands twice.

    Raises
    ------
    DataError
        ``unit`` and ``time`` were both named and their pairs stand twice.
    """
    table.require([unit, time])
    share = len(table.frame) / table.n_rows
    found: list[Panel] = []
    for t in [time] if time else _times(table):
        for u in [unit] if unit else table.names("text", "integer"):
            if u == t:
                continue
            panel = _panel(table, u, t)
            if panel is not None and (panel.filled >= FILLED * share or (unit and time)):
                found.append(panel)
    if not found:
        if unit and time:
            raise DataError(
                f"Some pairs of {unit!r} and {time!r} stand in several rows.",
                "A panel has one row a unit and period.",
                "Leave --unit out when each row is another user, or name other columns.",
            )
        return None
    best = max(found, key=lambda panel: _rank(table, panel))
    same = {n for p in found for n in (p.unit, p.time)} - {best.unit, best.time}
    restated = {n for n in same if _one_to_one(table.frame, n, best)}
    return Panel(best.unit, best.time, best.units, best.times, best.filled, frozenset(restated))


def _times(table: Table) -> list[str]:
    dates = table.names("date")
    whole = [
        name
        for name in table.names("integer")
        if table.columns[name].hints_at("time") or _evenly_spaced(table.frame[name])
    ]
    return dates + whole


def _evenly_spaced(values: pd.Series) -> bool:
    steps = np.unique(np.diff(np.unique(values.dropna().to_numpy(dtype=float))))
    return steps.size == 1


def _panel(table: Table, unit: str, time: str) -> Panel | None:
    frame = table.frame
    if frame[[unit, time]].isna().any(axis=None):
        return None
    n_units, n_times = table.columns[unit].distinct, table.columns[time].distinct
    if n_units < 2 or n_times < FEWEST_PERIODS or n_units > len(frame) / FEWEST_PERIODS:
        return None
    if len(frame) > n_units * n_times or frame.duplicated([unit, time]).any():
        return None
    return Panel(
        unit=unit,
        time=time,
        units=np.sort(frame[unit].unique()),
        times=np.sort(frame[time].unique()),
        filled=len(frame) / (n_units * n_times),
        same_as=frozenset(),
    )


def _rank(table: Table, panel: Panel) -> tuple[float, ...]:
    unit, time = table.columns[panel.unit], table.columns[panel.time]
    return (
        time.kind == "date",
        time.hints_at("time"),
        not unit.hints_at("time"),
        unit.kind == "text",
        panel.filled,
        -list(table.columns).index(panel.unit),
    )


def _one_to_one(frame: pd.DataFrame, name: str, panel: Panel) -> bool:
    for key in (panel.unit, panel.time):
        pairs = frame[[name, key]].drop_duplicates()
        if len(pairs) == frame[name].nunique() == frame[key].nunique():
            return True
    return False


def find_launch(
    table: Table,
    panel: Panel,
    *,
    treatment: str | None = None,
    first_treated: str | None = None,
    treated: Sequence[str] = (),
    start: str | None = None,
) -> Launch | None:
    """Who got it and when: from what the user said, a 0/1 column that switches on, or a column
    with each unit's first treated period."""
    frame = table.frame
    if treated and start:
        return _said(panel, treated, start)
    if first_treated is not None:
        named = _constant_date(frame, panel, first_treated)
        if named is None:
            raise DataError(
                f"--first-treated {first_treated!r} holds no launch dates.",
                f"It must be constant within {panel.unit} and hold periods of {panel.time}, or "
                "nothing for the never treated.",
                "Name another column.",
            )
        return named
    flags = [n for n in ([treatment] if treatment else table.names("binary")) if n]
    by_flag = [launch for n in flags if (launch := _switches_on(frame, panel, n)) is not None]
    if treatment is None:
        by_flag = [launch for launch in by_flag if not _marks_the_calendar(panel, launch)]
    elif not by_flag:
        return None
    cohorts = [
        launch
        for n in table.names("integer", "number", "date")
        if n not in {panel.unit, panel.time, *panel.same_as}
        and (launch := _constant_date(frame, panel, n)) is not None
    ]
    for launch in by_flag:
        agreeing = [c for c in cohorts if launch.first.sort_index().equals(c.first.sort_index())]
        column = agreeing[0].column if agreeing else None
        if column or not cohorts or table.columns[str(launch.flag)].hints_at("treatment"):
            marks = frozenset({str(launch.flag), *(str(c.column) for c in cohorts)})
            return Launch(launch.source, launch.first, launch.never, column, launch.flag, marks)
    if not cohorts:
        return None
    best = max(cohorts, key=lambda c: table.columns[str(c.column)].hints_at("treatment"))
    fixed = {
        n
        for n in table.names("binary")
        if frame.groupby(panel.unit, observed=True)[n].nunique().max() == 1
    }
    return Launch(best.source, best.first, best.never, best.column, None, frozenset(fixed))


def value_texts(values: np.ndarray) -> list[str]:
    """Units or periods as a user types them: dates ISO, whole numbers without a point."""
    texts = []
    for value in values:
        plain = jsonable(value)
        whole = isinstance(plain, float) and plain == int(plain)
        texts.append(str(int(plain)) if whole else str(plain))
    return texts


def _said(panel: Panel, treated: Sequence[str], start: str) -> Launch:
    texts = dict(zip(value_texts(panel.units), panel.units, strict=True))
    unknown = [name for name in treated if name not in texts]
    if unknown:
        raise DataError(
            f"{panel.unit!r} has no {unknown[0]!r}.",
            "",
            f"It holds: {', '.join(list(texts)[:12])}.",
        )
    periods = dict(zip(value_texts(panel.times), panel.times, strict=True))
    if start not in periods:
        raise DataError(
            f"{panel.time!r} has no {start!r}.",
            "",
            f"It runs from {next(iter(periods))} to {list(periods)[-1]}.",
        )
    units = [texts[name] for name in treated]
    never = [u for u in panel.units if u not in set(units)]
    return Launch("your answer", pd.Series(periods[start], index=units), never)


def _switches_on(frame: pd.DataFrame, panel: Panel, name: str) -> Launch | None:
    """A 0/1 column that is 0 at first everywhere and never goes back from 1 to 0."""
    if frame[name].isna().any():
        return None
    ordered = frame[[panel.unit, panel.time, name]].sort_values([panel.unit, panel.time])
    backwards = ordered.groupby(panel.unit, observed=True)[name].diff() < 0
    on = ordered[ordered[name] == 1]
    first = on.groupby(panel.unit, observed=True)[panel.time].min()
    if backwards.any() or not len(first) or (first <= panel.times[0]).all():
        return None
    never = [u for u in panel.units if u not in set(first.index)]
    source = f"{name} switches from 0 to 1 and never back"
    return Launch(source, first, never, flag=name)


def _marks_the_calendar(panel: Panel, launch: Launch) -> bool:
    """On for everyone at once after a short history: a year's own 0/1 column looks like that."""
    before = int((panel.times < launch.starts[0]).sum())
    return not launch.never and len(launch.starts) == 1 and before < LONG_HISTORY


def on_and_off(table: Table, panel: Panel) -> list[str]:
    """0/1 columns that go back to 0, in some units and periods only."""
    frame = table.frame.sort_values([panel.unit, panel.time])
    found = []
    for name in table.names("binary"):
        moves = frame.groupby(panel.unit, observed=True)[name].diff()
        of_time = frame.groupby(panel.time, observed=True)[name].nunique().max() <= 1
        if (moves > 0).any() and (moves < 0).any() and not of_time:
            found.append(name)
    return found


def _constant_date(frame: pd.DataFrame, panel: Panel, name: str) -> Launch | None:
    """A column that is constant within units and holds periods of the time column."""
    values = frame[name]
    if pd.api.types.is_datetime64_any_dtype(values) != pd.api.types.is_datetime64_any_dtype(
        frame[panel.time]
    ):
        return None
    if frame.groupby(panel.unit, observed=True)[name].nunique(dropna=False).max() != 1:
        return None
    by_unit = frame.groupby(panel.unit, observed=True)[name].first()
    low, high = panel.times[0], panel.times[-1]
    inside = by_unit[(by_unit > low) & (by_unit <= high)]
    # Never treated: empty, 0, infinite or after the last period. Anything else is no launch date.
    outside = by_unit.drop(inside.index)
    numbers = not pd.api.types.is_datetime64_any_dtype(values)
    never = outside.isna() | (outside > high)
    if numbers:
        never |= (outside == 0) & (low > 0)
    if not len(inside) or not never.all():
        return None
    source = f"{name} is constant within {panel.unit} and holds periods of {panel.time}"
    return Launch(source, inside, sorted(outside.index), column=name)


def panel_outcome(table: Table, panel: Panel, launch: Launch | None) -> list[str]:
    """Columns that vary within units over time, the likeliest outcome first."""
    taken = {panel.unit, panel.time, *panel.same_as} | (launch.marks if launch else frozenset())
    numbers = [n for n in table.names("number", "integer", "binary") if n not in taken]
    groups = table.frame.groupby(panel.unit, observed=True)
    moving = [n for n in numbers if float((groups[n].nunique() > 1).mean()) > 0.5]
    periods = table.frame.groupby(panel.time, observed=True)
    moving = [n for n in moving if periods[n].nunique().max() > 1]  # else it is the calendar
    return outcome_rank(table, moving)
