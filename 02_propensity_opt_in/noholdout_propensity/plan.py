"""Before a launch: how many users must opt in before an effect of a given size shows?"""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from noholdout_shared.arguments import check_choice, check_level, check_whole, column_names
from noholdout_shared.errors import DataError
from noholdout_shared.inference import critical_value
from noholdout_shared.input import Missing, is_proportion, numeric, read_rows
from noholdout_shared.input import outcome as outcome_column
from noholdout_shared.jsonable import jsonable
from noholdout_shared.render import effect_text
from scipy import special

from noholdout_propensity.columns import covariate_columns
from noholdout_propensity.kernels.outcome import fit_linear
from noholdout_propensity.kernels.weighting import Estimand
from noholdout_propensity.options import ESTIMANDS

MOST_ROWS = 1e15


@dataclass(frozen=True)
class OptInPlan:
    """What an opt-in launch could show.

    Parameters
    ----------
    smallest_effect
        At ``rows`` users and ``power``.
    rows_needed, opted_in_needed
        Users, and adopters among them, for ``effect``; ``nan`` when none was named.
    variance_per_row
        The squared standard error is this over the number of rows.
    price_of_choice
        How many times more rows than a coin flip between two halves would need.
    """

    estimand: str
    outcome: str
    rows: int
    share_opting_in: float
    residual_sd: float
    variance_per_row: float
    price_of_choice: float
    smallest_effect: float
    effect: float
    rows_needed: float
    opted_in_needed: float
    power: float
    conf_level: float
    proportion: bool

    def to_dict(self) -> dict[str, Any]:
        """JSON-able values; what wasn't asked is ``None``."""
        return {name: jsonable(value) for name, value in vars(self).items()}

    def summary(self) -> str:
        """The plan in words, at most 80 columns."""
        lines = [
            f"Opt-in plan: {self.outcome}",
            f"  estimand      {self.estimand}",
            f"  opting in     {self.share_opting_in:.1%} expected by the scores",
            f"  price         {self.price_of_choice:.2f} times the rows of a coin flip",
            f"  with {self.rows:,} users: {effect_text(self.smallest_effect, self.proportion)} or "
            f"more, with {self.power:.0%} power",
        ]
        if not math.isnan(self.rows_needed):
            lines.append(
                f"  for {effect_text(self.effect, self.proportion)}: {self.rows_needed:,.0f} "
                f"users, {self.opted_in_needed:,.0f} of them opted in"
            )
        lines.append("  A hidden confounder isn't a matter of sample size: no plan removes it.")
        return "\n".join(lines)


def plan(
    data: Any,
    *,
    outcome: str,
    score: str,
    covariates: Sequence[str] | None = None,
    estimand: Estimand = "ate",
    effect: float | None = None,
    rows: int | None = None,
    power: float = 0.8,
    conf_level: float = 0.95,
    missing: Missing = "refuse",
) -> OptInPlan:
    """How small an effect could an opt-in launch show, given yesterday's scores?

    Assumes that the outcome varies after the launch as before, equally in both arms, and that the
    scores foretell who opts in. The variance is the bound of Hirano, Imbens and Ridder (2003) for
    a tilted population with equal residual variances and a constant effect:
    ``sd^2 mean(h^2 / (e (1 - e))) / mean(h)^2``.

    Parameters
    ----------
    data
        Users before the launch.
    outcome
        The outcome before the launch.
    score
        Column with each user's chance of opting in, between 0 and 1.
    covariates
        Explain a part of the outcome away, as AIPW will.
    effect
        Say how many users this effect needs, in the outcome's units.
    rows
        Planned users; as many as in the data when left out.

    Raises
    ------
    DataError
        A score outside (0, 1), a power or number of rows that makes no sense.
    """
    check_level(conf_level)
    check_choice("estimand", estimand, tuple(ESTIMANDS))
    if not (isinstance(power, numbers.Real) and 0.5 <= power < 1):
        raise DataError(f"power is {power!r}.", "", "Use a share from 0.5 to 1, such as 0.8.")
    check_whole("rows", rows)
    if rows is not None and rows < 10:
        raise DataError(f"rows is {rows}.", "", "Plan with 10 users or more.")
    if effect is not None and not (isinstance(effect, numbers.Real) and 0 < abs(effect) < math.inf):
        raise DataError(
            f"effect is {effect!r}.", "No number of users shows that.", "Name its size."
        )
    covariates = column_names(covariates)
    if outcome in covariates:
        raise DataError(
            f"Column {outcome!r} is named as covariate and as outcome.",
            "It would explain itself, and no variation would be left.",
            "Name it once.",
        )
    frame = read_rows(data, [outcome, score, *covariates], missing=missing).frame
    y = outcome_column(frame, outcome)
    e = numeric(frame, score, "Score")
    wrong = (e <= 0) | (e >= 1)
    if wrong.any():
        raise DataError(
            f"Score column {score!r} holds {int(wrong.sum()):,} values that aren't between 0 and "
            f"1 (for example {e[wrong][0]:g}).",
            "A user who surely opts in, or surely doesn't, has no counterpart.",
            "Leave such users out of the plan, as the analysis will have to.",
        )
    design = covariate_columns(frame, covariates).design()[0]
    line = fit_linear(design, y, np.ones(y.size))
    if y.size <= line.rank:
        raise DataError(
            f"There are {y.size:,} rows for {line.rank:,} coefficients.",
            "Nothing is left to tell how far the outcome varies by itself.",
            "Use more rows or fewer covariates.",
        )
    spread = float(np.sqrt(((y - design @ line.coefficients) ** 2).sum() / (y.size - line.rank)))
    tilt = {"ate": np.ones_like(e), "att": e, "atc": 1 - e, "ato": e * (1 - e)}[estimand]
    inflation = float((tilt**2 / (e * (1 - e))).mean() / tilt.mean() ** 2)
    variance = spread**2 * inflation
    reach = critical_value(conf_level) + float(special.ndtri(power))
    planned = y.size if rows is None else rows
    needed = math.nan
    if effect is not None:
        exact = variance * (reach / effect) * (reach / effect)
        if not exact < MOST_ROWS:
            raise DataError(
                f"effect is {effect:g}, beside an outcome that varies by {spread:g}.",
                f"More than {MOST_ROWS:g} users would be needed.",
                "Name the effect in the outcome's units: 0.05 is 5 points of a share.",
            )
        needed = math.ceil(exact)
    return OptInPlan(
        estimand=ESTIMANDS[estimand],
        outcome=outcome,
        rows=planned,
        share_opting_in=float(e.mean()),
        residual_sd=spread,
        variance_per_row=variance,
        price_of_choice=inflation / 4,
        smallest_effect=reach * math.sqrt(variance / planned),
        effect=math.nan if effect is None else effect,
        rows_needed=needed,
        opted_in_needed=needed * float(e.mean()),
        power=power,
        conf_level=conf_level,
        proportion=is_proportion(y),
    )
