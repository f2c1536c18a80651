"""Checks of the arguments that aren't data: choices, levels, margins, seeds, whole numbers."""

from __future__ import annotations

import math
import numbers
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from noholdout_shared.errors import DataError


def check_choice(name: str, value: Any, choices: Sequence[Any]) -> None:
    """Raise a DataError unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise DataError(
            f"{name} is {value!r}, which isn't a choice here.",
            "",
            f"Use one of: {', '.join(map(str, choices))}.",
        )


def check_whole(name: str, value: int | None) -> None:
    """Raise a DataError unless ``value`` is a whole number, or ``None``: not asked."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, numbers.Integral)):
        raise DataError(f"{name} is {value!r}.", "It is a whole number.", "Use 1, 2, 3 or so.")


def check_columns(**named: Any) -> None:
    """Raise a DataError unless each argument names one column."""
    for name, column in named.items():
        if not _is_name(column):
            raise DataError(
                f"{name} is {column!r}.", "It names one column.", "Give its name in the data."
            )


def _is_name(column: Any) -> bool:
    return column is not None and isinstance(column, Hashable)


def column_names(columns: str | Sequence[str] | None) -> tuple[str, ...]:
    """The columns named; one alone may stand without a list."""
    if isinstance(columns, str):
        return (columns,)
    if columns is not None and not isinstance(columns, Iterable):
        raise DataError(f"{columns!r} names no columns.", "", "Pass a list of column names.")
    names = tuple(() if columns is None else columns)
    for name in names:
        if not _is_name(name):
            raise DataError(
                f"{name!r} stands among the columns' names.", "", "Name each column by itself."
            )
    return names


def check_level(conf_level: float) -> None:
    """Raise a DataError unless ``0 < conf_level < 1``."""
    if not (isinstance(conf_level, numbers.Real) and 0 < conf_level < 1):
        raise DataError(
            f"conf_level is {conf_level!r}.",
            "A confidence level lies between 0 and 1.",
            "Use 0.95 for a 95% interval.",
        )


def check_margin(margin: float) -> None:
    """Raise a DataError unless the margin is finite and zero or more."""
    if not (isinstance(margin, numbers.Real) and 0 <= margin < math.inf):
        raise DataError(
            f"margin is {margin!r}.",
            "It says how much worse is still acceptable: the question is whether the effect is "
            "above minus the margin.",
            "Give a number of zero or more, in the outcome's units.",
        )


def check_seed(seed: int) -> None:
    """Raise a DataError unless the seed is a whole number of zero or more."""
    if not (isinstance(seed, numbers.Integral) and seed >= 0):
        raise DataError(
            f"seed is {seed!r}.", "The random numbers start from it.", "Use 0, 1, 2 or so."
        )


def resolve_replicates(
    replicates: int | None,
    inference: str,
    resampling: Sequence[str],
    default: int,
    minimum: int = 50,
) -> int | None:
    """The number of draws: ``None`` for an inference that draws nothing.

    Raises
    ------
    DataError
        Replicates were asked of an inference that draws nothing, or there are too few of them.
    """
    if inference not in resampling:
        if replicates is not None:
            raise DataError(
                f"replicates={replicates} was asked, but inference {inference!r} draws nothing.",
                "An option that changes nothing would mislead.",
                f"Leave it out, or use inference {' or '.join(map(repr, resampling))}."
                if resampling
                else "Leave it out.",
            )
        return None
    check_whole("replicates", replicates)
    draws = default if replicates is None else replicates
    if draws < minimum:
        raise DataError(
            f"replicates is {draws}.",
            f"Fewer than {minimum} draws give a standard error that is mostly noise.",
            f"Use {default} or more.",
        )
    return draws
