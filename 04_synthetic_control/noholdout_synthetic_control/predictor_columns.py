"""Predictors as users write them (``column@1980..1988``), read as numbers a unit."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from noholdout_shared.errors import DataError
from noholdout_shared.input import numeric, read_rows

from noholdout_synthetic_control.kernels.predictors import Importance
from noholdout_synthetic_control.panel import Panel
from noholdout_synthetic_control.timing import launch_index, ordered_times


@dataclass(frozen=True)
class Predictors:
    """One column a predictor.

    Parameters
    ----------
    values
        Shape ``(N, P)``, in the panel's order of units.
    names
        As the user wrote them.
    settings
        Rows without a value, by predictor.
    """

    values: np.ndarray
    names: tuple[str, ...]
    settings: dict[str, Any]


def read_predictors(
    data: Any, panel: Panel, predictors: Sequence[str], unit: str, time: str
) -> Predictors:
    """Each predictor's mean over its window (the whole time before the launch by default).

    Missing values within a window are left out of its mean and counted; a unit without any value
    there is an error.
    """
    known = {str(label): index for index, label in enumerate(panel.units)}
    values = np.empty((panel.units.size, len(predictors)))
    gaps: dict[str, int] = {}
    for column, name in enumerate(predictors):
        source, _, window = name.partition("@")
        # One at a time, so that a gap in one predictor costs no other its rows.
        rows = read_rows(data, list(dict.fromkeys([unit, time, source])), missing="drop")
        frame = rows.frame
        moments = ordered_times(frame[time], time).to_numpy()
        inside = moments < panel.settings["launch"]
        if window:
            inside = _within(moments, window, panel, name, time)
        position = frame[unit].map(lambda label: known.get(str(label), -1)).to_numpy()
        use = inside & (position >= 0)
        numbers = numeric(frame, source, "Predictor")
        count = np.bincount(position[use], minlength=panel.units.size)
        if (count == 0).any():
            lacking = panel.units[int(np.flatnonzero(count == 0)[0])]
            raise DataError(
                f"Predictor {name!r} has no value for {int((count == 0).sum()):,} units (for "
                f"example {lacking!s}).",
                "A twin is matched on values that every unit has.",
                "Widen its window (column@from..to), or leave it out.",
            )
        total = np.bincount(position[use], weights=numbers[use], minlength=panel.units.size)
        values[:, column] = total / count
        if rows.settings["rows_dropped_missing"]:
            gaps[name] = rows.settings["rows_dropped_missing"]
    return Predictors(values, tuple(predictors), {"predictor_rows_missing": gaps})


def _within(moments: np.ndarray, window: str, panel: Panel, name: str, time: str) -> np.ndarray:
    first, _, last = window.partition("..")
    every = np.unique(moments)
    low = launch_index(every, first, time)
    high = launch_index(every, last or first, time)
    if low >= every.size or (high < every.size and every[high] >= panel.settings["launch"]):
        raise DataError(
            f"Predictor {name!r} looks at the time after the launch, or beyond the data.",
            "The launch may have changed it.",
            "Use a window before the launch.",
        )
    if high >= every.size or low > high:
        raise DataError(
            f"Predictor {name!r} names no window of {time!r}.",
            "",
            "Write column@1975 or column@1980..1988, the earlier time first.",
        )
    return (moments >= every[low]) & (moments <= every[high])


def parse_importance(importance: str | Sequence[float], predictors: Sequence[str]) -> Importance:
    """``search``, ``regression``, or one positive number a predictor (a list, or ``1,2,3``)."""
    if isinstance(importance, str):
        if importance == "search":
            return "search"
        if importance == "regression":
            return "regression"
        parts: Sequence[Any] = importance.split(",")
    else:
        parts = importance
    try:
        numbers = tuple(float(part) for part in parts)
    except (TypeError, ValueError) as error:
        near = difflib.get_close_matches(str(importance), ["search", "regression"], n=1)
        raise DataError(
            f"importance is {importance!r}, which isn't a choice here.",
            f"Did you mean {near[0]!r}?" if near else "",
            "Use search, regression, or one number a predictor.",
        ) from error
    if len(numbers) != len(predictors) or min(numbers) < 0 or sum(numbers) <= 0:
        raise DataError(
            f"importance holds {len(numbers)} numbers {numbers} for {len(predictors)} predictors.",
            "",
            "Give one number of zero or more a predictor, not all zero.",
        )
    return numbers
