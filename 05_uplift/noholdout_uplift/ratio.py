"""A ratio metric, ``sum of outcome / sum of denominator``: each user's part of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from noholdout_shared.checks import Check, structural
from noholdout_shared.errors import DataError

NOTABLE = 0.05  # growth of the denominator from which intervals cover less than they say
FIXED = "The treatment leaves the denominator as it is, or lowers it."


@dataclass(frozen=True)
class Linearised:
    """The outcome of a ratio metric, linearised where nobody is treated.

    Parameters
    ----------
    outcome
        ``R + (y - R z) / mean(z)`` of each row, shape ``(n,)``, with ``R`` and ``mean(z)`` of the
        untreated.
    ratio
        ``R``, the ratio without treatment.
    moved
        By how much the treatment changes the mean of ``z``, relative to that of the untreated.
    """

    outcome: np.ndarray
    ratio: float
    moved: float

    @property
    def settings(self) -> dict[str, float]:
        """What is said of the ratio."""
        return {"ratio_untreated": self.ratio, "denominator_moved": self.moved}


def denominator_check(moved: float) -> Check:
    """Errors take the untreated ratio as known, which is exact while the denominator stays.

    With the ratio's own error the untreated's part of an error would grow by up to ``moved``.
    """
    if moved < NOTABLE:
        message = f"The treatment moves the denominator's mean by {moved:+.1%}."
        return structural("ratio_denominator", FIXED, "pass", moved, message)
    message = (
        f"The treatment raises the denominator's mean by {moved:.0%}. Errors take the ratio "
        f"without treatment as known, and may then be up to {moved:.0%} too small."
    )
    return structural("ratio_denominator", FIXED, "caution", moved, message)


def linearised(
    outcome: np.ndarray,
    denominator: np.ndarray,
    treatment: np.ndarray,
    propensity: np.ndarray,
    weight: np.ndarray | None,
    column: str,
) -> Linearised:
    """Each row's part of the ratio ``R = mean(y) / mean(z)`` (Deng, Knoblich and Lu 2018, sec. 2).

    Both arms are linearised at the untreated's ratio, so that who isn't changed has no effect. If
    a rule moves the ratio to ``R'`` and the denominator's mean by the factor ``m``, the outcome's
    mean moves by exactly ``m (R' - R)``. All arrays have shape ``(n,)``.

    Raises
    ------
    DataError
        The denominator's mean among the untreated isn't positive.
    """
    mass = np.ones(outcome.size) if weight is None else weight
    untreated = mass * (1 - treatment) / (1 - propensity)
    base = float(np.average(denominator, weights=untreated))
    if base <= 0:
        raise DataError(
            f"Denominator column {column!r} is zero for every untreated row.",
            "A ratio over nothing has no value.",
            "Name a denominator that most users have.",
        )
    ratio = float(np.average(outcome, weights=untreated)) / base
    treated = float(np.average(denominator, weights=mass * treatment / propensity))
    return Linearised(ratio + (outcome - ratio * denominator) / base, ratio, treated / base - 1)
