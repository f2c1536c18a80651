"""A staged rollout seen in rows that are users: launch dates by group, outcomes by week."""

from __future__ import annotations

import numpy as np

from noholdout.guide.columns import Table
from noholdout.guide.designs.design import Design, names_text
from noholdout.guide.designs.launch import _periods, _text, same_type

MOST_WAVES = 60
FEWEST_CLUSTERS = 4


def wave_design(
    table: Table, outcome: str | None, time: str | None = None, first: str | None = None
) -> tuple[Design | None, frozenset[str]]:
    """Staged waves in user rows, and the columns that only restate them.

    A column of first treated periods is one with which a 0/1 column agrees in every row
    (``treated = time >= first``), or, where there is no such column, one that is named so and
    constant within a group.
    """
    table.require([time, first])
    agreed = _agreement(table, time, first)
    flag = None
    if agreed is not None:
        time, first, flag = agreed
    elif time is None or first is None:
        named = _named(table, time, first)
        if named is None:
            return None, frozenset()
        time, first = named
    cluster = _cluster(table, first)
    restated = {first} | ({flag} if flag else set()) | _functions_of(table, first)
    if outcome is None or cluster is None:
        return None, frozenset(restated)
    frame = table.frame
    dates = frame[first]
    started = dates[(dates > frame[time].min()) & (dates <= frame[time].max())]
    waves = np.sort(started.unique())
    if not waves.size:
        return None, frozenset(restated)
    before = int((np.sort(frame[time].unique()) < waves[0]).sum())
    never = len(frame) - len(started)
    because = [
        f"{flag} = 1 exactly where {time} >= {first}, in all {len(frame):,} rows."
        if flag
        else f"{first} is constant within {cluster} and holds values of {time}.",
        f"{len(waves)} {'wave' if len(waves) == 1 else 'waves'}, first treated in "
        f"{names_text([_text(w) for w in waves], 6)}, by {cluster} "
        f"({table.columns[cluster].distinct:,} of them).",
        f"{never:,} rows never treated." if never else "Later waves are controls until their turn.",
        f"{before} {_periods(before)} of {time} before the first wave.",
    ]
    if len(waves) == 1 and not never:
        return None, frozenset(restated)
    arguments = {"outcome": outcome, "time": time, "first-treated": first, "cluster": cluster}
    if table.any_missing([outcome, cluster]):
        arguments["missing"] = "drop"
    assumed = (
        "Each row is another user, so that --unit is left out.",
        "All users who could have it are in, not only who tried it: a launch changes who tries.",
    )
    return Design("did", "Staged rollout", first, tuple(because), arguments, assumed), frozenset(
        restated
    )


def _agreement(table: Table, time: str | None, first: str | None) -> tuple[str, str, str] | None:
    frame = table.frame
    plain = table.names("integer", "number", "date")
    times = [time] if time else [n for n in plain if table.columns[n].distinct >= 3]
    firsts = (
        [first] if first else [n for n in plain if 2 <= table.columns[n].distinct <= MOST_WAVES]
    )
    flags = table.names("binary")
    head = frame.head(2_000)
    for g in firsts:
        for t in times:
            if t == g or not same_type(frame[t], frame[g]):
                continue
            for flag in flags:
                if not (head[flag] == (head[t] >= head[g])).all():
                    continue
                on = (frame[t] >= frame[g]).to_numpy(dtype=float)
                if (frame[flag].to_numpy(dtype=float) == on).all() and 0 < on.mean() < 1:
                    return t, g, flag
    return None


def _named(table: Table, time: str | None, first: str | None) -> tuple[str, str] | None:
    """A time and a column of launch dates, as said or by their names and ranges."""
    plain = table.names("integer", "number", "date")
    times = [
        n for n in plain if table.columns[n].hints_at("time") and table.columns[n].distinct >= 3
    ]
    firsts = [
        n
        for n in plain
        if table.columns[n].hints_at("treatment") and table.columns[n].distinct <= MOST_WAVES
    ]
    times, firsts = [time] if time else times, [first] if first else firsts
    for g in firsts:
        for t in times:
            if t != g and same_type(table.frame[t], table.frame[g]):
                low, high = table.frame[t].min(), table.frame[t].max()
                inside = table.frame[g].between(low, high) & (table.frame[g] > low)
                if inside.any() and _cluster(table, g) is not None:
                    return t, g
    return None


def _cluster(table: Table, first: str) -> str | None:
    """The finest column of groups within which the launch date is constant."""
    frame = table.frame
    fitting = [
        n
        for n in table.names("text", "integer")
        if n != first
        and FEWEST_CLUSTERS <= table.columns[n].distinct <= len(frame) / 5
        and frame.groupby(n, observed=True)[first].nunique(dropna=False).max() == 1
    ]
    return max(fitting, key=lambda n: table.columns[n].distinct) if fitting else None


def _functions_of(table: Table, first: str) -> set[str]:
    """Columns that hold the launch date under another name (the wave's number)."""
    frame = table.frame
    same = set()
    for name in table.names("binary", "integer", "text"):
        pairs = len(frame[[name, first]].drop_duplicates())
        if pairs == table.columns[name].distinct == table.columns[first].distinct:
            same.add(name)
    return same
