"""A rollout log as events in order of time, each with its unit and period."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from noholdout_shared.errors import DataError
from noholdout_shared.input import Missing, read_rows

COLUMNS = ("flag", "unit", "time", "event")
SWITCHES = {"on": 1.0, "eligible": 1.0, "off": 0.0, "rollback": 0.0}
WORDS = (*SWITCHES, "holdback", "exposed")


def shown(label: Any) -> str:
    """A label as the user wrote it, in quotes where it is text."""
    return repr(label.item() if isinstance(label, np.generic) else label)


@dataclass(frozen=True)
class Events:
    """E events in order of time, each array of shape ``(E,)``.

    Parameters
    ----------
    flag, label
        As the log has them.
    unit
        Position among the data's units; -1 for every unit.
    at
        Time as a number, for comparisons.
    period
        Index of the period that it falls in; -1 before the data, T after it.
    word
        ``on, eligible, off, rollback, holdback, exposed`` or ``ramp``.
    share
        Switched on by it; ``nan`` for holdback and exposed.
    """

    flag: np.ndarray
    unit: np.ndarray
    at: np.ndarray
    period: np.ndarray
    word: np.ndarray
    share: np.ndarray
    label: np.ndarray

    def take(self, keep: np.ndarray) -> Events:
        return Events(*(getattr(self, name)[keep] for name in self.__dataclass_fields__))


def read_events(
    source: Any, units: np.ndarray, periods: np.ndarray, by: str, missing: Missing
) -> tuple[Events, dict[str, Any]]:
    """Read, place and check the events; arguments as in :func:`read_changes`."""
    frame = read_rows(source, COLUMNS, missing=missing, may_be_empty=("unit",)).frame
    everyone = frame["unit"].isna().to_numpy()
    code = _unit_codes(frame["unit"], units)
    unknown = (code < 0) & ~everyone
    if unknown.any() and (missing == "refuse" or unknown.all()):
        names = frame.loc[unknown, "unit"].drop_duplicates()
        raise DataError(
            f"{len(names):,} units of the rollout log aren't among the {len(units):,} values of "
            f"{by!r} in the data (for example {shown(names.iloc[0])}; the data has "
            f"{shown(units[0])}).",
            "Events of a misspelt unit would be lost, and the unit counted as untreated.",
            "Write units as in the data, or use --missing drop to leave those events out, counted.",
        )
    word, share = _meaning(frame["event"])
    at, period = _when(frame["time"], periods)
    order = np.argsort(at, kind="stable")
    order = order[~unknown[order]]
    found = Events(
        flag=frame["flag"].astype(str).to_numpy(dtype=object)[order],
        unit=code[order],
        at=at[order],
        period=period[order],
        word=word[order],
        share=share[order],
        label=frame["time"].to_numpy(dtype=object)[order],
    )
    _require_no_contradiction(found, units)
    return found, {
        "events": len(frame),
        "events_of_unknown_units_dropped": int(unknown.sum()),
        "events_before_the_data": int((found.period < 0).sum()),
        "events_after_the_data": int((found.period == len(periods)).sum()),
    }


def _unit_codes(values: pd.Series, units: np.ndarray) -> np.ndarray:
    """Positions among the data's units; -1 for empty and unknown ones."""
    if np.issubdtype(units.dtype, np.number):
        values = pd.to_numeric(values, errors="coerce")
        return pd.Index(units.astype(float)).get_indexer(values.astype(float))
    return pd.Index(units.astype(str)).get_indexer(values.astype(str).where(values.notna(), ""))


def _meaning(events: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Each event as a word (``ramp`` for a percentage) and as the share switched on."""
    text = events.astype(str).str.strip().str.lower()
    percent = pd.to_numeric(text.str.removesuffix("%"), errors="coerce").to_numpy(dtype=float)
    word = np.where(np.isnan(percent), text.to_numpy(dtype=object), "ramp")
    wrong = np.isnan(percent) & ~np.isin(word, WORDS)
    wrong |= (percent < 0) | (percent > 100)
    if wrong.any():
        raise DataError(
            f"{int(wrong.sum()):,} events of the rollout log can't be read (for example "
            f"{shown(events[wrong].iloc[0])}).",
            "",
            f"Write {', '.join(WORDS)}, or the percentage switched on (0 to 100).",
        )
    ramps = percent[~np.isnan(percent)]
    if ramps.size and ramps.max() <= 1 and (ramps % 1 > 0).any():
        raise DataError(
            f"The log's percentages reach {ramps.max():g} at most (for example {ramps[0]:g}).",
            "They look like shares, and would be read as one percent or less.",
            "Write them as 0 to 100.",
        )
    known = np.array([SWITCHES.get(w, np.nan) for w in word])
    return word, np.where(np.isnan(percent), known, percent / 100)


def _when(values: pd.Series, periods: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each event's place in time (comparable numbers) and the period that it falls in.

    The last period lasts as long as the usual one.
    """
    if periods.dtype.kind in "iuf":
        if values.dtype.kind not in "iuf":
            raise _mismatch(values, "numbers")
        at, starts = values.to_numpy(dtype=float), periods.astype(float)
    else:
        dates = pd.to_datetime(pd.Series(periods), errors="coerce")
        when = pd.to_datetime(values, errors="coerce") if values.dtype.kind not in "iuf" else None
        if dates.isna().any() or when is None or when.isna().any():
            raise _mismatch(values, "dates" if not dates.isna().any() else "text")
        at = when.to_numpy().astype("datetime64[s]").astype(float)
        starts = dates.to_numpy().astype("datetime64[s]").astype(float)
    period = np.searchsorted(starts, at, side="right") - 1
    width = float(np.median(np.diff(starts)))
    period[at >= starts[-1] + width] = len(starts)
    inside = (period >= 0) & (period < len(starts))
    if not inside.any():
        raise DataError(
            f"All {len(values):,} events of the rollout log lie outside the data's periods "
            f"({periods[0]} to {periods[-1]}; the first event is at {values.iloc[0]}).",
            "Then nothing was launched within the data.",
            "Write the log's time in the unit of the data's time column.",
        )
    return at, period


def _mismatch(values: pd.Series, kind: str) -> DataError:
    return DataError(
        f"The rollout log's time holds {shown(values.iloc[0])}, but the data's periods are {kind}.",
        "An event must be found among the periods.",
        "Write both as dates, or both as numbers.",
    )


def _require_no_contradiction(events: Events, units: np.ndarray) -> None:
    """Refuse one flag switched both ways for one unit at one time."""
    says = np.where(events.word == "holdback", 0.0, events.share)
    stated = ~np.isnan(says)
    table = pd.DataFrame({"flag": events.flag, "unit": events.unit, "at": events.at, "says": says})[
        stated
    ]
    differ = table.groupby(["flag", "unit", "at"], sort=False)["says"].nunique() > 1
    if differ.any():
        flag, unit, at = differ.index[differ.to_numpy()][0]
        label = events.label[(events.at == at) & (events.flag == flag)][0]
        who = "every unit" if unit < 0 else shown(units[unit])
        raise DataError(
            f"{int(differ.sum()):,} events of the rollout log contradict each other (for example "
            f"flag {flag!r} of {who} at {label}).",
            "The same unit can't be switched two ways at the same time.",
            "Keep the event that happened.",
        )
