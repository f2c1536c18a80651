"""Before a launch: how many users before a difference between users can show?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from noholdout_shared.arguments import check_level, check_whole, column_names
from noholdout_shared.design_matrix import design_matrix
from noholdout_shared.errors import DataError
from noholdout_shared.inference import critical_value
from noholdout_shared.input import Missing, is_proportion, read_rows
from noholdout_shared.input import outcome as outcome_column
from noholdout_shared.jsonable import jsonable
from noholdout_shared.render import effect_text
from scipy.special import ndtr, ndtri

NO_NOISE = 1e-10  # spread given the features over the outcome's, below which it is rounding
SMALLEST_GAP = 1e-6  # of the spread given the features


@dataclass(frozen=True)
class TargetingPlan:
    """What a randomised launch could show about who gains.

    Parameters
    ----------
    smallest_top_effect
        Smallest effect in the top group that would show with ``rows`` users and ``power``.
    smallest_gap
        Smallest difference between the top group's effect and the average user's that would show.
    rows_needed
        Users needed before ``gap`` shows; ``nan`` when none was named.
    gap_power
        Power for ``gap`` with ``rows`` users; ``nan`` when none was named.
    residual_sd
        Standard deviation of the outcome given the features (least squares).
    rows_judging
        Users of ``rows`` who judge the ranking; the first fold only trains.
    """

    outcome: str
    rows: int
    rows_judging: float
    fraction: float
    share_treated: float
    residual_sd: float
    smallest_top_effect: float
    smallest_gap: float
    gap: float
    gap_power: float
    rows_needed: float
    power: float
    conf_level: float
    proportion: bool

    def to_dict(self) -> dict[str, Any]:
        """JSON-able values; what wasn't asked is ``None``."""
        return {name: jsonable(value) for name, value in vars(self).items()}

    def summary(self) -> str:
        """The plan in words, at most 80 columns."""

        def text(value: float) -> str:
            return effect_text(value, self.proportion, signed=False)

        lines = [
            f"Targeting plan: {self.outcome}, top {100 * self.fraction:g}% of users",
            f"  with {self.rows:,} users, {self.share_treated:.0%} of them treated, "
            f"{self.power:.0%} power finds",
            f"    an effect in the top group of {text(self.smallest_top_effect)} or more",
            f"    a top group that gains {text(self.smallest_gap)} more than the average user",
        ]
        if not math.isnan(self.rows_needed):
            lines.append(
                f"  for a gap of {text(self.gap)}: {self.rows_needed:,.0f} users "
                f"(power now {self.gap_power:.0%})"
            )
        lines.append("  The ranking must find these users: a weak learner needs more.")
        return "\n".join(lines)


def plan(
    data: Any,
    *,
    outcome: str,
    features: Sequence[str] = (),
    share_treated: float = 0.5,
    fraction: float = 0.2,
    folds: int = 5,
    gap: float | None = None,
    rows: int | None = None,
    power: float = 0.8,
    conf_level: float = 0.95,
    missing: Missing = "refuse",
) -> TargetingPlan:
    """What a coin-flip launch of a given size could show about a top group of users.

    The AIPW scores have variance ``s^2 (1/e + 1/(1 - e))`` when the outcome models are right, with
    ``s`` the outcome's standard deviation given the features; the mean over the top ``f`` of
    ``n`` judging users has this over ``f n``, and its difference from the mean of all users
    ``(1 - f)`` times that. Effects that differ add to it; the plan leaves this out.

    Parameters
    ----------
    data
        Users from before the launch, one row a user.
    outcome, features
        The outcome, and the features that will be used; without features ``s`` is the plain
        standard deviation.
    share_treated
        Probability of treatment ``e``.
    fraction, folds
        As in :func:`noholdout_uplift.estimate`: a share ``1 - 1/folds`` of the users judges.
    gap
        State power and users needed for a top group that gains this much more than the average.
    rows
        Planned users; as many as in ``data`` if left out.
    power, conf_level, missing
        Power of the smallest effects, two-sided level, and missing values.
    """
    _check(share_treated, fraction, folds, gap, rows, power, conf_level)
    features = column_names(features)
    read = read_rows(data, [outcome, *features], missing=missing)
    y = outcome_column(read.frame, outcome)
    matrix = design_matrix(read.frame, list(features)).values
    constant = np.column_stack([np.ones(y.size), matrix])
    left = y - constant @ np.linalg.lstsq(constant, y, rcond=None)[0]
    spare = y.size - constant.shape[1]
    if spare < 2:
        raise DataError(
            f"There are {y.size} rows for {constant.shape[1] - 1} features.",
            "The outcome's spread given the features can't be told.",
            "Use more rows or fewer features.",
        )
    residual_sd = float(np.sqrt(left @ left / spare))
    if residual_sd <= NO_NOISE * y.std():
        raise DataError(
            f"The features explain {outcome!r} exactly.",
            "What is known before a launch can't hold its outcome.",
            "Leave out columns that were made from the outcome.",
        )
    if gap is not None and gap < SMALLEST_GAP * residual_sd:
        raise DataError(
            f"gap is {gap:g}, less than a millionth of the outcome's spread, {residual_sd:.4g}.",
            "No launch can show that.",
            "Give it in the outcome's unit: 0.05 is 5 points of a share.",
        )
    planned = y.size if rows is None else rows
    judging = planned * (1 - 1 / folds)
    spread = residual_sd * math.sqrt(1 / share_treated + 1 / (1 - share_treated))
    top_error = spread / math.sqrt(fraction * judging)
    gap_error = top_error * math.sqrt(1 - fraction)
    critical = critical_value(conf_level)
    reach = critical + float(ndtri(power))
    needed = gap_power = math.nan
    if gap is not None:
        judged = (reach * spread / gap) ** 2 * (1 - fraction) / fraction
        needed = math.ceil(judged / (1 - 1 / folds))
        gap_power = float(ndtr(gap / gap_error - critical) + ndtr(-gap / gap_error - critical))
    return TargetingPlan(
        outcome=outcome,
        rows=planned,
        rows_judging=judging,
        fraction=fraction,
        share_treated=share_treated,
        residual_sd=residual_sd,
        smallest_top_effect=reach * top_error,
        smallest_gap=reach * gap_error,
        gap=math.nan if gap is None else gap,
        gap_power=gap_power,
        rows_needed=needed,
        power=power,
        conf_level=conf_level,
        proportion=is_proportion(y),
    )


def _check(
    share_treated: float,
    fraction: float,
    folds: int,
    gap: float | None,
    rows: int | None,
    power: float,
    conf_level: float,
) -> None:
    check_level(conf_level)
    check_whole("folds", folds)
    check_whole("rows", rows)
    for name, value in (("share_treated", share_treated), ("fraction", fraction)):
        if not (isinstance(value, Real) and 0 < value < 1):
            raise DataError(f"{name} is {value!r}.", "It is a share of users.", "Use 0 to 1.")
    if not (isinstance(power, Real) and 0.5 <= power < 1):
        raise DataError(
            f"power is {power!r}.", "A plan for less than even odds isn't one.", "Use 0.8."
        )
    if folds < 2:
        raise DataError(f"folds is {folds}.", "Some users train, others judge.", "Use 2 or more.")
    if gap is not None and not (isinstance(gap, Real) and 0 < gap < math.inf):
        raise DataError(f"gap is {gap!r}.", "The top group gains more.", "Use more than 0.")
    if rows is not None and rows < 100:
        raise DataError(f"rows is {rows}.", "Too few users to rank.", "Use 100 or more.")
