"""What the project promises of its defaults, held against the leaderboard, without rounding up."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from noholdout.benchmark.arena import CLEAN, PROMISE, PROMISE_SEVERITY, traps
from noholdout.benchmark.catalogue import CATALOGUE
from noholdout.benchmark.scores import share_interval

MC_LEVEL = 0.999
COVERAGE = (0.935, 0.965)
COVERAGE_OF = {"synthetic_control": (0.93, 0.97)}  # few donors: its placebo p-values are coarse
RMSE_RATIO = 1.05
RMSE_RATIO_OF = {"synthetic_control": 1.10}
SOUND = 0.90
WHERE = ("design", "scenario", "severity", "n_users", "estimator")


def promises(board: pd.DataFrame) -> pd.DataFrame:
    """A row a promise that the board can speak about.

    Parameters
    ----------
    board
        From :func:`noholdout.benchmark.leaderboard`.

    Returns
    -------
    DataFrame
        ``design, scenario, severity, n_users, estimator, promise, promised, achieved, low, high,
        runs, kept``. ``low`` and ``high`` are the 99.9% Monte Carlo interval. ``kept`` is ``yes``,
        ``no``, or ``open``: the figure is on the wrong side, but its interval reaches the right
        one.
    """
    rows: list[dict[str, Any]] = []
    told = {entry.name: entry.reveals for entry in CATALOGUE if entry.reveals is not None}
    ours = board["estimator"].isin(told) | (board["kind"] == "default")
    for row in board[ours & (board["runs"] > board["failed"])].to_dict("records"):
        where = {name: row[name] for name in WHERE}
        if row["estimator"] in told:
            if told[row["estimator"]] == row["scenario"] and _at_promise(row):
                rows.append(where | _silent(row))
        elif row["scenario"] == CLEAN:
            cell = board[
                (board["design"] == row["design"])
                & (board["scenario"] == CLEAN)
                & (board["n_users"] == row["n_users"])
            ]
            rows += [where | found for found in _clean(row, cell)]
        elif traps()[row["scenario"]].revealable and _at_promise(row):
            rows.append(where | _silent(row))
    return pd.DataFrame(rows)


def _at_promise(row: Mapping[Any, Any]) -> bool:
    """Whether the row is of a trap at the severity that counts for the promise."""
    trap = traps()[row["scenario"]]
    return trap.design != "all" and row["severity"] in trap.at((PROMISE_SEVERITY,))


def _clean(row: Mapping[Any, Any], cell: pd.DataFrame) -> Sequence[dict[str, Any]]:
    n = int(row["runs"] - row["failed"])
    bounds = COVERAGE_OF.get(row["design"], COVERAGE)
    intervals = n - int(row["refused"])
    low, high = share_interval(round(row["coverage"] * intervals), intervals, MC_LEVEL)
    inside = bounds[0] <= row["coverage"] <= bounds[1]
    reaches = high >= bounds[0] and low <= bounds[1]
    kept = "yes" if inside else "open" if reaches else "no"
    promised = f"{100 * bounds[0]:g} to {100 * bounds[1]:g}%"
    found = [_row("coverage", promised, row["coverage"], low, high, n, kept)]
    low, high = share_interval(round(row["sound"] * n), n, MC_LEVEL)
    kept = "yes" if row["sound"] >= SOUND else "open" if high >= SOUND else "no"
    found.append(_row("called sound", f"≥ {SOUND:.0%}", row["sound"], low, high, n, kept))
    rival = _best(row, cell, bounds)
    if rival is not None:
        limit = RMSE_RATIO_OF.get(row["design"], RMSE_RATIO)
        ratio = 1 / rival["rmse_ratio"]
        spread = 3.29 * ratio * rival["rmse_ratio_mc"] / rival["rmse_ratio"]
        low, high = ratio - spread, ratio + spread
        kept = "yes" if ratio <= limit else "open" if low <= limit else "no"
        name = f"RMSE over {rival['estimator']}'s"
        found.append(_row(name, f"≤ {limit:.2f}", ratio, low, high, n, kept))
    return found


def _best(
    row: Mapping[Any, Any], cell: pd.DataFrame, bounds: tuple[float, float]
) -> dict[str, Any] | None:
    """The least RMSE among those of the same estimand that cover too, as far as 99.9% can tell."""
    # The default told of a column is the default again on clean data.
    told = [entry.name for entry in CATALOGUE if entry.reveals is not None]
    others = cell[
        (cell["estimand"] == row["estimand"]) & ~cell["estimator"].isin([row["estimator"], *told])
    ]
    covering = []
    for other in others.to_dict("records"):
        n = int(other["runs"] - other["failed"] - other["refused"])
        if n == 0 or math.isnan(other["coverage"]) or math.isnan(other["rmse_ratio_mc"]):
            continue
        high = share_interval(round(other["coverage"] * n), n, MC_LEVEL)[1]
        if high >= bounds[0] and other["coverage"] >= 0.9:
            covering.append({str(k): v for k, v in other.items()})
    return min(covering, key=lambda other: other["rmse_ratio"], default=None)


def _silent(row: Mapping[Any, Any]) -> dict[str, Any]:
    n = int(row["runs"] - row["failed"])
    low, high = share_interval(round(row["silent"] * n), n, MC_LEVEL)
    kept = "yes" if row["silent"] <= PROMISE else "open" if low <= PROMISE else "no"
    return _row("sound and misses", f"≤ {PROMISE:.0%}", row["silent"], low, high, n, kept)


def _row(
    promise: str, promised: str, achieved: float, low: float, high: float, runs: int, kept: str
) -> dict[str, Any]:
    return {
        "promise": promise, "promised": promised, "achieved": float(achieved),
        "low": low, "high": high, "runs": runs, "kept": kept,
    }  # fmt: skip
