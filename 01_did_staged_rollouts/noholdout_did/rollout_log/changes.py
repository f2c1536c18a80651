"""From events to launches, and to who had which change when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from noholdout_shared.arguments import check_choice
from noholdout_shared.errors import DataError
from noholdout_shared.input import Missing

from noholdout_did.rollout_log.events import Events, read_events, shown

TreatedBy = Literal["intention-to-treat", "exposure"]
Unlisted = Literal["refuse", "never"]


@dataclass(frozen=True)
class LogRequest:
    """Which log, and by which rules its events become launches.

    Parameters
    ----------
    source
        A frame or a path with columns ``flag, unit, time, event``. An empty unit means every
        unit but those held back. Events: ``on``, ``off``, ``rollback``, ``holdback``,
        ``eligible``, ``exposed``, or the percentage that has it, 0 to 100.
    flag
        The launch under study; needed when the log has several.
    treated_by
        ``intention-to-treat``: from the first time switched on (or eligible), whatever came
        later; ``exposure``: from the first ``exposed``.
    ramp_threshold
        A ramp counts as launched from the first percentage above 0 that reaches this.
    unlisted
        Units of the data without an event of the flag: ``refuse``, or ``never`` treated.
    """

    source: Any
    flag: str | None = None
    treated_by: TreatedBy = "intention-to-treat"
    ramp_threshold: float = 0.0
    unlisted: Unlisted = "refuse"

    def __post_init__(self) -> None:
        check_choice("treated_by", self.treated_by, get_args(TreatedBy))
        check_choice("unlisted", self.unlisted, get_args(Unlisted))
        if not 0 <= self.ramp_threshold <= 100:
            raise DataError(
                f"ramp_threshold is {self.ramp_threshold}.",
                "It is the percentage from which on a ramp counts as launched.",
                "Use 0 (any) to 100 (full launch only).",
            )


@dataclass(frozen=True)
class Changes:
    """What the log says of each unit. U units of the data, T periods.

    Parameters
    ----------
    flag
        The launch under study.
    treated_by
        As asked.
    launch
        Index of each unit's first treated period, shape ``(U,)``; T is never.
    state
        Of each flag, the share switched on by the end of each period, shape ``(U, T)``.
    settings
        Counts, for the result.
    """

    flag: str
    treated_by: TreatedBy
    launch: np.ndarray
    state: dict[str, np.ndarray]
    settings: dict[str, Any]


def read_changes(
    request: LogRequest, units: np.ndarray, periods: np.ndarray, by: str, missing: Missing
) -> Changes:
    """Launches and states from the log.

    Parameters
    ----------
    units
        The units of the data, as in its column ``by``, shape ``(U,)``.
    periods
        Its periods in order, shape ``(T,)``; an event belongs to the period that it falls in.

    Raises
    ------
    DataError
        Unknown units, contradictory events, units without any, times outside the data.
    """
    events, settings = read_events(request.source, units, periods, by, missing)
    flag = _studied(request.flag, events.flag)
    mine = events.take(events.flag == flag)
    names = sorted(set(events.flag.tolist()))
    state = {
        name: _state(events.take(events.flag == name), len(units), len(periods)) for name in names
    }
    launch, counts = _launches(mine, request, units, periods, by)
    settings |= {
        "flag": flag,
        "treated_by": request.treated_by,
        "ramp_threshold": request.ramp_threshold,
        "other_changes": [name for name in names if name != flag],
        **counts,
    }
    return Changes(flag, request.treated_by, launch, state, {"rollout_log": settings})


def _studied(flag: str | None, flags: np.ndarray) -> str:
    names = sorted(set(flags.tolist()))
    shown = ", ".join(map(repr, names[:8])) + (", ..." if len(names) > 8 else "")
    if flag is None and len(names) > 1:
        raise DataError(
            f"The rollout log has {len(names)} flags ({shown}).",
            "One is the launch under study; the others are looked at for collisions with it.",
            "Name it with --flag.",
        )
    if flag is not None and flag not in names:
        raise DataError(f"The rollout log has no flag {flag!r}.", "", f"It has: {shown}.")
    return names[0] if flag is None else flag


def _state(events: Events, n_units: int, n_periods: int) -> np.ndarray:
    """Share switched on by the end of each period; whoever is first switched off had it before."""
    state = np.full((n_units, n_periods + 1), np.nan)  # column 0: before the data
    held, touched = np.zeros(n_units, dtype=bool), np.zeros(n_units, dtype=bool)
    for unit, period, word, share in zip(
        events.unit, events.period, events.word, events.share, strict=True
    ):
        if word == "exposed" or period == n_periods:
            continue
        who = np.flatnonzero(~held) if unit < 0 else np.array([unit])
        if unit >= 0:
            held[unit] = word == "holdback"
        if word in ("off", "rollback"):
            state[who[~touched[who]], 0] = 1.0
        touched[who] |= word != "holdback"
        state[who, period + 1] = 0.0 if word == "holdback" else share
    state[np.isnan(state[:, 0]), 0] = 0.0
    place = np.maximum.accumulate(np.where(np.isnan(state), 0, np.arange(n_periods + 1)), axis=1)
    return np.take_along_axis(state, place, axis=1)[:, 1:]


def _launches(
    events: Events, request: LogRequest, units: np.ndarray, periods: np.ndarray, by: str
) -> tuple[np.ndarray, dict[str, Any]]:
    """Each unit's first treated period under the request's rule, and counts of what was met."""
    n_units, never = len(units), len(periods)
    exposures = request.treated_by == "exposure"
    first_on = np.full(n_units, np.inf)
    launch = np.full(n_units, never, dtype=np.int64)
    held, listed, off_later, early = (np.zeros(n_units, dtype=bool) for _ in range(4))
    for unit, at, period, word, share in zip(
        events.unit, events.at, events.period, events.word, events.share, strict=True
    ):
        who = np.flatnonzero(~held) if unit < 0 else np.array([unit])
        listed[who] = True
        held[who] = word == "holdback"
        on = np.isfinite(first_on[who])
        if word == "exposed":
            early[who] |= ~on
            if exposures:
                launch[who] = np.minimum(launch[who], max(period, 0))
        elif word == "holdback" or share == 0:
            if word == "rollback" and unit >= 0 and not on[0]:
                _refuse_early_rollback(units[unit])
            off_later[who] |= on
        elif 100 * share >= request.ramp_threshold:
            first_on[who[~on]] = at
            if not exposures:
                launch[who[~on]] = max(period, 0)
    _refuse_early_exposure(early & np.isfinite(first_on), units)
    if exposures and not (events.word == "exposed").any():
        raise DataError(
            f"Flag {events.flag[0]!r} has no 'exposed' event in the rollout log.",
            "Treatment by exposure starts at each unit's first one.",
            "Add them, or use --treated-by intention-to-treat.",
        )
    _require_listed(listed, request, units, by)
    launched = launch < never
    counts = {
        "units_launched": int(launched.sum()),
        "units_held_back": int((held & ~launched).sum()),
        "units_switched_off_later": int((off_later & launched).sum()),
        "units_not_in_log_never_treated": int((~listed).sum()),
    }
    if exposures:
        counts["units_eligible_never_exposed"] = int((np.isfinite(first_on) & ~launched).sum())
    return launch, counts


def _refuse_early_rollback(unit: Any) -> None:
    raise DataError(
        f"The rollout log rolls {shown(unit)} back before it was switched on.",
        "The switch-on is missing, so the launch can't be dated.",
        "Add the 'on' event; write 'off' for a unit that never had it.",
    )


def _refuse_early_exposure(early: np.ndarray, units: np.ndarray) -> None:
    if early.any():
        raise DataError(
            f"{int(early.sum()):,} units were exposed before they were switched on (for example "
            f"{shown(units[early][0])}).",
            "One of the two times is wrong.",
            "Correct the log, or leave the 'exposed' events out.",
        )


def _require_listed(listed: np.ndarray, request: LogRequest, units: np.ndarray, by: str) -> None:
    if listed.all() or request.unlisted == "never":
        return
    raise DataError(
        f"{int((~listed).sum()):,} of {len(units):,} values of {by!r} have no event of this flag "
        f"in the rollout log (for example {shown(units[~listed][0])}).",
        "They may never have got it, or the log may have lost them.",
        "Give them an event ('off' or 'holdback'), or use --unlisted never.",
    )
